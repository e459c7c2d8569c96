/* SPDX-License-Identifier: MPL-2.0
 * value.c - values to and from MessagePack. Never truncates: a number that does not fit its place is a mismatch. Invariant:
 * value_pack writes exactly value_size bytes; after any failure of value_unpack all places are zero.
 */
#include "wire/value.h"

#include "wire/fields.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

/* ---- packing ----------------------------------------------------------------------------------------------------------------- */

static size_t text_size(const bfork_arg *a)
{
    return a->size == (size_t)-1 ? strlen(a->v.p) : a->size;
}

/* 0: cannot travel. */
static size_t arg_size(const bfork_arg *a, size_t at, struct err *e)
{
    size_t n;

    switch (a->type) {
    case BFORK_NIL:
    case BFORK_BOOL:
        return 1;
    case BFORK_INT:
        return pack_int_size(a->v.i);
    case BFORK_UINT:
        return pack_uint_size(a->v.u);
    case BFORK_REAL:
        return 9;
    case BFORK_STR:
    case BFORK_BIN:
        if (!a->v.p && a->size) {
            err_set(e, BFORK_EINVAL, "value %zu is %s at address NULL: pass valid memory, or size 0", at,
                    a->type == BFORK_STR ? "a string" : "bytes");
            return 0;
        }
        n = a->type == BFORK_STR ? text_size(a) : a->size;
        if (n > UINT32_MAX) {
            err_set(e, BFORK_ETOOBIG, "value %zu has %zu bytes: one value can have 4 GiB", at, n);
            return 0;
        }
        return n + (a->type == BFORK_STR ? pack_str_head_size((uint32_t)n) : pack_bin_head_size((uint32_t)n));
    default:
        err_set(e, BFORK_EINVAL, "value %zu has type %d, which is none: make values with bfork_arg_of()", at, (int)a->type);
        return 0;
    }
}

