/* SPDX-License-Identifier: MPL-2.0
 * golden.c - reads and writes the text of golden files. Knows nothing of messages.
 */
#include "golden.h"

#include <stdio.h>
#include <string.h>

static int digit(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long golden_read(const char *name, uint8_t *out, size_t room, char *comment, size_t comment_room)
{
    char path[512], line[8192];
    size_t n = 0, at = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.hex", GOLDEN_DIR, name);
    if (!(f = fopen(path, "re")))
        return -1;
    while (fgets(line, sizeof(line), f)) {
        if (line[0] == '#') {
            if (comment && at < comment_room)
                at += (size_t)snprintf(comment + at, comment_room - at, "%s", line + 2);
            continue;
        }
        for (const char *p = line; digit(p[0]) >= 0 && digit(p[1]) >= 0 && n < room; p += 2)
            out[n++] = (uint8_t)(digit(p[0]) << 4 | digit(p[1]));
    }
    fclose(f);
    return (long)n;
}

void golden_text(const char *comment, const uint8_t *p, size_t n, char *out, size_t room)
{
    size_t at = (size_t)snprintf(out, room, "# %s\n", comment);

    for (size_t i = 0; i < n && at < room; i++)
        at += (size_t)snprintf(out + at, room - at, "%02x%s", p[i], i % 32 == 31 || i + 1 == n ? "\n" : "");
}
