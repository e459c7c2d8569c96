/* SPDX-License-Identifier: MPL-2.0
 * err.c - code and text of a failure. Never allocates; keeps errno. Invariant: text is always NUL-ended, cut at a whole character.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that was cut must not end in half a UTF-8 character. */
static void cut_whole(char *text, size_t size)
{
    size_t n = strnlen(text, size);

    if (n + 1 < size)
        return;
    while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
        n--;
    if (n > 0 && ((unsigned char)text[n - 1] & 0x80))
        n--;
    text[n] = 0;
}

static void set(struct err *e, int code, const char *format, va_list ap)
{
    e->code = code;
    if (vsnprintf(e->text, sizeof(e->text), format, ap) < 0)
        e->text[0] = 0;
    cut_whole(e->text, sizeof(e->text));
}

int err_set(struct err *e, int code, const char *format, ...)
{
    int kept = errno;
    va_list ap;

    if (e) {
        va_start(ap, format);
        set(e, code, format, ap);
        va_end(ap);
    }
    errno = kept;
    return code;
}

int err_prefix(struct err *e, const char *format, ...)
{
    int kept = errno, n;
    char old[sizeof(e->text)];
    size_t room, size;
    va_list ap;

    if (!e)
        return 0;
    memcpy(old, e->text, sizeof(old));
    va_start(ap, format);
    n = vsnprintf(e->text, sizeof(e->text), format, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n + 3 < sizeof(e->text)) {
        room = sizeof(e->text) - (size_t)n - 3;
        size = strnlen(old, room);
        memcpy(e->text + n, ": ", 2);
        memcpy(e->text + n + 2, old, size);
        e->text[(size_t)n + 2 + size] = 0;
    }
    cut_whole(e->text, sizeof(e->text));
    errno = kept;
    return e->code;
}

int err_errno(struct err *e, int code, int errnum, const char *format, ...)
{
    int kept = errno;
    char reason[128];
    size_t n;
    va_list ap;

    if (e) {
        va_start(ap, format);
        set(e, code, format, ap);
        va_end(ap);
        n = strlen(e->text);
        snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror_r(errnum, reason, sizeof(reason)));
        cut_whole(e->text, sizeof(e->text));
    }
    errno = kept;
    return code;
}

bool err_passes(int errnum)
{
    return errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM || errnum == EAGAIN || errnum == ENOSPC || errnum == EDQUOT;
}
