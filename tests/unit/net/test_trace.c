/* SPDX-License-Identifier: MPL-2.0
 * test_trace.c - traces of messages: what a line says and what it does not, that it is tame and bounded, and so is what is written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bfork.h"
#include "net/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char text[1 << 20];

static size_t file_read(const char *name)
{
    FILE *f = fopen(name, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

    text[n] = '\0';
    if (f)
        fclose(f);
    return n;
}

static struct net_trace *begin(const char *name, uint64_t most)
{
    struct net_trace *t = NULL;
    struct err e = { 0, "" };

    assert_int_equal(net_trace_open(name, most, &t, &e), 0);
    return t;
}

static unsigned lines(void)
{
    unsigned n = 0;

    for (const char *p = text; (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

static void a_line_says_when_where_who_and_what(void **state)
{
    struct wire_msg m = { .type = WIRE_PING };
    struct net_trace *t;
    char when[64], rest[256];
    (void)state;

    unlink("one");
    t = begin("one", NET_TRACE_MOST);
    m.u.ping.stamp = 7;
    net_trace_message(t, true, "client 3 \"alice\"", &m);
    net_trace_message(t, false, "client 3 \"alice\"", &m);
    net_trace_unread(t, "the broker", 17, "it is\x1b[31m red");
    net_trace_close(&t);
    net_trace_message(t, false, "nobody", &m);          /* NULL: nothing */
    file_read("one");
    assert_int_equal(lines(), 3);
    assert_int_equal(sscanf(text, "%*d-%*d-%*d %63s to %255[^\n]", when, rest), 2);
    assert_string_equal(rest, "client 3 \"alice\": PING stamp=7");
    assert_non_null(strstr(text, " from client 3 \"alice\": PING stamp=7\n"));
    assert_non_null(strstr(text, " from the broker: 17 bytes that are no message: it is?[31m red\n"));
    assert_null(strchr(text, '\x1b'));
}

static void what_is_not_ours_is_told_by_its_size(void **state)
{
    static uint8_t bytes[] = "a secret, a secret";
    struct wire_item items[9] = { { .id = 5, .job = 2, .count = 1 } };
    struct wire_msg m = { .type = WIRE_CHUNKS, .items = items, .n_items = 9 };
    struct net_trace *t;
    (void)state;

    unlink("private");
    t = begin("private", NET_TRACE_MOST);
    memset(items[0].ticket, 0xab, sizeof(items[0].ticket));
    items[0].body = (struct slice){ .data = bytes, .size = sizeof(bytes) - 1 };
    net_trace_message(t, true, "worker 1 x", &m);
    m = (struct wire_msg){ .type = WIRE_POOL_OPEN };
    m.u.pool_open.digest = (struct wire_bin){ bytes, 4 };
    m.u.pool_open.spec = (struct wire_bin){ bytes, sizeof(bytes) - 1 };
    net_trace_message(t, false, "client 1 x", &m);
    net_trace_close(&t);
    file_read("private");
    assert_int_equal(lines(), 2);
    assert_non_null(strstr(text, "ticket=<16 bytes>"));
    assert_non_null(strstr(text, "body=<18 bytes>"));
    assert_non_null(strstr(text, "spec=<18 bytes>"));
    assert_non_null(strstr(text, "digest=<4 bytes: 61"));
    assert_non_null(strstr(text, " and 5 more\n"));
    assert_null(strstr(text, "secret"));
    assert_null(strstr(text, "ab:ab"));
}

static void a_line_is_bounded(void **state)
{
    struct wire_msg m = { .type = WIRE_HELLO };
    struct net_trace *t;
    static char name[3000];
    char who[400];
    (void)state;

    unlink("long");
    t = begin("long", NET_TRACE_MOST);
    memset(name, '\x01', sizeof(name));                 /* each is shown by four characters */
    memset(who, 'w', sizeof(who));
    who[sizeof(who) - 1] = '\0';
    m.u.hello.software = m.u.hello.name = m.u.hello.host = m.u.hello.resources = (struct wire_str){ name, sizeof(name) };
    net_trace_message(t, true, who, &m);
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    net_trace_unread(t, who, 1, name);
    net_trace_close(&t);
    assert_in_range(file_read("long"), 3000, 4096);
    assert_int_equal(lines(), 2);
    assert_non_null(strstr(text, " ...\n"));
}

