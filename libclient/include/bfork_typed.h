/* SPDX-License-Identifier: MPL-2.0
 * bfork_typed.h - the typed macros of bfork.h (C11 _Generic; C++11 overloads). Up to 16 values a call. Included by bfork.h only.
 * A type that cannot travel (void *, a struct, unsigned char *) does not compile: say bfork_bytes_of(p, n) or bfork_pod(s). Errors of
 * types say which form was expected. The macros are for function bodies.
 *
 *   one task     bfork_submit(pool, f, values …)           f: int f(bfork_task *)                              → bfork_future *
 *   arrays       bfork_map(pool, f, in, out, n)            f: int f(const T *in, U *out, bfork_task *)         → int
 *                bfork_map_async(pool, f, in, out, n, options)                                                 → bfork_future *
 *   any size     bfork_each(pool, f, in, n)                f: int f(const char *in, bfork_task *) over strings,
 *                                                          int f(bfork_bytes in, …) over byte strings,
 *                                                          int f(const T *in, …) over elements                 → bfork_future *
 *   with options bfork_submit_with(pool, options, f, values …), bfork_map_with(pool, f, in, out, n, options),
 *                bfork_each_with(pool, options, f, in, n)
 *   values       bfork_args(task, &x …), bfork_return(task, x …)
 *   outcomes     bfork_result(future, &x …), _result_within(future, ms, &x …), _result_at(future, i, &x …), _take(future, &x …),
 *                bfork_gather(futures, n) */
#ifndef BFORK_TYPED_H
#define BFORK_TYPED_H

static inline bfork_arg bfork_arg_make(int32_t type) { bfork_arg a; a.type = type; a.reserved = 0; a.v.u = 0; a.size = 0; return a; }
static inline bfork_arg bfork_arg_bool(bool x) { bfork_arg a = bfork_arg_make(BFORK_BOOL); a.v.u = x; return a; }
static inline bfork_arg bfork_arg_int(long long x) { bfork_arg a = bfork_arg_make(BFORK_INT); a.v.i = x; return a; }
static inline bfork_arg bfork_arg_uint(unsigned long long x) { bfork_arg a = bfork_arg_make(BFORK_UINT); a.v.u = x; return a; }
static inline bfork_arg bfork_arg_real(double x) { bfork_arg a = bfork_arg_make(BFORK_REAL); a.v.f = x; return a; }
static inline bfork_arg bfork_arg_str(const char *x) { bfork_arg a = bfork_arg_make(x ? BFORK_STR : BFORK_NIL); a.v.p = x; a.size = (size_t)-1; return a; }
static inline bfork_arg bfork_arg_bin(bfork_bytes x) { bfork_arg a = bfork_arg_make(BFORK_BIN); a.v.p = x.data; a.size = x.size; return a; }
static inline bfork_arg bfork_arg_self(bfork_arg x) { return x; }
static inline bfork_ref bfork_ref_make(int32_t type, void *p, size_t size) { bfork_ref r; r.type = type; r.reserved = 0; r.p = p; r.size = size; return r; }
static inline bfork_ref bfork_ref_fixed(void *p, size_t size) { return bfork_ref_make(BFORK_FIXED, p, size); }
static inline bfork_ref bfork_ref_self(bfork_ref x) { return x; }

static inline bfork_ref bfork_ref_bool(bool *p) { return bfork_ref_make(BFORK_BOOL, p, 0); }
static inline bfork_ref bfork_ref_short(short *p) { return bfork_ref_make(BFORK_I16, p, 0); }
static inline bfork_ref bfork_ref_ushort(unsigned short *p) { return bfork_ref_make(BFORK_U16, p, 0); }
static inline bfork_ref bfork_ref_int(int *p) { return bfork_ref_make(BFORK_I32, p, 0); }
static inline bfork_ref bfork_ref_uint(unsigned *p) { return bfork_ref_make(BFORK_U32, p, 0); }
static inline bfork_ref bfork_ref_long(long *p) { return bfork_ref_make(sizeof(long) == 8 ? BFORK_I64 : BFORK_I32, p, 0); }
static inline bfork_ref bfork_ref_ulong(unsigned long *p) { return bfork_ref_make(sizeof(long) == 8 ? BFORK_U64 : BFORK_U32, p, 0); }
static inline bfork_ref bfork_ref_llong(long long *p) { return bfork_ref_make(BFORK_I64, p, 0); }
static inline bfork_ref bfork_ref_ullong(unsigned long long *p) { return bfork_ref_make(BFORK_U64, p, 0); }
static inline bfork_ref bfork_ref_float(float *p) { return bfork_ref_make(BFORK_F32, p, 0); }
static inline bfork_ref bfork_ref_double(double *p) { return bfork_ref_make(BFORK_F64, p, 0); }
static inline bfork_ref bfork_ref_str(const char * *p) { return bfork_ref_make(BFORK_STR, p, 0); }
static inline bfork_ref bfork_ref_bytes(bfork_bytes *p) { return bfork_ref_make(BFORK_BIN, p, 0); }
static inline bfork_ref bfork_ref_any(bfork_arg *p) { return bfork_ref_make(BFORK_ANY, p, 0); }

