/* SPDX-License-Identifier: MPL-2.0
 * protocol_tables.c - prints the tables of docs/protocol.md, as Markdown, from the field tables of common/wire. A table begins with
 * a line "<!-- table NAME -->" and ends with "<!-- end -->"; what is between belongs to this tool.
 */
#include "wire/fields.h"

#include <stdio.h>

static const char *type_name(const struct wire_field *f)
{
    static const char *const names[] = { "u32", "u64", "i32", "bool", "str", "bin" };

    return names[f->type];
}

static void print_field(const struct wire_field *f)
{
    printf("| %u | `%s` | %s | ", f->key, f->name, type_name(f));
    if (f->type >= FIELD_STR)
        printf("%s%u bytes", f->flags & FIELD_EXACT ? "= " : "≤ ", f->limit);
    else if (f->limit)
        printf("%s%u", f->flags & FIELD_NONZERO ? "1 to " : "≤ ", f->limit);
    else if (f->flags & FIELD_NONZERO)
        printf("≠ 0");
    printf(" | %s | %s%s | %u |\n", f->flags & FIELD_REQUIRED ? "yes" : "",
           f->from == FROM_WORKER ? "Workers: "
           : f->from == TO_CLIENT ? "To clients: "
                                  : "",
           f->help, f->since);
}

static void print_map(const struct wire_map *map)
{
    if (map->n == 0) {
        printf("The head is empty.\n");
        return;
    }
    printf("| key | field | type | limit | required | meaning | since |\n|--:|---|---|---|---|---|--:|\n");
    for (uint32_t i = 0; i < map->n; i++)
        print_field(&map->fields[i]);
}

static const char *ways(const struct wire_message *d)
{
    static const struct { uint8_t ways; const char *text; } names[] = {
        { FROM_ANY, "anybody → broker" }, { TO_ANY, "broker → anybody" }, { FROM_ANY | TO_ANY, "both ways" },
        { FROM_CLIENT, "client → broker" }, { TO_CLIENT, "broker → client" }, { FROM_WORKER, "worker → broker" },
        { TO_WORKER, "broker → worker" }, { FROM_ADMIN, "administrator → broker" },
        { FROM_CLIENT | FROM_ADMIN, "client, administrator → broker" }, { TO_CLIENT | TO_ADMIN, "broker → client, administrator" },
        { FROM_WORKER | TO_CLIENT, "worker → broker → client" }, { FROM_CLIENT | TO_WORKER, "client → broker → worker" },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].ways == d->ways)
            return names[i].text;
    return "?";
}

static void print_overview(void)
{
    static const char *const loads[] = { "", "records", "items", "body" };

    printf("<!-- table overview -->\n| type | message | who | carries | purpose |\n|--:|---|---|---|---|\n");
    for (unsigned type = 0; type < 128; type++) {
        const struct wire_message *d = wire_message_of(type);

        if (d)
            printf("| %u | [%s](#%s) | %s | %s | %s |\n", type, d->name, d->name, ways(d), loads[d->load], d->help);
    }
    printf("<!-- end -->\n\n");
}

static void print_message(unsigned type, const struct wire_message *d)
{
    static const char *const widths[] = { "", "u8", "u16", "", "u32", "", "", "", "u64" };

    printf("<!-- table %s -->\n<a id=\"%s\"></a>**%s** (type %u, %s). %s\n\n", d->name, d->name, d->name, type, ways(d), d->help);
    print_map(&d->head);
    if (d->n_columns) {
        printf("\nA record has %u bytes", d->record_size);
        if (d->record_v1 < d->record_size)
            printf(" (the first %u if there is no `stride`)", d->record_v1);
        printf(":\n\n| offset | field | type | meaning |\n|--:|---|---|---|\n");
        for (unsigned i = 0; i < d->n_columns; i++) {
            const struct wire_column *c = &d->columns[i];

            if (c->width <= 8)
                printf("| %u | `%s` | %s | %s |\n", c->at, c->name, widths[c->width], c->help);
            else
                printf("| %u | `%s` | %u bytes | %s |\n", c->at, c->name, c->width, c->help);
        }
    }
    if (d->body_max)
        printf("\nThe body has at most %u bytes.\n", d->body_max);
    printf("<!-- end -->\n\n");
}

static void print_limits(void)
{
    static const struct { const char *what; unsigned value;
    } limits[] = {
        { "one frame", WIRE_FRAME_MAX },
        { "the body of one frame", WIRE_BODY_MAX },
        { "arguments of one task, or one result", WIRE_TASK_MAX },
        { "one piece of a blob", WIRE_PIECE_MAX },
        { "all that a broker holds for one client key, unless configured", WIRE_OWNER_MEMORY },
        { "all that it holds for one worker key", WIRE_WORKER_MEMORY },
        { "specifications of pools of one client key that one worker keeps; as much of jobs", WIRE_SPECS_MAX },
        { "a window; a larger one is cut to this", WIRE_WINDOW_MAX },
        { "a pool or job specification", WIRE_SPEC_MAX },
        { "a function", WIRE_FN_MAX },
    };

    printf("<!-- table limits -->\n| what | at most |\n|---|--:|\n");
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        printf("| %s | %u bytes |\n", limits[i].what, limits[i].value);
    printf("| records in one frame | %u |\n| tasks in one item of kind OK | %u |\n| nesting of values that are skipped or unpacked "
           "| %u |\n"
           "| keys of maps | 0 to %u |\n| keys that must be understood | %u to %u |\n| bytes from one record to the next | %u |\n"
           "| protocol versions spoken | %u to %u |\n<!-- end -->\n\n",
           WIRE_ITEMS_MAX, WIRE_BATCH_TASKS, WIRE_DEPTH_MAX, WIRE_KEYS_MAX - 1, WIRE_KEYS_MUST, WIRE_KEYS_MAX - 1,
           WIRE_STRIDE_MAX, WIRE_PROTOCOL_MIN, WIRE_PROTOCOL);
}

int main(void)
{
    static const struct wire_map *const documents[] = { &wire_fn_map, &wire_pool_spec_map, &wire_job_spec_map, &wire_outcome_map };

    print_overview();
    print_limits();
    for (unsigned type = 0; type < 128; type++)
        if (wire_message_of(type))
            print_message(type, wire_message_of(type));
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        printf("<!-- table %s -->\n", documents[i]->name);
        print_map(documents[i]);
        printf("<!-- end -->\n\n");
    }
    return 0;
}
