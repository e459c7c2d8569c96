/* SPDX-License-Identifier: MPL-2.0
 * stations.c - a year of weather stations' measurements, a task a station: means, extremes, rain, the means of the months.
 * Shows: arguments and results that are structures (maps, arrays of any length, values that are missing), packed and unpacked with
 * msgpack-c: bfork_pool_submit_raw, bfork_task_args_raw, bfork_task_return_raw, bfork_future_result_raw.
 *
 *     ./stations --sample > year.csv       measurements of 24 stations, made up
 *     ./stations year.csv                  lines STATION,METRES,HOUR,DEGREES,MILLIMETRES; hours from the beginning of the year
 *     ./stations                           the made-up ones
 *
 * Every result is compared with what this process computes by itself. Exit status: 0 all is well, 1 not, 2 wrong usage. */
#include <bfork.h>
#include <errno.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOURS = 8760, HOURS_MAX = 366 * 24, SAMPLE = 24, MISSING = INT32_MIN, NAME = 32 };

struct reading { int hour, degrees, rain; };        /* in tenths, so that sums are exact; MISSING */
struct station { char name[NAME]; int height; size_t n, room; struct reading *readings; };
struct extreme { int hour, degrees; };
struct summary { unsigned readings, missing; double mean, rain, months[12]; struct extreme coldest, warmest; };

/* ---- what is computed: in the tasks, and here to compare ---- */

static int month_of(int hour)
{
    static const int ends[12] = { 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };
    int month = 0;
    while (month < 11 && hour / 24 >= ends[month])
        month++;
    return month;
}

/* false: there is no temperature at all. */
static bool summarise(const struct station *s, struct summary *ret)
{
    long long sum = 0, rain = 0, months[12] = { 0 };
    unsigned n = 0, of_month[12] = { 0 };
    *ret = (struct summary){ .readings = (unsigned)s->n };
    for (size_t i = 0; i < s->n; i++) {
        const struct reading *r = &s->readings[i];
        int month = month_of(r->hour);
        rain += r->rain == MISSING ? 0 : r->rain;
        if (r->degrees == MISSING) {
            ret->missing++;
            continue;
        }
        if (n == 0 || r->degrees < ret->coldest.degrees)
            ret->coldest = (struct extreme){ r->hour, r->degrees };
        if (n++ == 0 || r->degrees > ret->warmest.degrees)
            ret->warmest = (struct extreme){ r->hour, r->degrees };
        sum += r->degrees;
        months[month] += r->degrees;
        of_month[month]++;
    }
    ret->mean = n ? (double)sum / 10 / n : 0;
    ret->rain = (double)rain / 10;
    for (int i = 0; i < 12; i++)
        ret->months[i] = of_month[i] ? (double)months[i] / 10 / of_month[i] : 0;
    return n > 0;
}

static bool same(const struct summary *a, const struct summary *b)
{
    return a->readings == b->readings && a->missing == b->missing && a->mean == b->mean && a->rain == b->rain &&
           memcmp(a->months, b->months, sizeof(a->months)) == 0 && memcmp(&a->coldest, &b->coldest, sizeof(a->coldest)) == 0 &&
           memcmp(&a->warmest, &b->warmest, sizeof(a->warmest)) == 0;
}

/* ---- MessagePack: arguments and results are arrays, here of one map ---- */

static void pack_text(msgpack_packer *p, const char *text)
{
    msgpack_pack_str(p, strlen(text));
    msgpack_pack_str_body(p, text, strlen(text));
}

static void pack_tenths(msgpack_packer *p, int value)
{
    if (value == MISSING)
        msgpack_pack_nil(p);
    else
        msgpack_pack_int(p, value);
}

/* [{ "station": …, "height": …, "readings": [[hour, tenths of a degree or nil, tenths of a millimetre or nil] …] }] */
static void pack_station(msgpack_sbuffer *to, const struct station *s)
{
    msgpack_packer p;
    msgpack_packer_init(&p, to, msgpack_sbuffer_write);
    msgpack_pack_array(&p, 1);
    msgpack_pack_map(&p, 3);
    pack_text(&p, "station");
    pack_text(&p, s->name);
    pack_text(&p, "height");
    msgpack_pack_int(&p, s->height);
    pack_text(&p, "readings");
    msgpack_pack_array(&p, s->n);
    for (size_t i = 0; i < s->n; i++) {
        msgpack_pack_array(&p, 3);
        msgpack_pack_int(&p, s->readings[i].hour);
        pack_tenths(&p, s->readings[i].degrees);
        pack_tenths(&p, s->readings[i].rain);
    }
}

