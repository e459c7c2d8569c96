/* SPDX-License-Identifier: MPL-2.0
 * What a binding of another language does: no macro, no inline function, no callback, no FILE; the function is named, in a shared
 * object, and arguments and results are MessagePack bytes. This main does not call bfork_init. */
#include <bfork.h>
#include <stdio.h>
#include <string.h>

static int bind_call(const char *object, const char *symbol, const void *args, size_t size, void *out, size_t room,
                     size_t *ret_size, char *text, size_t text_size)
{
    bfork_session *s = bfork_session_new(NULL, NULL);
    bfork_pool *p = bfork_pool_new(s, BFORK_ALL, NULL);
    bfork_function fn;
    const void *data;

    memset(&fn, 0, sizeof(fn));
    fn.object = object;
    fn.symbol = symbol;
    bfork_future *f = bfork_pool_submit_raw(p, &fn, NULL, args, size);
    int rc = bfork_future_result_raw(f, &data, ret_size);
    if (rc != 0)
        snprintf(text, text_size, "%s", bfork_future_error(f)->message);
    else if (*ret_size > room)
        rc = BFORK_ETOOBIG;
    else
        memcpy(out, data, *ret_size);
    bfork_future_free(&f);
    bfork_pool_free(&p);
    bfork_session_free(&s);
    return rc;
}

int main(int argc, char **argv)
{
    static const unsigned char both[] = { 0x92, 0x03, 0x04 }, one[] = { 0x91, 0x03 };
    unsigned char out[16];
    char text[512];
    size_t size = 0;

    if (argc != 2)
        return 2;
    int rc = bind_call(argv[1], "add", both, sizeof(both), out, sizeof(out), &size, text, sizeof(text));
    printf("add: %s", bfork_status_name(rc));
    for (size_t i = 0; rc == 0 && i < size; i++)
        printf(" %02x", out[i]);
    rc = bind_call(argv[1], "add", one, sizeof(one), out, sizeof(out), &size, text, sizeof(text));
    printf("\nadd, one argument: %s\n", bfork_status_name(rc));
    rc = bind_call(argv[1], "subtract", both, sizeof(both), out, sizeof(out), &size, text, sizeof(text));
    printf("subtract: %s, %s\n", bfork_status_name(rc), strstr(text, "subtract") ? "and its name is in the text" : text);
    return 0;
}
