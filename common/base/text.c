/* SPDX-License-Identifier: MPL-2.0
 * text.c - see text.h. It decodes UTF-8 strictly: a byte that a terminal might read otherwise than we do is not let through.
 */
#include "base/text.h"

#include <stdint.h>
#include <string.h>

/* The character at p, of at most n bytes, and how many it takes; 0: these bytes are no UTF-8. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *ret)
{
    static const struct { unsigned char mask, lead; uint32_t least; } forms[] = {
        { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
    };

    for (size_t size = 1; size <= 4 && size <= n; size++) {
        if ((p[0] & forms[size - 1].mask) != forms[size - 1].lead)
            continue;
        uint32_t c = p[0] & (unsigned char)~forms[size - 1].mask;
        for (size_t i = 1; i < size; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return 0;
            c = c << 6 | (p[i] & 0x3f);
        }
        *ret = c;
        return c >= forms[size - 1].least && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff) ? size : 0;
    }
    return 0;
}

static bool is_harmful(uint32_t c, bool lines)
{
    if (lines && (c == '\n' || c == '\t'))
        return false;
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) ||          /* C0, DEL, C1 */
           c == 0x61c || c == 0x200e || c == 0x200f ||      /* marks of direction */
           (c >= 0x2028 && c <= 0x202e) ||                  /* separators; embeddings and overrides */
           (c >= 0x2066 && c <= 0x2069);                    /* isolates */
}

void text_clean(char *text, size_t size, bool lines)
{
    for (size_t at = 0; at < size;) {
        uint32_t c = 0;
        size_t n = decode((const unsigned char *)text + at, size - at, &c);
        if (n == 0 || is_harmful(c, lines))
            memset(text + at, '?', n ? n : 1);
        at += n ? n : 1;
    }
}