static void pack_extreme(msgpack_packer *p, const char *name, struct extreme e)
{
    pack_text(p, name);
    msgpack_pack_array(p, 2);
    msgpack_pack_int(p, e.hour);
    msgpack_pack_int(p, e.degrees);
}

static void pack_summary(msgpack_sbuffer *to, const struct summary *s)
{
    msgpack_packer p;
    msgpack_packer_init(&p, to, msgpack_sbuffer_write);
    msgpack_pack_array(&p, 1);
    msgpack_pack_map(&p, 7);
    pack_text(&p, "readings");
    msgpack_pack_unsigned_int(&p, s->readings);
    pack_text(&p, "missing");
    msgpack_pack_unsigned_int(&p, s->missing);
    pack_text(&p, "mean");
    msgpack_pack_double(&p, s->mean);
    pack_text(&p, "rain");
    msgpack_pack_double(&p, s->rain);
    pack_text(&p, "months");
    msgpack_pack_array(&p, 12);
    for (int i = 0; i < 12; i++)
        msgpack_pack_double(&p, s->months[i]);
    pack_extreme(&p, "coldest", s->coldest);
    pack_extreme(&p, "warmest", s->warmest);
}

/* The one map of the array; NULL: it is something else. */
static const msgpack_object *unpack(msgpack_unpacked *u, const void *bytes, size_t size)
{
    msgpack_unpacked_init(u);
    if (msgpack_unpack_next(u, bytes, size, NULL) != MSGPACK_UNPACK_SUCCESS || u->data.type != MSGPACK_OBJECT_ARRAY ||
        u->data.via.array.size != 1 || u->data.via.array.ptr[0].type != MSGPACK_OBJECT_MAP)
        return NULL;
    return &u->data.via.array.ptr[0];
}

/* The value of a name in a map, of this type; NULL: there is none. */
static const msgpack_object *field(const msgpack_object *map, const char *name, msgpack_object_type type)
{
    for (uint32_t i = 0; map && i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        if (kv->key.type == MSGPACK_OBJECT_STR && kv->key.via.str.size == strlen(name) &&
            memcmp(kv->key.via.str.ptr, name, kv->key.via.str.size) == 0)
            return kv->val.type == type ? &kv->val : NULL;
    }
    return NULL;
}

/* A number, or nil: MISSING. */
static bool number(const msgpack_object *o, int *ret)
{
    *ret = MISSING;
    if (o && (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER || o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER))
        *ret = (int)o->via.i64;
    return *ret != MISSING || (o && o->type == MSGPACK_OBJECT_NIL);
}

/* An array of n of them. */
static bool numbers(const msgpack_object *o, uint32_t n, int *const ret[])
{
    if (!o || o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!number(&o->via.array.ptr[i], ret[i]))
            return false;
    return true;
}

static bool real(const msgpack_object *o, double *ret)
{
    *ret = o ? o->via.f64 : 0;
    return o && o->type == MSGPACK_OBJECT_FLOAT64;
}

/* The readings live as long as the task. */
static bool unpack_station(bfork_task *task, const msgpack_object *map, struct station *s)
{
    const msgpack_object *name = field(map, "station", MSGPACK_OBJECT_STR);
    const msgpack_object *readings = field(map, "readings", MSGPACK_OBJECT_ARRAY);
    if (!name || !readings || !number(field(map, "height", MSGPACK_OBJECT_POSITIVE_INTEGER), &s->height))
        return false;
    snprintf(s->name, sizeof(s->name), "%.*s", (int)name->via.str.size, name->via.str.ptr);
    s->n = readings->via.array.size;
    s->readings = bfork_task_alloc(task, (s->n + 1) * sizeof(*s->readings));
    for (size_t i = 0; s->readings && i < s->n; i++) {
        struct reading *r = &s->readings[i];
        if (!numbers(&readings->via.array.ptr[i], 3, (int *const[]){ &r->hour, &r->degrees, &r->rain }))
            return false;
    }
    return s->readings != NULL;
}