#ifndef __cplusplus

/* What refuses: (BFORK_ASSERT_(ok, text), x) is x, and an error with this text unless ok; functions that take whatever was refused. */
#if defined(__GNUC__)
#define BFORK_ASSERT_(ok, text) __extension__ ({ _Static_assert(ok, text); })
#else
#define BFORK_ASSERT_(ok, text) (void)sizeof(struct { _Static_assert(ok, text); char c_; })
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#endif
bfork_arg bfork_refused_arg_();
bfork_ref bfork_refused_ref_();
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#define BFORK_ARG1_(x) _Generic((x), _Bool: 1, char: 1, signed char: 1, unsigned char: 1, short: 1, unsigned short: 1, int: 1, unsigned: 1, \
    long: 1, unsigned long: 1, long long: 1, unsigned long long: 1, float: 1, double: 1, char *: 1, const char *: 1, bfork_bytes: 1, \
    bfork_arg: 1, default: 0)
#define BFORK_ARG_(x) _Generic((x), _Bool: bfork_arg_bool, char: bfork_arg_int, signed char: bfork_arg_int, unsigned char: bfork_arg_uint, \
    short: bfork_arg_int, unsigned short: bfork_arg_uint, int: bfork_arg_int, unsigned: bfork_arg_uint, long: bfork_arg_int, \
    unsigned long: bfork_arg_uint, long long: bfork_arg_int, unsigned long long: bfork_arg_uint, float: bfork_arg_real, \
    double: bfork_arg_real, char *: bfork_arg_str, const char *: bfork_arg_str, bfork_bytes: bfork_arg_bin, \
    bfork_arg: bfork_arg_self, default: bfork_refused_arg_)
#define bfork_arg_of(x) (BFORK_ASSERT_(BFORK_ARG1_(x), "bfork: a value of this type cannot travel: numbers, bool, strings and bfork_bytes do; " \
    "memory as bfork_bytes_of(p, size), a struct s without pointers as bfork_pod(s)"), BFORK_ARG_(x)(x))

#if defined(__GNUC__)
#define BFORK_NOARRAY_(x) __builtin_types_compatible_p(__typeof__(x), __typeof__(1 ? (x) : (x)))
#else
#define BFORK_NOARRAY_(x) 1
#endif
#define BFORK_REF1_(x) _Generic((x), _Bool *: 1, short *: 1, unsigned short *: 1, int *: 1, unsigned *: 1, long *: 1, unsigned long *: 1, \
    long long *: 1, unsigned long long *: 1, float *: 1, double *: 1, const char **: 1, bfork_bytes *: 1, bfork_arg *: 1, bfork_ref: 1, \
    default: 0)
#define BFORK_REF_(x) _Generic((x), _Bool *: bfork_ref_bool, short *: bfork_ref_short, unsigned short *: bfork_ref_ushort, \
    int *: bfork_ref_int, unsigned *: bfork_ref_uint, long *: bfork_ref_long, unsigned long *: bfork_ref_ulong, \
    long long *: bfork_ref_llong, unsigned long long *: bfork_ref_ullong, float *: bfork_ref_float, double *: bfork_ref_double, \
    const char **: bfork_ref_str, bfork_bytes *: bfork_ref_bytes, bfork_arg *: bfork_ref_any, bfork_ref: bfork_ref_self, \
    default: bfork_refused_ref_)
