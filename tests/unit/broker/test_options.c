/* SPDX-License-Identifier: MPL-2.0
 * Options of bfork-broker, what follows from them, and the MAC of tickets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth.h"
#include "bfork.h"
#include "options.h"
#include "wire/times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct options options;
static struct paths paths;

static int read_options(struct err *e, const char *a, const char *b, const char *c, const char *d)
{
    char *argv[] = { (char *)"bfork-broker", (char *)a, (char *)b, (char *)c, (char *)d, NULL };
    struct conf *conf = NULL;
    int argc = 1, rc;

    while (argv[argc])
        argc++;
    rc = bsh_options_read(argc, argv, &options, &paths, &conf, e);
    conf_free(&conf);
    return rc;
}

static void ports_follow_from_the_clients(void **state)
{
    struct err e = { 0, "" };
    (void)state;

    assert_int_equal(read_options(&e, "--dir", "/d", "--endpoint", "tcp://10.0.0.1:9000"), 0);
    assert_string_equal(paths.worker_endpoint, "tcp://10.0.0.1:9001");
    assert_string_equal(paths.admin_endpoint, "tcp://127.0.0.1:9002");
    assert_string_equal(paths.key, "/d/broker.key");
    assert_string_equal(paths.secret, "/d/broker.secret");
    assert_string_equal(paths.clients, "/d/allow/clients");
    assert_int_equal(read_options(&e, "--dir=/d", "--admin-endpoint=tcp://10.0.0.1:1", "--key=/k/b.key", NULL), 0);
    assert_string_equal(paths.admin_endpoint, "tcp://10.0.0.1:1");
    assert_string_equal(paths.secret, "/k/broker.secret");
}

static void the_folder_comes_from_the_environment(void **state)
{
    struct err e = { 0, "" };
    (void)state;

    setenv("BFORK_DIR", "/env", 1);
    assert_int_equal(read_options(&e, NULL, NULL, NULL, NULL), 0);
    assert_string_equal(paths.dir, "/env");
    assert_int_equal(read_options(&e, "--dir=/flag", NULL, NULL, NULL), 0);
    assert_string_equal(paths.dir, "/flag");
    unsetenv("BFORK_DIR");
    setenv("HOME", "/var/x", 1);
    assert_int_equal(read_options(&e, NULL, NULL, NULL, NULL), 0);
    assert_string_equal(paths.dir, "/var/x/.config/broadfork");
}

static void nonsense_is_refused(void **state)
{
    struct err e = { 0, "" };
    (void)state;

    assert_true(read_options(&e, "--nonsense", NULL, NULL, NULL) < 0);
    assert_true(read_options(&e, "--dir=/d", "word", NULL, NULL) < 0);
    assert_non_null(strstr(e.text, "word"));
    assert_true(read_options(&e, "--dir=/d", "--lease=1s", "--heartbeat=1s", NULL) < 0);
    assert_non_null(strstr(e.text, "lease"));
    assert_true(read_options(&e, "--dir=/d", "--lease=10s", "--hold=12999ms", NULL) < 0);
    assert_non_null(strstr(e.text, "13000ms"));
    assert_int_equal(read_options(&e, "--dir=/d", "--lease=10s", "--hold=13s", NULL), 0);
    assert_true(read_options(&e, "--dir=/d", "--endpoint=tcp://nowhere", NULL, NULL) < 0);
    assert_true(read_options(&e, "--dir=/d", "--config=/none/such", NULL, NULL) < 0);
    assert_non_null(strstr(e.text, "/none/such"));
}

static void r18_defaults_of_the_times_are_those_of_the_table(void **state)
{
    struct err e = { 0, "" };
    (void)state;

    assert_int_equal(read_options(&e, "--dir=/d", NULL, NULL, NULL), 0);
    assert_int_equal(options.heartbeat_ms, TIME_HEARTBEAT_MS);
    assert_int_equal(options.lease_ms, TIME_LEASE_MS);
    assert_int_equal(options.hold_ms, TIME_HOLD_MS);
    assert_int_equal(options.detach_ms, TIME_DETACH_MS);
    assert_int_equal(options.hello_ms, TIME_HELLO_MS);
}

static void tickets_depend_on_secret_and_bytes(void **state)
{
    static struct auth a, b;
    uint8_t one[16], again[16], other[16];
    (void)state;

    memset(a.secret, 1, 32);
    memset(b.secret, 2, 32);
    bsh_auth_mac(&a, "range", 5, one);
    bsh_auth_mac(&a, "range", 5, again);
    assert_memory_equal(one, again, 16);
    bsh_auth_mac(&a, "rangf", 5, other);
    assert_memory_not_equal(one, other, 16);
    bsh_auth_mac(&b, "range", 5, other);
    assert_memory_not_equal(one, other, 16);
    /* HMAC-SHA256, this value was made with: openssl dgst -sha256 -mac HMAC */
    static const uint8_t known[16] = { 0xcc, 0xa9, 0x93, 0x8f, 0x16, 0x10, 0xa8, 0xf2,
                                       0xce, 0xc9, 0x94, 0x79, 0xde, 0x46, 0xbf, 0x6a };
    assert_memory_equal(one, known, 16);
    bsh_auth_done(&a);
    bsh_auth_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_follow_from_the_clients),
        cmocka_unit_test(the_folder_comes_from_the_environment),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(r18_defaults_of_the_times_are_those_of_the_table),
        cmocka_unit_test(tickets_depend_on_secret_and_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
