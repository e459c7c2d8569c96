/* SPDX-License-Identifier: MPL-2.0
 * record.c - one task of a map, or one run, as a line of JSON.
 */
#include "record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *base64(bfork_bytes b)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = b.data;
    char *text = malloc((b.size + 2) / 3 * 4 + 1), *q = text;
    json_t *j;

    if (!text)
        return NULL;
    for (size_t i = 0; i < b.size; i += 3) {
        size_t n = b.size - i < 3 ? b.size - i : 3;
        unsigned v = (unsigned)p[i] << 16 | (n > 1 ? (unsigned)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);
        *q++ = letters[v >> 18];
        *q++ = letters[v >> 12 & 63];
        *q++ = n > 1 ? letters[v >> 6 & 63] : '=';
        *q++ = n > 2 ? letters[v & 63] : '=';
    }
    j = json_stringn(text, (size_t)(q - text));
    free(text);
    return j;
}

static int put_json_bytes(json_t *o, const char *name, const char *name_base64, bfork_bytes b)
{
    json_t *j = json_stringn(b.size ? b.data : "", b.size);

    return j ? json_object_set_new(o, name, j) : json_object_set_new(o, name_base64, base64(b));
}

/* Words of an operating system need not be UTF-8: what is not becomes base64, too, as an object that says so. */
static int put_json_words(json_t *o, const char *name, const char *const *words, size_t n)
{
    json_t *a = json_array();
    int rc = a ? 0 : -1;

    for (size_t i = 0; i < n && rc == 0; i++) {
        json_t *j = json_string(words[i]);
        rc = json_array_append_new(a, j ? j : json_pack("{s:o}", "base64", base64(bfork_bytes_of(words[i], strlen(words[i])))));
    }
    return json_object_set_new(o, name, a) | rc;
}

static json_t *error_object(const bfork_error *e)
{
    json_t *o = json_object();
    int rc = json_object_set_new(o, "kind", json_string(bfork_status_name(e->kind)));

    rc |= put_json_bytes(o, "message", "message_base64", bfork_bytes_of(e->message, strlen(e->message)));
    rc |= json_object_set_new(o, "code", json_integer(e->code));
    rc |= json_object_set_new(o, "signal", json_integer(e->signal));
    rc |= json_object_set_new(o, "attempt", json_integer(e->attempt));
    rc |= json_object_set_new(o, "pid", json_integer(e->pid));
    rc |= put_json_bytes(o, "host", "host_base64", bfork_bytes_of(e->host, strlen(e->host)));
    rc |= put_json_bytes(o, "output", "output_base64", bfork_bytes_of(e->output, strlen(e->output)));
    if (rc != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static int fill_record(json_t *o, const struct record *r)
{
    size_t words = 0;
    int rc = 0;

    while (r->argv[words])
        words++;
    if (r->number > 0)
        rc |= json_object_set_new(o, "task", json_integer((json_int_t)r->number));
    if (r->args)
        rc |= put_json_words(o, "args", r->args, r->n_args);
    rc |= put_json_words(o, "command", (const char *const *)r->argv, words);
    rc |= json_object_set_new(o, "exit", r->error ? json_null() : json_integer(r->status));
    rc |= json_object_set_new(o, "signal", json_integer(r->signal));
    rc |= json_object_set_new(o, "tries", json_integer(r->tries));
    if (r->error)
        rc |= json_object_set_new(o, "error", error_object(r->error));
    rc |= put_json_bytes(o, "stdout", "stdout_base64", r->out);
    return rc | put_json_bytes(o, "stderr", "stderr_base64", r->err);
}

int cli_record_print(const struct record *r, FILE *to)
{
    json_t *o = json_object();
    char *text = NULL;

    if (o && fill_record(o, r) == 0)
        text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(o);
    if (!text)
        return BFORK_ENOMEM;
    fprintf(to, "%s\n", text);
    free(text);
    return 0;
}