static bool unpack_summary(const msgpack_object *map, struct summary *s)
{
    const msgpack_object *months = field(map, "months", MSGPACK_OBJECT_ARRAY);
    int readings, missing;
    if (!number(field(map, "readings", MSGPACK_OBJECT_POSITIVE_INTEGER), &readings) ||
        !number(field(map, "missing", MSGPACK_OBJECT_POSITIVE_INTEGER), &missing) ||
        !real(field(map, "mean", MSGPACK_OBJECT_FLOAT64), &s->mean) ||
        !real(field(map, "rain", MSGPACK_OBJECT_FLOAT64), &s->rain) ||
        !numbers(field(map, "coldest", MSGPACK_OBJECT_ARRAY), 2, (int *const[]){ &s->coldest.hour, &s->coldest.degrees }) ||
        !numbers(field(map, "warmest", MSGPACK_OBJECT_ARRAY), 2, (int *const[]){ &s->warmest.hour, &s->warmest.degrees }) ||
        !months || months->via.array.size != 12)
        return false;
    s->readings = (unsigned)readings;
    s->missing = (unsigned)missing;
    for (int i = 0; i < 12; i++)
        if (!real(&months->via.array.ptr[i], &s->months[i]))
            return false;
    return true;
}

/* ---- in the task processes ---- */

static int summarise_station(bfork_task *task)
{
    size_t size;
    const void *bytes = bfork_task_args_raw(task, &size);
    struct station s = { 0 };
    struct summary summary;
    msgpack_unpacked u;
    const msgpack_object *map = unpack(&u, bytes, size);
    bool sound = map && unpack_station(task, map, &s);

    msgpack_unpacked_destroy(&u);
    if (!sound)
        return bfork_raise(task, EINVAL, "this is no station with its readings");
    if (!summarise(&s, &summary))
        return bfork_raise(task, ENODATA, "%s has measured no temperature", s.name);
    msgpack_sbuffer out;
    msgpack_sbuffer_init(&out);
    pack_summary(&out, &summary);
    int rc = bfork_task_return_raw(task, out.data, out.size);
    msgpack_sbuffer_destroy(&out);
    return rc;
}

/* ---- in this process: measurements ---- */

static struct station *stations;
static size_t n_stations;

static void *grown(void *p, size_t n, size_t size)
{
    p = reallocarray(p, n, size);
    if (!p) {
        fprintf(stderr, "stations: out of memory\n");
        exit(1);
    }
    return p;
}

/* The station of this name, the last one first: files have them one after the other. */
static struct station *station_of(const char *name, int height)
{
    for (size_t i = n_stations; i-- > 0;)
        if (strcmp(stations[i].name, name) == 0)
            return &stations[i];
    stations = grown(stations, n_stations + 1, sizeof(*stations));
    struct station *s = &stations[n_stations++];
    *s = (struct station){ .height = height };
    snprintf(s->name, sizeof(s->name), "%s", name);
    return s;
}

static void add_reading(struct station *s, struct reading r)
{
    if (s->n == s->room)
        s->readings = grown(s->readings, s->room = s->room ? 2 * s->room : HOURS, sizeof(*s->readings));
    s->readings[s->n++] = r;
}

/* Warmer by day and in summer, colder the higher it is; a few hours are missing. The same everywhere and each time. */
static void make_up(void)
{
    uint32_t random = 1;
    for (int k = 0; k < SAMPLE; k++) {
        char name[NAME];
        snprintf(name, sizeof(name), "station-%02d", k + 1);
        struct station *s = station_of(name, 7 + k * k * 5);
        for (int hour = 0; hour < HOURS; hour++) {
            random = random * 1664525u + 1013904223u;
            int noise = (int)(random >> 16) % 61 - 30, summer = 182 - abs(hour / 24 - 200), day = 12 - abs(hour % 24 - 14);
            int rain = (random >> 8) % 11 == 0 ? (int)(random >> 20) % 50 : 0;
            struct reading r = { hour, 20 + summer + 4 * day - s->height / 16 + noise, rain };
            if (random % 127 == 0)
                r.degrees = MISSING;
            if (random % 251 == 0)
                r.rain = MISSING;
            add_reading(s, r);
        }
    }
}

static void print_tenths(int value, char after)
{
    if (value != MISSING)
        printf("%s%d.%d", value < 0 ? "-" : "", abs(value) / 10, abs(value) % 10);
    putchar(after);
}

static void print_sample(void)
{
    for (size_t k = 0; k < n_stations; k++)
        for (size_t i = 0; i < stations[k].n; i++) {
            const struct reading *r = &stations[k].readings[i];
            printf("%s,%d,%d,", stations[k].name, stations[k].height, r->hour);
            print_tenths(r->degrees, ',');
            print_tenths(r->rain, '\n');
        }
}