static void a_file_is_bounded_and_the_end_of_what_was_is_kept(void **state)
{
    struct wire_msg m = { .type = WIRE_PING };
    struct net_trace *t;
    struct stat st, old;
    (void)state;

    unlink("ring");
    unlink("ring.old");
    t = begin("ring", 10000);
    for (m.u.ping.stamp = 1; m.u.ping.stamp <= 5000; m.u.ping.stamp++)
        net_trace_message(t, true, "c", &m);
    net_trace_close(&t);
    assert_int_equal(stat("ring", &st), 0);
    assert_int_equal(stat("ring.old", &old), 0);
    assert_in_range(st.st_size, 1, 10000);
    assert_in_range(old.st_size, 9000, 10000);
    assert_int_equal(st.st_mode & 0777, 0600);
    file_read("ring");
    assert_non_null(strstr(text, "stamp=5000\n"));
    t = begin("ring", 10000);                           /* gone on with, not over the bound */
    for (m.u.ping.stamp = 5001; m.u.ping.stamp <= 5400; m.u.ping.stamp++)
        net_trace_message(t, true, "c", &m);
    net_trace_close(&t);
    assert_int_equal(stat("ring", &st), 0);
    assert_in_range(st.st_size, 1, 10000);
}

static void a_place_that_is_no_file_is_refused(void **state)
{
    struct net_trace *t = NULL;
    struct err e = { 0, "" };
    char path[5000];
    (void)state;

    unlink("target");
    unlink("link");
    unlink("pipe");
    assert_int_equal(symlink("target", "link"), 0);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(net_trace_open("link", 1000, &t, &e), BFORK_EINVAL);
    assert_int_equal(access("target", F_OK), -1);
    assert_int_equal(net_trace_open("pipe", 1000, &t, &e), BFORK_EINVAL);
    assert_int_equal(net_trace_open(".", 1000, &t, &e), BFORK_EINVAL);
    assert_int_equal(net_trace_open("/dev/null", 1000, &t, &e), BFORK_EINVAL);
    assert_non_null(strstr(e.text, "the trace /dev/null is not a file"));
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(net_trace_open(path, 1000, &t, &e), BFORK_EINVAL);
    assert_null(t);
}

static void on_stderr_there_are_so_many_in_a_second(void **state)
{
    struct wire_msg m = { .type = WIRE_PING };
    struct net_trace *t = begin("-", 0);
    int was = dup(STDERR_FILENO), fd = open("said", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    (void)state;

    dup2(fd, STDERR_FILENO);
    for (m.u.ping.stamp = 1; m.u.ping.stamp <= 1000; m.u.ping.stamp++)
        net_trace_message(t, true, "c", &m);
    file_read("said");
    unsigned first = lines();
    for (; !strstr(text, "were left out)"); m.u.ping.stamp++) {     /* until the second is over */
        net_trace_message(t, true, "c", &m);
        file_read("said");
    }
    dup2(was, STDERR_FILENO);
    close(was);
    close(fd);
    net_trace_close(&t);
    assert_in_range(first, NET_TRACE_LINES, 3 * NET_TRACE_LINES);   /* a busy machine may need some seconds for a thousand */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_when_where_who_and_what),
        cmocka_unit_test(what_is_not_ours_is_told_by_its_size),
        cmocka_unit_test(a_line_is_bounded),
        cmocka_unit_test(a_file_is_bounded_and_the_end_of_what_was_is_kept),
        cmocka_unit_test(a_place_that_is_no_file_is_refused),
        cmocka_unit_test(on_stderr_there_are_so_many_in_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
