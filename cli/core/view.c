/* SPDX-License-Identifier: MPL-2.0
 * view.c - what a broker says of itself (JSON) as text for people. The JSON is from a peer: every type is checked, never asserted.
 */
#include "view.h"

#include "bar.h"
#include "base/text.h"
#include "table.h"

#include <bfork.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum form { FORM_TEXT, FORM_NUMBER, FORM_SECONDS };

struct column { const char *key, *title; enum form form; };

static const struct column worker_columns[] = {
    { "name", "WORKER", FORM_TEXT },   { "host", "HOST", FORM_TEXT },     { "state", "STATE", FORM_TEXT },
    { "slots", "SLOTS", FORM_NUMBER }, { "busy", "BUSY", FORM_NUMBER },   { "held", "HELD", FORM_NUMBER },
    { "done", "DONE", FORM_NUMBER },   { "up_s", "UP", FORM_SECONDS },    { "resources", "RESOURCES", FORM_TEXT },
    { "key", "KEY", FORM_TEXT },
};
static const struct column job_columns[] = {
    { "name", "JOB", FORM_TEXT },        { "client", "CLIENT", FORM_TEXT },     { "host", "HOST", FORM_TEXT },
    { "state", "STATE", FORM_TEXT },     { "queued", "QUEUED", FORM_NUMBER },   { "running", "RUNNING", FORM_NUMBER },
    { "done", "DONE", FORM_NUMBER },     { "failed", "FAILED", FORM_NUMBER },   { "up_s", "AGE", FORM_SECONDS },
};

static const struct column key_columns[] = {
    { "name", "KEY OF", FORM_TEXT },      { "bytes", "BYTES", FORM_NUMBER },     { "clients", "CLIENTS", FORM_NUMBER },
    { "queued", "QUEUED", FORM_NUMBER }, { "running", "RUNNING", FORM_NUMBER },
};

static uint64_t number(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));

    return n > 0 ? (uint64_t)n : 0;
}

static void put_cell(struct table *t, const json_t *row, const struct column *c)
{
    const json_t *j = json_object_get(row, c->key);
    char buf[BAR_TEXT];
    const char *text = "-";

    if (json_is_string(j) && *json_string_value(j))
        text = json_string_value(j);
    else if (json_is_integer(j) && c->form == FORM_SECONDS)
        text = cli_bar_duration(number(row, c->key), buf);
    else if (json_is_integer(j))
        text = cli_bar_number(number(row, c->key), buf);
    cli_table_cell(t, text);
}

static int print_rows(const json_t *rows, const struct column *columns, size_t n, const char *none, FILE *to, struct err *e)
{
    char align[TABLE_COLUMNS_MAX + 1] = "";
    struct table *t;
    const json_t *row;
    size_t i;
    int rc;

    if (!json_is_array(rows))
        return err_set(e, BFORK_EPROTOCOL, "the broker's answer has no list of rows; is it of another version?");
    if (json_array_size(rows) == 0) {
        fprintf(to, "%s\n", none);
        return 0;
    }
    for (size_t k = 0; k < n; k++)
        align[k] = columns[k].form == FORM_TEXT ? 'l' : 'r';
    if (!(t = cli_table_new(align)))
        return err_set(e, BFORK_ENOMEM, "out of memory");
    for (size_t k = 0; k < n; k++)
        cli_table_cell(t, columns[k].title);
    json_array_foreach(rows, i, row)
        for (size_t k = 0; k < n; k++)
            put_cell(t, row, &columns[k]);
    rc = cli_table_print(t, to);
    cli_table_free(&t);
    return rc < 0 ? err_set(e, rc, "out of memory") : 0;
}

/* broker   tcp://a:7700   up 3 d 04:11   12 workers, 96 slots (93 busy)   queued 58,767   running 93   done 41,233   failed 3
 * holds 1,234 of 2,147,483,648 bytes, in the same line. For an administrator the keys follow that they are held for. */
static int print_summary(const json_t *o, FILE *to, struct err *e)
{
    static const char *const counts[] = { "queued", "running", "done", "failed" };
    const char *value = json_string_value(json_object_get(o, "endpoint"));
    char a[BAR_TEXT], b[BAR_TEXT], c[BAR_TEXT], endpoint[256];

    snprintf(endpoint, sizeof(endpoint), "%s", value && *value ? value : "in this process");
    text_clean(endpoint, strlen(endpoint), false);
    fprintf(to, "broker   %s", endpoint);
    if (json_is_integer(json_object_get(o, "uptime_s")))
        fprintf(to, "   up %s", cli_bar_duration(number(o, "uptime_s"), a));
    fprintf(to, "   %s worker%s, %s slots (%s busy)", cli_bar_number(number(o, "workers"), a), number(o, "workers") == 1 ? "" : "s",
            cli_bar_number(number(o, "slots"), b), cli_bar_number(number(o, "busy"), c));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        fprintf(to, "   %s %s", counts[i], cli_bar_number(number(o, counts[i]), a));
    if (json_is_integer(json_object_get(o, "bytes")))
        fprintf(to, "   holds %s", cli_bar_number(number(o, "bytes"), a));
    if (json_is_integer(json_object_get(o, "bytes_most")))
        fprintf(to, " of %s", cli_bar_number(number(o, "bytes_most"), b));
    fputs(json_is_integer(json_object_get(o, "bytes")) ? " bytes\n" : "\n", to);
    if (!json_is_array(json_object_get(o, "keys")))
        return 0;
    return print_rows(json_object_get(o, "keys"), key_columns, sizeof(key_columns) / sizeof(key_columns[0]), "no client is known",
                      to, e);
}

int cli_view_print(const char *what, const char *json, FILE *to, struct err *e)
{
    json_error_t where;
    json_t *o = json_loads(json, 0, &where);
    int rc = 0;

    if (!json_is_object(o))
        rc = err_set(e, BFORK_EPROTOCOL, "the broker's answer is not understood (%s); is it of another version?",
                     o ? "not an object" : where.text);
    else if (strcmp(what, "workers") == 0)
        rc = print_rows(json_object_get(o, "workers"), worker_columns, sizeof(worker_columns) / sizeof(worker_columns[0]),
                        "no worker has joined; on a host: bfork-worker --key worker.key", to, e);
    else if (strcmp(what, "jobs") == 0)
        rc = print_rows(json_object_get(o, "jobs"), job_columns, sizeof(job_columns) / sizeof(job_columns[0]), "no jobs", to, e);
    else
        rc = print_summary(o, to, e);
    json_decref(o);
    return rc;
}

int cli_view_json(const char *json, FILE *to, struct err *e)
{
    json_error_t where;
    json_t *o = json_loads(json, 0, &where);
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    int rc = 0;

    if (text)
        fprintf(to, "%s\n", text);
    else
        rc = err_set(e, o ? BFORK_ENOMEM : BFORK_EPROTOCOL, "%s",
                     o ? "out of memory" : "the broker's answer is no JSON; is it of another version?");
    free(text);
    json_decref(o);
    return rc;
}