/* "-3.5" in tenths; an empty word is MISSING. */
static bool tenths(const char *word, int *ret)
{
    char *end;
    double value = strtod(word, &end);
    *ret = *word ? (int)(value * 10 + (value < 0 ? -0.5 : 0.5)) : MISSING;
    return !*end && value > -1000 && value < 10000;
}

static bool read_line(char *line)
{
    char *words[5], *end[2] = { NULL, NULL };
    line[strcspn(line, "\r\n")] = '\0';
    for (int i = 0; i < 5; i++)
        if (!(words[i] = strsep(&line, ",")))
            return false;
    struct reading r = { .hour = (int)strtol(words[2], &end[1], 10) };
    int height = (int)strtol(words[1], &end[0], 10);
    if (line || !*words[0] || strlen(words[0]) >= NAME || !*words[1] || *end[0] || height < 0 || !*words[2] || *end[1] ||
        r.hour < 0 || r.hour >= HOURS_MAX || !tenths(words[3], &r.degrees) || !tenths(words[4], &r.rain))
        return false;
    add_reading(station_of(words[0], height), r);
    return true;
}

static void read_file(const char *path)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0, number = 0;
    if (!f) {
        fprintf(stderr, "stations: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    while (number++, getline(&line, &room, f) >= 0)
        if (!read_line(line)) {
            fprintf(stderr, "stations: %s:%zu: a line is STATION,METRES,HOUR,DEGREES,MILLIMETRES\n", path, number);
            exit(1);
        }
    free(line);
    fclose(f);
}

/* ---- in this process: tasks and results ---- */

static bfork_future *submit(bfork_pool *pool, const struct station *s)
{
    const bfork_function function = { .fn = (void (*)(void))summarise_station };
    msgpack_sbuffer args;
    msgpack_sbuffer_init(&args);
    pack_station(&args, s);
    bfork_future *f = bfork_pool_submit_raw(pool, &function, NULL, args.data, args.size);
    msgpack_sbuffer_destroy(&args);
    return f;
}

static bool report(const struct station *s, bfork_future *f)
{
    struct summary summary = { 0 }, own;
    const void *bytes;
    size_t size;
    if (bfork_future_result_raw(f, &bytes, &size) != 0) {
        fprintf(stderr, "stations: %s: %s\n", s->name, bfork_last_error()->message);
        return false;
    }
    msgpack_unpacked u;
    const msgpack_object *map = unpack(&u, bytes, size);
    bool sound = map && unpack_summary(map, &summary) && summarise(s, &own) && same(&summary, &own);
    msgpack_unpacked_destroy(&u);
    if (!sound) {
        fprintf(stderr, "stations: %s: the task's result is not what this process computes\n", s->name);
        return false;
    }
    printf("%-20s %5d %7u %7u %7.2f %7.1f %7.1f %8.1f %7.2f %7.2f\n", s->name, s->height, summary.readings, summary.missing,
           summary.mean, summary.coldest.degrees / 10.0, summary.warmest.degrees / 10.0, summary.rain, summary.months[0],
           summary.months[6]);
    return true;
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    if (argc > 2 || (argc == 2 && argv[1][0] == '-' && strcmp(argv[1], "--sample") != 0)) {
        fprintf(stderr, "usage: stations [FILE | --sample]\n");
        return 2;
    }
    if (argc == 2 && argv[1][0] != '-')
        read_file(argv[1]);
    else
        make_up();
    if (argc == 2 && argv[1][0] == '-') {
        print_sample();
        return fflush(stdout) != 0 || ferror(stdout);
    }

    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, NULL);
    bfork_future **futures = grown(NULL, n_stations + 1, sizeof(*futures));
    for (size_t i = 0; i < n_stations; i++)
        futures[i] = submit(pool, &stations[i]);

    size_t wrong = 0, readings = 0;
    printf("%-20s %5s %7s %7s %7s %7s %7s %8s %7s %7s\n", "station", "m", "hours", "missing", "mean", "coldest", "warmest", "rain",
           "January", "July");
    for (size_t i = 0; i < n_stations; i++) {
        wrong += !report(&stations[i], futures[i]);
        readings += stations[i].n;
        bfork_future_free(&futures[i]);
        free(stations[i].readings);
    }
    if (wrong == 0)
        printf("%zu stations, %zu measurements; every result is what this process computes, too\n", n_stations, readings);
    free(futures);
    free(stations);
    bfork_pool_free(&pool);
    return wrong != 0 || fflush(stdout) != 0;
}
