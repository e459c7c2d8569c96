/* SPDX-License-Identifier: MPL-2.0
 * cursor.c - one MessagePack value at a time. The table of first bytes is the format's specification; 0xc1 is the only byte that
 * begins nothing. Invariant: p <= end, and p moves only over what was checked.
 */
#include "wire/cursor.h"

#include "wire/wire_limits.h"

static uint64_t read_be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static double read_real(const uint8_t *p, unsigned n)
{
    uint64_t u = read_be(p, n);
    uint32_t u32 = (uint32_t)u;
    float f;
    double d;

    if (n == 4) {
        memcpy(&f, &u32, 4);
        return (double)f;
    }
    memcpy(&d, &u, 8);
    return d;
}

static void set_int(struct cursor_value *v, int64_t i)
{
    v->kind = i < 0 ? CURSOR_NEGATIVE : CURSOR_UINT;
    if (i < 0)
        v->v.i = i;
    else
        v->v.u = (uint64_t)i;
}

/* n bytes (of a string, bytes, or an extension's after its type) follow a head of `head` bytes. */
static bool take_bytes(struct cursor *c, struct cursor_value *v, enum cursor_kind kind, size_t head, uint64_t n)
{
    size_t left = (size_t)(c->end - c->p);

    if (left < head || left - head < n)
        return false;
    v->kind = kind;
    v->n = (uint32_t)n;
    v->v.p = c->p + head;
    c->p += head + n;
    return true;
}

/* A container of n values cannot be in fewer than n bytes. */
static bool take_container(struct cursor *c, struct cursor_value *v, enum cursor_kind kind, size_t head, uint64_t n)
{
    size_t left = (size_t)(c->end - c->p);

    if (left < head || (left - head) / (kind == CURSOR_MAP ? 2 : 1) < n)
        return false;
    v->kind = kind;
    v->n = (uint32_t)n;
    c->p += head;
    return true;
}

static bool next_numbered(struct cursor *c, struct cursor_value *v, uint8_t b, unsigned width)
{
    if ((size_t)(c->end - c->p) < 1u + width)
        return false;
    v->n = 0;
    if (b <= 0xcb) {
        v->kind = CURSOR_REAL;
        v->v.f = read_real(c->p + 1, width);
    } else if (b <= 0xcf) {
        v->kind = CURSOR_UINT;
        v->v.u = read_be(c->p + 1, width);
    } else {
        uint64_t u = read_be(c->p + 1, width);
        uint64_t sign = (uint64_t)1 << (8 * width - 1);

        set_int(v, (int64_t)((u ^ sign) - sign));
    }
    c->p += 1 + width;
    return true;
}

/* Bytes of the length behind bin 8 to ext 32, and str 8 to map 32. */
static unsigned length_width(uint8_t b)
{
    static const uint8_t low[] = { 1, 2, 4, 1, 2, 4 }, high[] = { 1, 2, 4, 2, 4, 2, 4 };

    return b <= 0xc9 ? low[b - 0xc4] : high[b - 0xd9];
}

bool cursor_next(struct cursor *c, struct cursor_value *v)
{
    size_t left = (size_t)(c->end - c->p);
    uint8_t b;
    unsigned width;

    if (left == 0)
        return false;
    b = *c->p;
    if (b < 0x80 || b >= 0xe0) {
        set_int(v, b < 0x80 ? b : (int64_t)b - 256);
        v->n = 0;
        c->p++;
        return true;
    }
    if (b < 0x90)
        return take_container(c, v, CURSOR_MAP, 1, b & 15u);
    if (b < 0xa0)
        return take_container(c, v, CURSOR_ARRAY, 1, b & 15u);
    if (b < 0xc0)
        return take_bytes(c, v, CURSOR_STR, 1, b & 31u);
    if (b == 0xc1)
        return false;
    if (b <= 0xc3) {
        v->kind = b == 0xc0 ? CURSOR_NIL : CURSOR_BOOL;
        v->v.u = b == 0xc3;
        v->n = 0;
        c->p++;
        return true;
    }
    if (b >= 0xca && b <= 0xd3)
        return next_numbered(c, v, b, b <= 0xcb ? 4u << (b - 0xca) : 1u << ((b - 0xcc) & 3u));
    if (b >= 0xd4 && b <= 0xd8)
        return take_bytes(c, v, CURSOR_EXT, 2, (uint64_t)1 << (b - 0xd4));
    width = length_width(b);
    if (left < 1u + width)
        return false;
    if (b <= 0xc6)
        return take_bytes(c, v, CURSOR_BIN, 1u + width, read_be(c->p + 1, width));
    if (b <= 0xc9)
        return take_bytes(c, v, CURSOR_EXT, 2u + width, read_be(c->p + 1, width));
    if (b <= 0xdb)
        return take_bytes(c, v, CURSOR_STR, 1u + width, read_be(c->p + 1, width));
    return take_container(c, v, b <= 0xdd ? CURSOR_ARRAY : CURSOR_MAP, 1u + width, read_be(c->p + 1, width));
}

bool cursor_skip(struct cursor *c)
{
    uint64_t left[WIRE_DEPTH_MAX + 1];
    unsigned depth = 0;
    struct cursor work = *c;
    struct cursor_value v;

    left[0] = 1;
    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0) {
                *c = work;
                return true;
            }
            depth--;
        }
        left[depth]--;
        if (!cursor_next(&work, &v))
            return false;
        if ((v.kind == CURSOR_ARRAY || v.kind == CURSOR_MAP) && v.n) {
            if (depth == WIRE_DEPTH_MAX)
                return false;
            left[++depth] = (uint64_t)v.n << (v.kind == CURSOR_MAP);
        }
    }
}
