/* SPDX-License-Identifier: MPL-2.0
 * packets_test.c - what a template or a keeper has said before it ended is heard, whatever it left unread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "exec/packets.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel tells of a peer that closed with unread packets before it gives out what that peer had sent. */
static void r24_last_words_are_heard(void **state)
{
    struct packet said = { .type = PACKET_FAILED, .code = -1 }, order = { .type = PACKET_HELLO }, heard;
    int ends[2], fds[PACKET_FDS];
    (void)state;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    snprintf(said.text, sizeof(said.text), "why it ended");
    assert_int_equal(exec_packet_send(ends[0], &order, NULL, 0, true), 0);
    assert_int_equal(exec_packet_send(ends[1], &said, NULL, 0, true), 0);
    close(ends[1]);
    assert_int_equal(exec_packet_recv(ends[0], &heard, fds, false), 1);
    assert_int_equal(heard.type, PACKET_FAILED);
    assert_string_equal(heard.text, "why it ended");
    assert_int_equal(exec_packet_recv(ends[0], &heard, fds, false), 0);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(r24_last_words_are_heard) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