#define bfork_ref_of(x) (BFORK_ASSERT_(BFORK_REF1_(x) && BFORK_NOARRAY_(x), "bfork: a place for a value is the address of a bool, number, " \
    "const char * or bfork_bytes: &x; an array or struct x without pointers is bfork_into(x)"), BFORK_REF_(x)(x))

/* BFORK_EACH_(f, skipped, a, b, c) is {0}, f(a), f(b), f(c): an array that is never empty, whose first element is skipped. */
#define BFORK_HEAD_(x, ...) x
#define BFORK_PICK_(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, n, ...) n
#define BFORK_N_(...) BFORK_PICK_(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0)
#define BFORK_CAT_(a, b) BFORK_CAT2_(a, b)
#define BFORK_CAT2_(a, b) a##b
#define BFORK_EACH_(f, ...) BFORK_CAT_(BFORK_EACH_, BFORK_N_(__VA_ARGS__))(f, __VA_ARGS__)
#define BFORK_EACH_0(f, _0) {0}
#define BFORK_EACH_1(f, _0, _1) {0}, f(_1)
#define BFORK_EACH_2(f, _0, _1, _2) {0}, f(_1), f(_2)
#define BFORK_EACH_3(f, _0, _1, _2, _3) {0}, f(_1), f(_2), f(_3)
#define BFORK_EACH_4(f, _0, _1, _2, _3, _4) {0}, f(_1), f(_2), f(_3), f(_4)
#define BFORK_EACH_5(f, _0, _1, _2, _3, _4, _5) {0}, f(_1), f(_2), f(_3), f(_4), f(_5)
#define BFORK_EACH_6(f, _0, _1, _2, _3, _4, _5, _6) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6)
#define BFORK_EACH_7(f, _0, _1, _2, _3, _4, _5, _6, _7) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6), f(_7)
#define BFORK_EACH_8(f, _0, _1, _2, _3, _4, _5, _6, _7, _8) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6), f(_7), f(_8)
#define BFORK_EACH_9(f, _0, _1, _2, _3, _4, _5, _6, _7, _8, _9) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6), f(_7), f(_8), f(_9)
#define BFORK_EACH_10(f, _0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6), f(_7), f(_8), f(_9), f(_10)
#define BFORK_EACH_11(f, _0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6), f(_7), f(_8), f(_9), f(_10), f(_11)
#define BFORK_EACH_12(f, _0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6), f(_7), f(_8), f(_9), f(_10), f(_11), f(_12)
#define BFORK_EACH_13(f, _0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6), f(_7), f(_8), f(_9), f(_10), f(_11), f(_12), f(_13)
#define BFORK_EACH_14(f, _0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6), f(_7), f(_8), f(_9), f(_10), f(_11), f(_12), f(_13), f(_14)
#define BFORK_EACH_15(f, _0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6), f(_7), f(_8), f(_9), f(_10), f(_11), f(_12), f(_13), f(_14), f(_15)
#define BFORK_EACH_16(f, _0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16) {0}, f(_1), f(_2), f(_3), f(_4), f(_5), f(_6), f(_7), f(_8), f(_9), f(_10), f(_11), f(_12), f(_13), f(_14), f(_15), f(_16)
#define BFORK_ARGS_(...) (const bfork_arg[]){ BFORK_EACH_(bfork_arg_of, __VA_ARGS__) } + 1, BFORK_N_(__VA_ARGS__)
#define BFORK_REFS_(...) (const bfork_ref[]){ BFORK_EACH_(bfork_ref_of, __VA_ARGS__) } + 1, BFORK_N_(__VA_ARGS__)

#define BFORK_OPTIONS(...)    (&(const bfork_options){ __VA_ARGS__ })                  /* in parentheses: its commas do not split a macro's arguments */
#define bfork_function_of(f)  ((bfork_function){ .fn = (void (*)(void))(f) })
#define BFORK_ARGS(...)       .args = BFORK_ARGS0_(0, __VA_ARGS__)                     /* in bfork_pool_options */
#define BFORK_ARGS0_(...)     (const bfork_arg[]){ BFORK_EACH_(bfork_arg_of, __VA_ARGS__) } + 1, .nargs = BFORK_N_(__VA_ARGS__)

