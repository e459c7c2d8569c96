/* SPDX-License-Identifier: MPL-2.0
 * bfork_typed.h - the typed macros of bfork.h (C11 _Generic; C++11 overloads). Up to 16 values a call. Included by bfork.h only.
 * A type that cannot travel (void *, a struct, unsigned char *) does not compile: say bfork_bytes_of(p, n) or bfork_pod(s). */
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

#define bfork_arg_of(x) _Generic((x), _Bool: bfork_arg_bool, char: bfork_arg_int, signed char: bfork_arg_int, unsigned char: bfork_arg_uint, \
    short: bfork_arg_int, unsigned short: bfork_arg_uint, int: bfork_arg_int, unsigned: bfork_arg_uint, long: bfork_arg_int, \
    unsigned long: bfork_arg_uint, long long: bfork_arg_int, unsigned long long: bfork_arg_uint, float: bfork_arg_real, \
    double: bfork_arg_real, char *: bfork_arg_str, const char *: bfork_arg_str, bfork_bytes: bfork_arg_bin, \
    bfork_arg: bfork_arg_self)(x)
#define bfork_ref_of(x) _Generic((x), _Bool *: bfork_ref_bool, short *: bfork_ref_short, \
    unsigned short *: bfork_ref_ushort, int *: bfork_ref_int, unsigned *: bfork_ref_uint, long *: bfork_ref_long, unsigned long *: bfork_ref_ulong, long long *: bfork_ref_llong, unsigned long long *: bfork_ref_ullong, float *: bfork_ref_float, double *: bfork_ref_double, \
    const char * *: bfork_ref_str, bfork_bytes *: bfork_ref_bytes, bfork_arg *: bfork_ref_any, \
    bfork_ref: bfork_ref_self)(x)

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

#define bfork_submit(pool, ...)              bfork_pool_submit((pool), BFORK_HEAD_(__VA_ARGS__, 0), NULL, BFORK_ARGS_(__VA_ARGS__))
#define bfork_submit_with(pool, options, ...) bfork_pool_submit((pool), BFORK_HEAD_(__VA_ARGS__, 0), (options), BFORK_ARGS_(__VA_ARGS__))
#define bfork_return(...)                    bfork_task_return(BFORK_HEAD_(__VA_ARGS__, 0), BFORK_ARGS_(__VA_ARGS__))
#define bfork_args(...)                      bfork_task_args(BFORK_HEAD_(__VA_ARGS__, 0), BFORK_REFS_(__VA_ARGS__))
#define bfork_result(...)                    bfork_future_result(BFORK_HEAD_(__VA_ARGS__, 0), BFORK_REFS_(__VA_ARGS__))

/* The element size, of a typed pointer only. */
#define BFORK_SIZE_(p) (sizeof(struct { _Static_assert(_Generic((p), void *: 0, const void *: 0, default: 1), \
    "bfork: the element type must be known: cast the array, or call bfork_pool_map with sizes"); char c; }) * sizeof(*(p)))
/* fn must be int (const T *, U *, bfork_task *) for arrays of T and U, or take void pointers; anything else does not compile. */
#if defined(__GNUC__)
#define BFORK_MAPFN_(fn, in, out) _Generic((fn), bfork_map_fn *: (fn), \
    int (*)(const __typeof__(*(in)) *, __typeof__(*(out)) *, bfork_task *): (bfork_map_fn *)(fn))
#else   /* without typeof: fn(in, out, task) is typed, not evaluated; a difference is a warning */
#define BFORK_MAPFN_(fn, in, out) _Generic((fn)((in), (out), (bfork_task *)0), int: (bfork_map_fn *)(fn))
#endif

#define bfork_map(pool, fn, in, out, n)           bfork_map_with(pool, fn, in, out, n, NULL)
#define bfork_map_with(pool, fn, in, out, n, ...) bfork_pool_map((pool), BFORK_MAPFN_(fn, in, out), (in), BFORK_SIZE_(in), (out), BFORK_SIZE_(out), (n), __VA_ARGS__)
#define bfork_map_async(pool, fn, in, out, n, ...) bfork_pool_map_async((pool), BFORK_MAPFN_(fn, in, out), (in), BFORK_SIZE_(in), (out), BFORK_SIZE_(out), (n), __VA_ARGS__)

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
template <class T> bfork_arg bfork_arg_of(T *) = delete;   /* void *, unsigned char *: say bfork_bytes_of */
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

template <class... A> bfork_future *bfork_submit(bfork_pool *p, bfork_task_fn *fn, const A &...a)
{ const bfork_arg v[] = { bfork_arg_make(0), bfork_arg_of(a)... }; return bfork_pool_submit(p, fn, nullptr, v + 1, sizeof...(a)); }
template <class... A> bfork_future *bfork_submit_with(bfork_pool *p, const bfork_options *o, bfork_task_fn *fn, const A &...a)
{ const bfork_arg v[] = { bfork_arg_make(0), bfork_arg_of(a)... }; return bfork_pool_submit(p, fn, o, v + 1, sizeof...(a)); }
template <class... A> int bfork_return(bfork_task *t, const A &...a)
{ const bfork_arg v[] = { bfork_arg_make(0), bfork_arg_of(a)... }; return bfork_task_return(t, v + 1, sizeof...(a)); }
template <class... A> BFORK_CHECK int bfork_args(bfork_task *t, A... a)
{ const bfork_ref v[] = { bfork_ref_make(0, nullptr, 0), bfork_ref_of(a)... }; return bfork_task_args(t, v + 1, sizeof...(a)); }
template <class... A> BFORK_CHECK int bfork_result(bfork_future *f, A... a)
{ const bfork_ref v[] = { bfork_ref_make(0, nullptr, 0), bfork_ref_of(a)... }; return bfork_future_result(f, v + 1, sizeof...(a)); }
template <class I, class O> BFORK_CHECK int bfork_map(bfork_pool *p, int (*fn)(const I *, O *, bfork_task *), const I *in, O *out, size_t n, const bfork_options *o = nullptr)
{ return bfork_pool_map(p, reinterpret_cast<bfork_map_fn *>(fn), in, sizeof(I), out, sizeof(O), n, o); }
template <class I, class O> BFORK_CHECK int bfork_map_with(bfork_pool *p, int (*fn)(const I *, O *, bfork_task *), const I *in, O *out, size_t n, const bfork_options *o)
{ return bfork_pool_map(p, reinterpret_cast<bfork_map_fn *>(fn), in, sizeof(I), out, sizeof(O), n, o); }
template <class I, class O> BFORK_CHECK bfork_future *bfork_map_async(bfork_pool *p, int (*fn)(const I *, O *, bfork_task *), const I *in, O *out, size_t n, const bfork_options *o)
{ return bfork_pool_map_async(p, reinterpret_cast<bfork_map_fn *>(fn), in, sizeof(I), out, sizeof(O), n, o); }
#endif
#endif
