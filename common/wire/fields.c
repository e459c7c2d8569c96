/* SPDX-License-Identifier: MPL-2.0
 * fields.c - maps with small integer keys to and from structs, by table. Never allocates. Invariant: every bounds check of every
 * field of every message is in this file, once.
 */
#include "wire/fields.h"

#include "bfork.h"

#include <inttypes.h>

#define AT(s, f, T) (*(const T *)(const void *)((const char *)(s) + (f)->offset))
#define PUT(s, f, T) (*(T *)(void *)((char *)(s) + (f)->offset))

/* The text's length as it is sent: cut at a whole UTF-8 character. */
static uint32_t cut_length(const struct wire_field *f, const struct wire_str *s)
{
    uint32_t n = s->n;

    if (n <= f->limit || !(f->flags & FIELD_CUT))
        return n;
    for (n = f->limit; n > 0 && ((uint8_t)s->p[n] & 0xc0) == 0x80;)
        n--;
    return n;
}

static bool is_absent(const struct wire_field *f, const void *s)
{
    if (f->flags & FIELD_REQUIRED)
        return false;
    switch ((enum field_type)f->type) {
    case FIELD_U32: case FIELD_I32: return AT(s, f, uint32_t) == 0;
    case FIELD_U64: return AT(s, f, uint64_t) == 0;
    case FIELD_BOOL: return !AT(s, f, bool);
    case FIELD_STR: return AT(s, f, struct wire_str).n == 0;
    case FIELD_BIN: return AT(s, f, struct wire_bin).n == 0;
    }
    return true;
}

/* Bytes of the value; 0: over its limit. */
static size_t value_bytes(const struct wire_field *f, const void *s)
{
    uint64_t u;
    uint32_t n;

    switch ((enum field_type)f->type) {
    case FIELD_U32:
    case FIELD_U64:
        u = f->type == FIELD_U32 ? AT(s, f, uint32_t) : AT(s, f, uint64_t);
        return (f->limit && u > f->limit) || (f->flags & FIELD_NONZERO && !u) ? 0 : pack_uint_size(u);
    case FIELD_I32:
        return pack_int_size(AT(s, f, int32_t));
    case FIELD_BOOL:
        return 1;
    case FIELD_STR:
        n = cut_length(f, &AT(s, f, struct wire_str));
        return n > f->limit ? 0 : pack_str_head_size(n) + n;
    case FIELD_BIN:
        n = AT(s, f, struct wire_bin).n;
        return n > f->limit || (f->flags & FIELD_EXACT && n != f->limit) ? 0 : pack_bin_head_size(n) + n;
    }
    return 0;
}

bool fields_size(const struct wire_map *map, const void *s, size_t *ret)
{
    size_t size = 0, one;
    uint32_t n = 0;

    for (uint32_t i = 0; i < map->n; i++) {
        const struct wire_field *f = &map->fields[i];

        if (is_absent(f, s))
            continue;
        if (!(one = value_bytes(f, s)))
            return false;
        size += pack_uint_size(f->key) + one;
        n++;
    }
    *ret = size + pack_map_head_size(n);
    return true;
}

static uint8_t *value_write(const struct wire_field *f, const void *s, uint8_t *o)
{
    const struct wire_bin *b;
    uint32_t n;

    switch ((enum field_type)f->type) {
    case FIELD_U32: return pack_uint(o, AT(s, f, uint32_t));
    case FIELD_U64: return pack_uint(o, AT(s, f, uint64_t));
    case FIELD_I32: return pack_int(o, AT(s, f, int32_t));
    case FIELD_BOOL: return pack_bool(o, AT(s, f, bool));
    case FIELD_STR:
        n = cut_length(f, &AT(s, f, struct wire_str));
        return pack_bytes(pack_str_head(o, n), AT(s, f, struct wire_str).p, n);
    case FIELD_BIN:
        b = &AT(s, f, struct wire_bin);
        return pack_bytes(pack_bin_head(o, b->n), b->p, b->n);
    }
    return o;
}

uint8_t *fields_encode(const struct wire_map *map, const void *s, uint8_t *out)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < map->n; i++)
        n += !is_absent(&map->fields[i], s);
    out = pack_map_head(out, n);
    for (uint32_t i = 0; i < map->n; i++)
        if (!is_absent(&map->fields[i], s))
            out = value_write(&map->fields[i], s, pack_uint(out, map->fields[i].key));
    return out;
}

static int refuse_field(const struct wire_map *map, const struct wire_field *f, struct err *e, const char *why)
{
    return err_set(e, BFORK_EPROTOCOL, "%s: field %s (key %u) %s", map->name, f->name, f->key, why);
}

static int number_read(const struct wire_map *map, const struct wire_field *f, const struct cursor_value *v, void *s, struct err *e)
{
    if (f->type == FIELD_I32) {
        if ((v->kind == CURSOR_NEGATIVE && v->v.i < INT32_MIN) || (v->kind == CURSOR_UINT && v->v.u > INT32_MAX))
            return refuse_field(map, f, e, "does not fit in 32 bits");
        if (v->kind != CURSOR_NEGATIVE && v->kind != CURSOR_UINT)
            return refuse_field(map, f, e, "is not an integer");
        PUT(s, f, int32_t) = v->kind == CURSOR_UINT ? (int32_t)v->v.u : (int32_t)v->v.i;
        return 0;
    }
    if (v->kind != CURSOR_UINT)
        return refuse_field(map, f, e, "is not an integer >= 0");
    if (f->flags & FIELD_NONZERO && !v->v.u)
        return refuse_field(map, f, e, "must not be 0");
    if (f->limit && v->v.u > f->limit)
        return err_set(e, BFORK_EPROTOCOL, "%s: field %s (key %u) is %" PRIu64 ", the limit is %" PRIu32, map->name, f->name,
                       f->key, v->v.u, f->limit);
    if (f->type == FIELD_U64)
        PUT(s, f, uint64_t) = v->v.u;
    else if (v->v.u > UINT32_MAX)
        return refuse_field(map, f, e, "does not fit in 32 bits");
    else
        PUT(s, f, uint32_t) = (uint32_t)v->v.u;
    return 0;
}