/* Functions: each check is a hard error that says the form expected. fn itself is evaluated once. */
#define BFORK_IS_(fn, type)  _Generic((fn), type: 1, default: 0)
#define BFORK_VOID_(p)       _Generic((p), void *: 1, const void *: 1, default: 0)
#define BFORK_TASKFN_(verb, fn) (BFORK_ASSERT_(BFORK_IS_(fn, bfork_task_fn *), verb ": the function must be int f(bfork_task *task); it reads " \
    "its arguments by bfork_args"), (bfork_task_fn *)(fn))
#define BFORK_P_(verb, pool, o) (BFORK_ASSERT_(_Generic((o), bfork_options *: 1, const bfork_options *: 1, void *: 1, default: 0), \
    verb ": options come second: " verb "(pool, BFORK_OPTIONS(.retries = 2), ...)"), (pool))
#if defined(__GNUC__)
#define BFORK_POINTER_(p)    (__builtin_classify_type(*(p)) == 5 && BFORK_NOARRAY_(*(p)))
#define BFORK_IN_(p)         const __typeof__(*(p)) *
#define BFORK_OUT_(p)        __typeof__(*(p)) *
#define BFORK_MAP1_(fn, in, out)  (BFORK_IS_(fn, bfork_map_fn *) || BFORK_IS_(fn, int (*)(BFORK_IN_(in), BFORK_OUT_(out), bfork_task *)))
#define BFORK_EACH1_(fn, in)      (BFORK_IS_(fn, bfork_each_fn *) || BFORK_IS_(fn, int (*)(BFORK_IN_(in), bfork_task *)))
#else   /* without typeof: fn(in, out, task) is typed, not evaluated; a difference is a warning */
#define BFORK_POINTER_(p)    0
#define BFORK_MAP1_(fn, in, out)  _Generic((fn)((in), (out), (bfork_task *)0), int: 1, default: 0)
#define BFORK_EACH1_(fn, in)      _Generic((fn)((in), (bfork_task *)0), int: 1, default: 0)
#endif
#define BFORK_KNOWN_(verb, p) BFORK_ASSERT_(!BFORK_VOID_(p), verb ": the element type must be known: cast the array, or call the exported " \
    "function with sizes; for no results at all there is bfork_each")
#define BFORK_FLAT_(verb, p)  BFORK_ASSERT_(!BFORK_POINTER_(p), verb ": elements cannot be pointers, what they point to would stay here; " \
    "for strings (const char *) and byte strings (bfork_bytes) there is bfork_each")
#define BFORK_SIZE_(verb, p)  (BFORK_KNOWN_(verb, p), BFORK_FLAT_(verb, p), sizeof(*(p)))
#define BFORK_MAPFN_(verb, fn, in, out) (BFORK_ASSERT_(BFORK_MAP1_(fn, in, out), verb ": the function must be int f(const T *in, U *out, " \
    "bfork_task *task), in an array of T, out an array of U"), (bfork_map_fn *)(fn))

#define bfork_submit(pool, ...)               bfork_pool_submit((pool), BFORK_TASKFN_("bfork_submit", BFORK_HEAD_(__VA_ARGS__, 0)), NULL, BFORK_ARGS_(__VA_ARGS__))
#define bfork_submit_with(pool, options, ...) bfork_pool_submit(BFORK_P_("bfork_submit_with", pool, options), \
    BFORK_TASKFN_("bfork_submit_with", BFORK_HEAD_(__VA_ARGS__, 0)), (options), BFORK_ARGS_(__VA_ARGS__))
#define bfork_return(...)                     bfork_task_return(BFORK_HEAD_(__VA_ARGS__, 0), BFORK_ARGS_(__VA_ARGS__))
#define bfork_args(...)                       bfork_task_args(BFORK_HEAD_(__VA_ARGS__, 0), BFORK_REFS_(__VA_ARGS__))
#define bfork_result(...)                     bfork_future_result(BFORK_HEAD_(__VA_ARGS__, 0), BFORK_REFS_(__VA_ARGS__))
#define bfork_result_within(f, ...)           bfork_future_result_within((f), BFORK_HEAD_(__VA_ARGS__, 0), BFORK_REFS_(__VA_ARGS__))
#define bfork_result_at(f, ...)               bfork_future_result_at((f), BFORK_HEAD_(__VA_ARGS__, 0), BFORK_REFS_(__VA_ARGS__))
#define bfork_take(...)                       bfork_future_take(BFORK_HEAD_(__VA_ARGS__, 0), BFORK_REFS_(__VA_ARGS__))
#define bfork_gather(f, n)                    bfork_future_gather((f), (n))

