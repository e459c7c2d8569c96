/* SPDX-License-Identifier: MPL-2.0 */
/* notation.c - MessagePack from a line of text. */
#include "notation.h"
#include "link.h"

static const char *value(const char *p, const struct names *names, buffer *to);

static const char *blanks(const char *p)
{
    return p + strspn(p, " ");
}

static void bin(buffer *to, const void *data, size_t size)
{
    msgpack_packer k;
    msgpack_packer_init(&k, to, msgpack_sbuffer_write);
    msgpack_pack_bin(&k, size);
    bytes_put(to, data, size);
}

static const char *hex(const char *p, buffer *to)
{
    for (; *p != ';'; p += 2) {
        unsigned byte = 0;
        if (sscanf(p, "%2x", &byte) != 1)
            fail("no hexadecimal digits: %s", p);
        number_put(to, byte, 1);
    }
    return p + 1;
}

static const char *list(const char *p, const struct names *names, buffer *to, char end)
{
    buffer inside = { 0 };
    size_t count = 0;
    for (p = blanks(p); *p != end; p = blanks(p), count++)
        p = value(p, names, &inside);
    msgpack_packer k;
    msgpack_packer_init(&k, to, msgpack_sbuffer_write);
    if (end == ']')
        msgpack_pack_array(&k, count);
    else
        msgpack_pack_map(&k, count / 2);
    bytes_put(to, inside.data, inside.size);
    msgpack_sbuffer_destroy(&inside);
    return p + 1;
}

static const char *record(const char *p, buffer *to)
{
    buffer inside = { 0 };
    for (p = blanks(p); *p != '>'; p = blanks(p)) {
        char *end;
        int bytes = *p - '0';
        number_put(&inside, strtoull(p + 2, &end, 10), bytes);
        p = end;
    }
    bin(to, inside.data, inside.size);
    msgpack_sbuffer_destroy(&inside);
    return p + 1;
}

/* A document, or what names it. */
static const char *document(const char *p, const struct names *names, buffer *to, bool digest)
{
    buffer inside = { 0 };
    uint8_t sum[32];
    for (p = blanks(p); *p != ')'; p = blanks(p))
        p = value(p, names, &inside);
    if (digest)
        sha256(inside.data, inside.size, sum);
    bin(to, digest ? (const void *)sum : inside.data, digest ? sizeof sum : inside.size);
    msgpack_sbuffer_destroy(&inside);
    return p + 1;
}

static const char *text(const char *p, buffer *to)
{
    msgpack_packer k;
    msgpack_packer_init(&k, to, msgpack_sbuffer_write);
    if (*p == '*') {
        char *end;
        size_t count = strtoul(p + 1, &end, 10);
        msgpack_pack_str(&k, count);
        for (; count > 0; count--)
            bytes_put(to, "x", 1);
        return end;
    }
    size_t count = strcspn(p + 1, "'"), size = count;
    const char *from = p + 1;
    if (p[1] == '$') {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)count - 1, p + 2);
        if ((from = getenv(name)) == NULL)
            fail("%s is not set", name);
        size = strlen(from);
    }
    msgpack_pack_str(&k, size);
    bytes_put(to, from, size);
    return p + count + 2;
}

static const char *value(const char *p, const struct names *names, buffer *to)
{
    msgpack_packer k;
    msgpack_packer_init(&k, to, msgpack_sbuffer_write);
    buffer bytes = { 0 };
    struct span span;
    char *end = NULL;
    switch (*p) {
    case '[':
        return list(p + 1, names, to, ']');
    case '{':
        return list(p + 1, names, to, '}');
    case '(':
        return document(p + 1, names, to, false);
    case '@':
        return document(p + 2, names, to, true);
    case '<':
        return record(p + 1, to);
    case '\'':
    case '*':
        return text(p, to);
    case '!':
        return hex(p + 1, to);
    case '#':
        p = hex(p + 1, &bytes);
        break;
    case '%':
        for (size_t n = strtoul(p + 1, &end, 10); n > 0; n--)
            bytes_put(&bytes, "", 1);
        p = end;
        break;
    case '$':
        span = p[1] >= 'a' ? names->of[p[1] - 'a'] : names->digest[p[1] - 'A'];
        bytes_put(&bytes, span.data, span.size);
        p += 2;
        break;
    case 't':
        msgpack_pack_true(&k);
        return p + 4;
    default:
        if (*p == '-')
            msgpack_pack_int64(&k, strtoll(p, &end, 10));
        else
            msgpack_pack_uint64(&k, strtoull(p, &end, 10));
        if (end == p)
            fail("not in the notation: %s", p);
        return end;
    }
    bin(to, bytes.data, bytes.size);
    msgpack_sbuffer_destroy(&bytes);
    return p;
}

void notation(const char *line, const struct names *names, buffer *to)
{
    for (const char *p = blanks(line); *p != '\0'; p = blanks(p))
        p = value(p, names, to);
}