static int value_read(const struct wire_map *map, const struct wire_field *f, const struct cursor_value *v, void *s, struct err *e)
{
    switch ((enum field_type)f->type) {
    case FIELD_BOOL:
        if (v->kind != CURSOR_BOOL)
            return refuse_field(map, f, e, "is not a boolean");
        PUT(s, f, bool) = v->v.u != 0;
        return 0;
    case FIELD_STR:
    case FIELD_BIN:
        if (v->kind != (f->type == FIELD_STR ? CURSOR_STR : CURSOR_BIN))
            return refuse_field(map, f, e, f->type == FIELD_STR ? "is not a string" : "is not binary");
        if (v->n > f->limit || (f->flags & FIELD_EXACT && v->n != f->limit))
            return err_set(e, BFORK_EPROTOCOL, "%s: field %s (key %u) has %" PRIu32 " bytes, %s %" PRIu32, map->name, f->name,
                           f->key, v->n, f->flags & FIELD_EXACT ? "not" : "the limit is", f->limit);
        if (f->type == FIELD_STR)
            PUT(s, f, struct wire_str) = (struct wire_str){ (const char *)v->v.p, v->n };
        else
            PUT(s, f, struct wire_bin) = (struct wire_bin){ v->v.p, v->n };
        return 0;
    default:
        return number_read(map, f, v, s, e);
    }
}

/* The field with this key: usually the one behind the last that was found. */
static const struct wire_field *find_field(const struct wire_map *map, uint64_t key, uint32_t *hint)
{
    for (uint32_t i = 0; i < map->n; i++) {
        uint32_t at = *hint + i < map->n ? *hint + i : *hint + i - map->n;

        if (map->fields[at].key == key) {
            *hint = at + 1;
            return &map->fields[at];
        }
    }
    return NULL;
}

static int check_required(const struct wire_map *map, const uint64_t seen[2], struct err *e)
{
    for (uint32_t i = 0; i < map->n; i++) {
        const struct wire_field *f = &map->fields[i];

        if (f->flags & FIELD_REQUIRED && !(seen[f->key / 64] >> (f->key % 64) & 1))
            return refuse_field(map, f, e, "is missing");
    }
    return 0;
}

int fields_decode(const struct wire_map *map, struct cursor *c, void *s, struct err *e)
{
    uint64_t seen[2] = { 0, 0 }, key;
    struct cursor_value head, v;
    uint32_t hint = 0;
    int rc;

    memset(s, 0, map->size);
    if (!cursor_next(c, &head) || head.kind != CURSOR_MAP)
        return err_set(e, BFORK_EPROTOCOL, "%s: the fields are not a MessagePack map, or it is cut short", map->name);
    for (uint32_t i = 0; i < head.n; i++) {
        const struct wire_field *f;

        if (!cursor_uint(c, &key) || key >= WIRE_KEYS_MAX)
            return err_set(e, BFORK_EPROTOCOL, "%s: key number %" PRIu32 " is not an integer from 0 to %u", map->name, i,
                           WIRE_KEYS_MAX - 1);
        if (seen[key / 64] >> (key % 64) & 1)
            return err_set(e, BFORK_EPROTOCOL, "%s: key %" PRIu64 " is there twice", map->name, key);
        seen[key / 64] |= (uint64_t)1 << (key % 64);
        if (!(f = find_field(map, key, &hint)) && key >= WIRE_KEYS_MUST)
            return err_set(e, BFORK_ENOTSUP,
                           "%s: key %" PRIu64 " must be understood and is not known here; a newer release wrote it", map->name,
                           key);
        if (!f) {
            if (!cursor_skip(c))
                return err_set(e, BFORK_EPROTOCOL,
                               "%s: the value of key %" PRIu64 " is malformed, cut short or nested more than %u deep",
                               map->name, key, WIRE_DEPTH_MAX);
            continue;
        }
        if (!cursor_next(c, &v))
            return refuse_field(map, f, e, "is malformed or cut short");
        if ((rc = value_read(map, f, &v, s, e)) < 0)
            return rc;
    }
    return check_required(map, seen, e);
}

void fields_print(const struct wire_map *map, const void *s, struct print *p)
{
    for (uint32_t i = 0; i < map->n; i++) {
        const struct wire_field *f = &map->fields[i];

        if (is_absent(f, s))
            continue;
        print_text(p, " %s=", f->name);
        switch ((enum field_type)f->type) {
        case FIELD_U32: print_text(p, "%" PRIu32, AT(s, f, uint32_t)); break;
        case FIELD_U64: print_text(p, "%" PRIu64, AT(s, f, uint64_t)); break;
        case FIELD_I32: print_text(p, "%" PRId32, AT(s, f, int32_t)); break;
        case FIELD_BOOL: print_text(p, AT(s, f, bool) ? "true" : "false"); break;
        case FIELD_STR: print_quoted(p, AT(s, f, struct wire_str).p, AT(s, f, struct wire_str).n); break;
        case FIELD_BIN:
            (f->flags & FIELD_PRIVATE ? print_private : print_hex)(p, AT(s, f, struct wire_bin).p, AT(s, f, struct wire_bin).n);
            break;
        }
    }
}