#define bfork_map(pool, fn, in, out, n)            bfork_map_of_("bfork_map", pool, fn, in, out, n, NULL)
#define bfork_map_with(pool, fn, in, out, n, ...)  bfork_map_of_("bfork_map_with", pool, fn, in, out, n, __VA_ARGS__)
#define bfork_map_of_(verb, pool, fn, in, out, n, ...) bfork_pool_map((pool), BFORK_MAPFN_(verb, fn, in, out), (in), BFORK_SIZE_(verb, in), \
    (out), BFORK_SIZE_(verb, out), (n), __VA_ARGS__)
#define bfork_map_async(pool, fn, in, out, n, ...) bfork_pool_map_async((pool), BFORK_MAPFN_("bfork_map_async", fn, in, out), (in), \
    BFORK_SIZE_("bfork_map_async", in), (out), BFORK_SIZE_("bfork_map_async", out), (n), __VA_ARGS__)

/* bfork_each: one verb, three functions, by the type of in */
static inline BFORK_CHECK bfork_future *bfork_each_any_(bfork_pool *p, void (*fn)(void), const void *in, size_t size, size_t n, const bfork_options *o)
{ return bfork_pool_each(p, (bfork_each_fn *)fn, in, size, n, o); }
static inline BFORK_CHECK bfork_future *bfork_each_string_(bfork_pool *p, void (*fn)(void), const void *in, size_t size, size_t n, const bfork_options *o)
{ (void)size; return bfork_pool_each_string(p, (bfork_string_fn *)fn, (const char *const *)in, n, o); }
static inline BFORK_CHECK bfork_future *bfork_each_bytes_(bfork_pool *p, void (*fn)(void), const void *in, size_t size, size_t n, const bfork_options *o)
{ (void)size; return bfork_pool_each_bytes(p, (bfork_bytes_fn *)fn, (const bfork_bytes *)in, n, o); }
#define BFORK_EACH_BY_(in, string, bytes, any) _Generic((in), char **: string, const char **: string, char *const *: string, \
    const char *const *: string, bfork_bytes *: bytes, const bfork_bytes *: bytes, default: any)
#define BFORK_EACHFN_(fn, in) (BFORK_ASSERT_(BFORK_EACH_BY_(in, BFORK_IS_(fn, bfork_string_fn *), BFORK_IS_(fn, bfork_bytes_fn *), BFORK_EACH1_(fn, in)), \
    "bfork_each: the function must be int f(const char *in, bfork_task *task) over strings, int f(bfork_bytes in, bfork_task *task) over byte " \
    "strings, int f(const T *in, bfork_task *task) over an array of T"), (void (*)(void))(fn))
#define bfork_each(pool, fn, in, n) bfork_each_with(pool, NULL, fn, in, n)
#define bfork_each_with(pool, options, fn, in, n) BFORK_EACH_BY_(in, bfork_each_string_, bfork_each_bytes_, bfork_each_any_) \
    (BFORK_P_("bfork_each_with", pool, options), BFORK_EACHFN_(fn, in), (in), (BFORK_KNOWN_("bfork_each", in), BFORK_ASSERT_(BFORK_EACH_BY_(in, 1, 1, !BFORK_POINTER_(in)), \
    "bfork_each: elements cannot be pointers but strings (const char *)"), sizeof(*(in))), (n), (options))

#else /* C++: the same names, as templates */