size_t value_size(const bfork_arg *args, size_t n, struct err *e)
{
    size_t size, one;

    if (n > UINT32_MAX) {
        err_set(e, BFORK_ETOOBIG, "%zu values: one call can have 2^32 - 1", n);
        return 0;
    }
    size = pack_array_head_size((uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        if (!(one = arg_size(&args[i], i + 1, e)))
            return 0;
        size += one;
    }
    return size;
}

void value_pack(const bfork_arg *args, size_t n, uint8_t *out)
{
    out = pack_array_head(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        const bfork_arg *a = &args[i];
        size_t bytes;

        switch (a->type) {
        case BFORK_NIL: out = pack_nil(out); break;
        case BFORK_BOOL: out = pack_bool(out, a->v.u != 0); break;
        case BFORK_INT: out = pack_int(out, a->v.i); break;
        case BFORK_UINT: out = pack_uint(out, a->v.u); break;
        case BFORK_REAL: out = pack_double(out, a->v.f); break;
        case BFORK_STR:
            bytes = text_size(a);
            out = pack_bytes(pack_str_head(out, (uint32_t)bytes), a->v.p, bytes);
            break;
        case BFORK_BIN:
            out = pack_bytes(pack_bin_head(out, (uint32_t)a->size), a->v.p, a->size);
            break;
        }
    }
}

/* ---- unpacking --------------------------------------------------------------------------------------------------------------- */

struct unpack { void *(*alloc)(void *ctx, size_t size); void *ctx; bool no_memory; };

static size_t place_size(const bfork_ref *r)
{
    switch (r->type) {
    case BFORK_BOOL: return sizeof(bool);
    case BFORK_I16: case BFORK_U16: return 2;
    case BFORK_I32: case BFORK_U32: case BFORK_F32: return 4;
    case BFORK_I64: case BFORK_U64: case BFORK_F64: return 8;
    case BFORK_STR: return sizeof(const char *);
    case BFORK_BIN: return sizeof(bfork_bytes);
    case BFORK_FIXED: return r->size;
    case BFORK_ANY: return sizeof(bfork_arg);
    default: return 0;
    }
}

static void zero_places(const bfork_ref *refs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (refs[i].p)
            memset(refs[i].p, 0, place_size(&refs[i]));
}

/* An integer between low and high into the low `bytes` of a place; the place has the C type of that width. */
static bool put_int(const bfork_ref *r, const struct cursor_value *v, int64_t low, uint64_t high)
{
    uint64_t u = v->kind == CURSOR_UINT ? v->v.u : (uint64_t)v->v.i;
    uint32_t u32 = (uint32_t)u;
    uint16_t u16 = (uint16_t)u;

    if (v->kind == CURSOR_UINT ? v->v.u > high : v->kind != CURSOR_NEGATIVE || v->v.i < low)
        return false;
    switch (place_size(r)) {
    case 2: memcpy(r->p, &u16, 2); break;
    case 4: memcpy(r->p, &u32, 4); break;
    default: memcpy(r->p, &u, 8); break;
    }
    return true;
}

/* Has the integer no more bits, from the highest to the lowest set one, than a mantissa? */
static bool is_exact(uint64_t size, int mantissa)
{
    return !size || 64 - __builtin_clzll(size) - __builtin_ctzll(size) <= mantissa;
}

/* Doubles as they are (into a float: rounded, but never to infinity); integers if they are exact. */
static bool put_real(const bfork_ref *r, const struct cursor_value *v)
{
    int mantissa = r->type == BFORK_F32 ? FLT_MANT_DIG : DBL_MANT_DIG;
    double d;
    float f;

    if (v->kind == CURSOR_REAL)
        d = v->v.f;
    else if (v->kind == CURSOR_UINT && is_exact(v->v.u, mantissa))
        d = (double)v->v.u;
    else if (v->kind == CURSOR_NEGATIVE && is_exact(0 - (uint64_t)v->v.i, mantissa))
        d = (double)v->v.i;
    else
        return false;
    if (r->type == BFORK_F64) {
        memcpy(r->p, &d, sizeof(d));
        return true;
    }
    if (isfinite(d) && fabs(d) > (double)FLT_MAX)
        return false;
    f = (float)d;
    memcpy(r->p, &f, sizeof(f));
    return true;
}

static const char *copy_text(struct unpack *u, const struct cursor_value *v)
{
    char *text = u->alloc(u->ctx, (size_t)v->n + 1);

    if (!text) {
        u->no_memory = true;
        return NULL;
    }
    memcpy(text, v->v.p, v->n);
    text[v->n] = 0;
    return text;
}

static bool put_any(struct unpack *u, const bfork_ref *r, const struct cursor_value *v)
{
    bfork_arg a = { BFORK_NIL, 0, { .u = 0 }, 0 };

    switch (v->kind) {
    case CURSOR_NIL: break;
    case CURSOR_BOOL: a.type = BFORK_BOOL; a.v.u = v->v.u; break;
    case CURSOR_UINT: a.type = v->v.u > INT64_MAX ? BFORK_UINT : BFORK_INT; a.v.u = v->v.u; break;
    case CURSOR_NEGATIVE: a.type = BFORK_INT; a.v.i = v->v.i; break;
    case CURSOR_REAL: a.type = BFORK_REAL; a.v.f = v->v.f; break;
    case CURSOR_BIN: a.type = BFORK_BIN; a.v.p = v->v.p; a.size = v->n; break;
    case CURSOR_STR:
        a.type = BFORK_STR;
        a.size = v->n;
        if (!(a.v.p = copy_text(u, v)))
            return false;
        break;
    default:
        return false;
    }
    memcpy(r->p, &a, sizeof(a));
    return true;
}

static bool unpack_text(struct unpack *u, const bfork_ref *r, const struct cursor_value *v)
{
    const char *text = NULL;

    if (v->kind != CURSOR_NIL && (v->kind != CURSOR_STR || !(text = copy_text(u, v))))
        return false;
    memcpy(r->p, &text, sizeof(text));
    return true;
}

static bool put_value(struct unpack *u, const bfork_ref *r, const struct cursor_value *v)
{
    bfork_bytes bytes;
    bool yes;

    switch (r->type) {
    case BFORK_BOOL:                /* 0 and 1 too: that is what C's true and false are */
        if (v->kind != CURSOR_BOOL && (v->kind != CURSOR_UINT || v->v.u > 1))
            return false;
        yes = v->v.u != 0;
        memcpy(r->p, &yes, sizeof(yes));
        return true;
    case BFORK_I16: return put_int(r, v, INT16_MIN, INT16_MAX);
    case BFORK_U16: return put_int(r, v, 0, UINT16_MAX);
    case BFORK_I32: return put_int(r, v, INT32_MIN, INT32_MAX);
    case BFORK_U32: return put_int(r, v, 0, UINT32_MAX);
    case BFORK_I64: return put_int(r, v, INT64_MIN, INT64_MAX);
    case BFORK_U64: return put_int(r, v, 0, UINT64_MAX);
    case BFORK_F32:
    case BFORK_F64: return put_real(r, v);
    case BFORK_STR: return unpack_text(u, r, v);
    case BFORK_BIN:
        bytes = (bfork_bytes){ v->v.p, v->n };
        if (v->kind == CURSOR_BIN)
            memcpy(r->p, &bytes, sizeof(bytes));
        return v->kind == CURSOR_BIN;
    case BFORK_FIXED:
        if (v->kind != CURSOR_BIN || v->n != r->size)
            return false;
        if (v->n)
            memcpy(r->p, v->v.p, v->n);
        return true;
    case BFORK_ANY: return put_any(u, r, v);
    default: return false;
    }
}

/* ---- the text of a mismatch -------------------------------------------------------------------------------------------------- */

#define SHOWN_VALUES 16u

static void print_sent(struct print *p, const struct cursor_value *v)
{
    static const char *const names[] = { "nil", "bool ", "", "", "double ", "str ", "bytes ", "extension", "array of ", "map of " };

    print_text(p, "%s", names[v->kind]);
    switch (v->kind) {
    case CURSOR_BOOL: print_text(p, v->v.u ? "true" : "false"); break;
    case CURSOR_UINT:
        print_text(p, "%s %" PRIu64, v->v.u <= INT32_MAX ? "int" : v->v.u <= INT64_MAX ? "long" : "unsigned long", v->v.u);
        break;
    case CURSOR_NEGATIVE: print_text(p, "%s %" PRId64, v->v.i >= INT32_MIN ? "int" : "long", v->v.i); break;
    case CURSOR_REAL: print_text(p, "%g", v->v.f); break;
    case CURSOR_STR: print_quoted_part(p, (const char *)v->v.p, v->n, 24); break;
    case CURSOR_BIN: print_text(p, "[%" PRIu32 "]", v->n); break;
    case CURSOR_ARRAY: case CURSOR_MAP: print_text(p, "%" PRIu32, v->n); break;
    default: break;
    }
}

static void print_asked(struct print *p, const bfork_ref *r)
{
    static const char *const names[] = { "short *", "unsigned short *", "int *",   "unsigned *",
                                         "long *",  "unsigned long *",  "float *", "double *" };

    if (r->type >= BFORK_I16 && r->type <= BFORK_F64)
        print_text(p, "%s", names[r->type - BFORK_I16]);
    else if (r->type == BFORK_FIXED)
        print_text(p, "object of %zu bytes *", r->size);
    else
        print_text(p, "%s",
                   r->type == BFORK_BOOL  ? "bool *"
                   : r->type == BFORK_STR ? "const char * *"
                   : r->type == BFORK_BIN ? "bfork_bytes *"
                   : r->type == BFORK_ANY ? "bfork_arg *"
                                          : "a type that is none");
}

/* p is sound. */
static int mismatch(const uint8_t *p, size_t size, const bfork_ref *refs, size_t n, struct err *e)
{
    struct cursor c = { p, p + size };
    struct cursor_value v;
    char text[480];
    struct print out = { text, sizeof(text), 0, false };
    uint32_t sent = 0;
    struct cursor at;

    print_text(&out, "sent ");
    if (cursor_next(&c, &v) && v.kind == CURSOR_ARRAY) {
        sent = v.n;
        print_text(&out, "(");
        for (uint32_t i = 0; i < sent && i < SHOWN_VALUES; i++) {
            at = c;
            if (!cursor_next(&at, &v) || !cursor_skip(&c))
                break;
            print_text(&out, i ? ", " : "");
            print_sent(&out, &v);
        }
        print_text(&out, sent > SHOWN_VALUES ? ", …)" : ")");
    } else
        print_sent(&out, &v);
    print_text(&out, ", asked for (");
    for (size_t i = 0; i < n && i < SHOWN_VALUES; i++) {
        print_text(&out, i ? ", " : "");
        print_asked(&out, &refs[i]);
    }
    print_text(&out, n > SHOWN_VALUES ? ", …)" : ")");
    return err_set(e, BFORK_MISMATCH, "%s", text);
}

/* 0, BFORK_ENOMEM, or BFORK_MISMATCH for anything that did not go well. */
static int unpack_all(struct cursor *c, const bfork_ref *refs, size_t n, struct unpack *u)
{
    struct cursor_value v;

    if (!cursor_next(c, &v) || v.kind != CURSOR_ARRAY || v.n != n)
        return BFORK_MISMATCH;
    for (size_t i = 0; i < n; i++)
        if (!cursor_next(c, &v) || !put_value(u, &refs[i], &v))
            return u->no_memory ? BFORK_ENOMEM : BFORK_MISMATCH;
    return c->p == c->end ? 0 : BFORK_MISMATCH;
}

int value_unpack(const uint8_t *p, size_t size, const bfork_ref *refs, size_t n, void *(*alloc)(void *ctx, size_t size), void *ctx,
                 struct err *e)
{
    struct unpack u = { alloc, ctx, false };
    struct cursor c = { p, p + size };
    int rc = unpack_all(&c, refs, n, &u);

    if (rc == 0)
        return 0;
    zero_places(refs, n);
    if (rc == BFORK_ENOMEM)
        return err_set(e, rc, "out of memory for the strings of %zu values", n);
    if (!value_is_sound(p, size))
        return err_set(e, BFORK_EPROTOCOL, "%zu bytes that are not one MessagePack value", size);
    return mismatch(p, size, refs, n, e);
}

bool value_is_sound(const void *p, size_t size)
{
    struct cursor c = { p, (const uint8_t *)p + size };

    return cursor_skip(&c) && c.p == c.end;
}
