/* SPDX-License-Identifier: MPL-2.0
 * conf_value.c - texts to numbers, sizes, durations, yes or no. Never allocates; nothing may stand behind a value, nothing
 * overflows.
 */
#include "base/conf_value.h"

#include "bfork.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

struct unit { const char *name; uint64_t factor; };

static const struct unit size_units[] = {
    { "", 1 }, { "B", 1 }, { "K", 1ull << 10 }, { "KiB", 1ull << 10 }, { "M", 1ull << 20 }, { "MiB", 1ull << 20 },
    { "G", 1ull << 30 }, { "GiB", 1ull << 30 }, { "T", 1ull << 40 }, { "TiB", 1ull << 40 },
};
static const struct unit ms_units[] = {
    { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "min", 60000 }, { "h", 3600000 }, { "d", 86400000 },
};

static bool parse_digits(const char **text, uint64_t *ret)
{
    const char *p = *text;
    uint64_t v = 0;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return false;
    *text = p;
    *ret = v;
    return true;
}

static bool parse_scaled(const char *text, const struct unit *units, size_t n, uint64_t *ret)
{
    if (!parse_digits(&text, ret))
        return false;
    while (*text == ' ')
        text++;
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(text, units[i].name) == 0)
            return !__builtin_mul_overflow(*ret, units[i].factor, ret);
    return false;
}

static bool parse_int(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    uint64_t v;

    text += negative;
    if (!parse_digits(&text, &v) || *text || v > (uint64_t)INT64_MAX)
        return false;
    *ret = negative ? -(int64_t)v : (int64_t)v;
    return true;
}

static bool parse_flag(const char *text, bool *ret)
{
    static const char *const words[] = { "no", "yes", "0", "1", "false", "true", "off", "on" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0) {
            *ret = i & 1;
            return true;
        }
    return false;
}

static int check_range(const struct conf_option *o, const char *text, int64_t v, struct err *e)
{
    static const char *const unit[] = { "", "", " bytes", " ms", "", "" };

    if ((o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max))
        return 0;
    return err_set(e, BFORK_EINVAL, "'%s' is out of range: give a value from %" PRId64 " to %" PRId64 "%s", text, o->min, o->max,
                   unit[o->type]);
}

int conf_value_parse(const struct conf_option *o, const char *text, union conf_value *ret, struct err *e)
{
    uint64_t v;

    switch (o->type) {
    case CONF_FLAG:
        if (parse_flag(text, &ret->flag))
            return 0;
        return err_set(e, BFORK_EINVAL, "'%s' is neither yes nor no", text);
    case CONF_INT:
        if (!parse_int(text, &ret->number))
            return err_set(e, BFORK_EINVAL, "'%s' is no whole number", text);
        return check_range(o, text, ret->number, e);
    case CONF_SIZE:
        if (!parse_scaled(text, size_units, sizeof(size_units) / sizeof(size_units[0]), &v) || v > (uint64_t)INT64_MAX)
            return err_set(e, BFORK_EINVAL, "'%s' is no size: give a number of bytes, or one with KiB, MiB, GiB, TiB", text);
        ret->size = v;
        return check_range(o, text, (int64_t)v, e);
    case CONF_MS:
        if (!parse_scaled(text, ms_units, sizeof(ms_units) / sizeof(ms_units[0]), &v) || v > (uint64_t)INT64_MAX)
            return err_set(e, BFORK_EINVAL, "'%s' is no duration: give a number of seconds, or one with ms, s, m, h", text);
        ret->number = (int64_t)v;
        return check_range(o, text, (int64_t)v, e);
    case CONF_STR:
    case CONF_LIST:
        break;
    }
    return 0;
}