inline bfork_arg bfork_arg_of(bool x) { return bfork_arg_bool(x); }
inline bfork_arg bfork_arg_of(char x) { return bfork_arg_int(x); }
inline bfork_arg bfork_arg_of(signed char x) { return bfork_arg_int(x); }
inline bfork_arg bfork_arg_of(unsigned char x) { return bfork_arg_uint(x); }
inline bfork_arg bfork_arg_of(short x) { return bfork_arg_int(x); }
inline bfork_arg bfork_arg_of(unsigned short x) { return bfork_arg_uint(x); }
inline bfork_arg bfork_arg_of(int x) { return bfork_arg_int(x); }
inline bfork_arg bfork_arg_of(unsigned x) { return bfork_arg_uint(x); }
inline bfork_arg bfork_arg_of(long x) { return bfork_arg_int(x); }
inline bfork_arg bfork_arg_of(unsigned long x) { return bfork_arg_uint(x); }
inline bfork_arg bfork_arg_of(long long x) { return bfork_arg_int(x); }
inline bfork_arg bfork_arg_of(unsigned long long x) { return bfork_arg_uint(x); }
inline bfork_arg bfork_arg_of(float x) { return bfork_arg_real(x); }
inline bfork_arg bfork_arg_of(double x) { return bfork_arg_real(x); }
inline bfork_arg bfork_arg_of(char *x) { return bfork_arg_str(x); }
inline bfork_arg bfork_arg_of(const char * x) { return bfork_arg_str(x); }
inline bfork_arg bfork_arg_of(bfork_bytes x) { return bfork_arg_bin(x); }
inline bfork_arg bfork_arg_of(bfork_arg x) { return bfork_arg_self(x); }
inline bfork_ref bfork_ref_of(bool *p) { return bfork_ref_bool(p); }
inline bfork_ref bfork_ref_of(short *p) { return bfork_ref_short(p); }
inline bfork_ref bfork_ref_of(unsigned short *p) { return bfork_ref_ushort(p); }
inline bfork_ref bfork_ref_of(int *p) { return bfork_ref_int(p); }
inline bfork_ref bfork_ref_of(unsigned *p) { return bfork_ref_uint(p); }
inline bfork_ref bfork_ref_of(long *p) { return bfork_ref_long(p); }
inline bfork_ref bfork_ref_of(unsigned long *p) { return bfork_ref_ulong(p); }
inline bfork_ref bfork_ref_of(long long *p) { return bfork_ref_llong(p); }
inline bfork_ref bfork_ref_of(unsigned long long *p) { return bfork_ref_ullong(p); }
inline bfork_ref bfork_ref_of(float *p) { return bfork_ref_float(p); }
inline bfork_ref bfork_ref_of(double *p) { return bfork_ref_double(p); }
inline bfork_ref bfork_ref_of(const char * *p) { return bfork_ref_str(p); }
inline bfork_ref bfork_ref_of(bfork_bytes *p) { return bfork_ref_bytes(p); }
inline bfork_ref bfork_ref_of(bfork_arg *p) { return bfork_ref_any(p); }
inline bfork_ref bfork_ref_of(bfork_ref r) { return r; }

template <class Type> struct bfork_no_ { static const bool value = false; };
template <class Type> struct bfork_is_pointer_ { static const bool value = false; };
template <class Type> struct bfork_is_pointer_<Type *> { static const bool value = true; };
template <class Type> bfork_arg bfork_arg_of(Type *)
{ static_assert(bfork_no_<Type>::value, "bfork: a pointer cannot travel: memory as bfork_bytes_of(p, size), a struct s without pointers as bfork_pod(s)"); return bfork_arg_make(0); }
template <class Type> bfork_ref bfork_ref_of(Type *)
{ static_assert(bfork_no_<Type>::value, "bfork: a place for a value is the address of a bool, number, const char * or bfork_bytes; a struct x is bfork_into(x)"); return bfork_ref_make(0, nullptr, 0); }
template <class Type> struct bfork_ref_take_ { static bfork_ref of(Type x) { return bfork_ref_of(x); } };
template <class Type, size_t Count> struct bfork_ref_take_<Type (&)[Count]> { static_assert(bfork_no_<Type>::value, "bfork: an array x is bfork_into(x)"); static bfork_ref of(Type *) { return bfork_ref_make(0, nullptr, 0); } };

