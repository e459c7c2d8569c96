/* SPDX-License-Identifier: MPL-2.0
 * print.c - see print.h. Never allocates.
 */
#include "wire/print.h"

#include <stdarg.h>
#include <stdio.h>

#define SHOWN_TEXT 64u
#define SHOWN_TEXT_TRACE 400u
#define SHOWN_BYTES 16u

void print_text(struct print *p, const char *format, ...)
{
    size_t at = p->n < p->size ? p->n : p->size;
    int n;
    va_list ap;

    va_start(ap, format);
    n = vsnprintf(at < p->size ? p->out + at : NULL, p->size - at, format, ap);
    va_end(ap);
    if (n > 0)
        p->n += (size_t)n;
}

void print_quoted_part(struct print *p, const char *s, size_t n, size_t shown)
{
    print_text(p, "\"");
    for (size_t i = 0; i < n && i < shown; i++) {
        unsigned char b = (unsigned char)s[i];

        if (b == '"' || b == '\\')
            print_text(p, "\\%c", b);
        else if (b == '\n')
            print_text(p, "\\n");
        else if (b < ' ' || b == 0x7f)
            print_text(p, "\\x%02x", b);
        else
            print_text(p, "%c", b);
    }
    print_text(p, n > shown ? "…\"" : "\"");
}

void print_quoted(struct print *p, const char *s, size_t n)
{
    print_quoted_part(p, s, n, p->trace ? SHOWN_TEXT_TRACE : SHOWN_TEXT);
}

void print_hex(struct print *p, const uint8_t *b, size_t n)
{
    print_text(p, "<%zu byte%s", n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n && i < SHOWN_BYTES; i++)
        print_text(p, "%s%02x", i ? "" : ": ", b[i]);
    print_text(p, n > SHOWN_BYTES ? "…>" : ">");
}

void print_private(struct print *p, const uint8_t *b, size_t n)
{
    if (p->trace)
        print_text(p, "<%zu byte%s>", n, n == 1 ? "" : "s");
    else
        print_hex(p, b, n);
}