#define BFORK_A_ const bfork_arg v[] = { bfork_arg_make(0), bfork_arg_of(a)... }
#define BFORK_R_ const bfork_ref v[] = { bfork_ref_make(0, nullptr, 0), bfork_ref_take_<Values>::of(a)... }
template <class Element> struct bfork_flat_
{
    static_assert(!bfork_is_pointer_<Element>::value, "bfork: elements cannot be pointers; for strings and byte strings there is bfork_each");
    static_assert(__is_trivially_copyable(Element), "bfork: elements must be trivially copyable: what a string or a container owns would stay here; "
        "for strings and byte strings there is bfork_each");
    static const size_t size = sizeof(Element);
};
template <class... Values> BFORK_CHECK bfork_future *bfork_submit_with(bfork_pool *p, const bfork_options *o, bfork_task_fn *fn, const Values &...a) { BFORK_A_; return bfork_pool_submit(p, fn, o, v + 1, sizeof...(a)); }
template <class... Values> BFORK_CHECK bfork_future *bfork_submit(bfork_pool *p, bfork_task_fn *fn, const Values &...a) { return bfork_submit_with(p, nullptr, fn, a...); }
template <class... Values> int bfork_return(bfork_task *t, const Values &...a) { BFORK_A_; return bfork_task_return(t, v + 1, sizeof...(a)); }
template <class... Values> BFORK_CHECK int bfork_args(bfork_task *t, Values &&...a) { BFORK_R_; return bfork_task_args(t, v + 1, sizeof...(a)); }
template <class... Values> BFORK_CHECK int bfork_result(bfork_future *f, Values &&...a) { BFORK_R_; return bfork_future_result(f, v + 1, sizeof...(a)); }
template <class... Values> BFORK_CHECK int bfork_result_within(bfork_future *f, int ms, Values &&...a) { BFORK_R_; return bfork_future_result_within(f, ms, v + 1, sizeof...(a)); }
template <class... Values> BFORK_CHECK int bfork_result_at(bfork_future *f, size_t i, Values &&...a) { BFORK_R_; return bfork_future_result_at(f, i, v + 1, sizeof...(a)); }
template <class... Values> BFORK_CHECK int bfork_take(bfork_future *f, Values &&...a) { BFORK_R_; return bfork_future_take(f, v + 1, sizeof...(a)); }
inline BFORK_CHECK int bfork_gather(bfork_future **f, size_t n) { return bfork_future_gather(f, n); }
template <class In, class Out> BFORK_CHECK int bfork_map_with(bfork_pool *p, int (*fn)(const In *, Out *, bfork_task *), const In *in, Out *out, size_t n, const bfork_options *o) { return bfork_pool_map(p, reinterpret_cast<bfork_map_fn *>(fn), in, bfork_flat_<In>::size, out, bfork_flat_<Out>::size, n, o); }
template <class In, class Out> BFORK_CHECK int bfork_map(bfork_pool *p, int (*fn)(const In *, Out *, bfork_task *), const In *in, Out *out, size_t n, const bfork_options *o = nullptr) { return bfork_map_with(p, fn, in, out, n, o); }
template <class In, class Out> BFORK_CHECK bfork_future *bfork_map_async(bfork_pool *p, int (*fn)(const In *, Out *, bfork_task *), const In *in, Out *out, size_t n, const bfork_options *o) { return bfork_pool_map_async(p, reinterpret_cast<bfork_map_fn *>(fn), in, bfork_flat_<In>::size, out, bfork_flat_<Out>::size, n, o); }
template <class In> BFORK_CHECK bfork_future *bfork_each_with(bfork_pool *p, const bfork_options *o, int (*fn)(const In *, bfork_task *), const In *in, size_t n) { return bfork_pool_each(p, reinterpret_cast<bfork_each_fn *>(fn), in, bfork_flat_<In>::size, n, o); }
template <class In> BFORK_CHECK bfork_future *bfork_each(bfork_pool *p, int (*fn)(const In *, bfork_task *), const In *in, size_t n) { return bfork_each_with(p, nullptr, fn, in, n); }
inline BFORK_CHECK bfork_future *bfork_each_with(bfork_pool *p, const bfork_options *o, bfork_string_fn *fn, const char *const *in, size_t n) { return bfork_pool_each_string(p, fn, in, n, o); }
inline BFORK_CHECK bfork_future *bfork_each(bfork_pool *p, bfork_string_fn *fn, const char *const *in, size_t n) { return bfork_pool_each_string(p, fn, in, n, nullptr); }
inline BFORK_CHECK bfork_future *bfork_each_with(bfork_pool *p, const bfork_options *o, bfork_bytes_fn *fn, const bfork_bytes *in, size_t n) { return bfork_pool_each_bytes(p, fn, in, n, o); }
inline BFORK_CHECK bfork_future *bfork_each(bfork_pool *p, bfork_bytes_fn *fn, const bfork_bytes *in, size_t n) { return bfork_pool_each_bytes(p, fn, in, n, nullptr); }
#undef BFORK_A_
#undef BFORK_R_
#endif
#endif
