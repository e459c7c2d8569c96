/* SPDX-License-Identifier: MPL-2.0
 * test_image.c - a program in memory: hashed, sealed, executed; and what is said where that is forbidden.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bfork.h"
#include "blob/image.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void digest_of(const void *bytes, size_t n, uint8_t digest[WIRE_DIGEST])
{
    unsigned size = WIRE_DIGEST;

    assert_int_equal(EVP_Digest(bytes, n, digest, &size, EVP_sha256(), NULL), 1);
}

static void r08_a_sealed_program_is_executed_and_never_changed(void **state)
{
    static uint8_t bytes[1 << 22];
    uint8_t digest[WIRE_DIGEST];
    struct image *i;
    struct err e = { 0 };
    char name[] = "true", *argv[] = { name, NULL }, *env[] = { NULL };
    int fd = open("/bin/true", O_RDONLY | O_CLOEXEC), status;
    ssize_t n = read(fd, bytes, sizeof(bytes));

    (void)state;
    assert_true(n > 0 && lseek(fd, 0, SEEK_SET) == 0);
    digest_of(bytes, (size_t)n, digest);
    assert_int_equal(blob_image_new("dir/true", &i, &e), 0);
    assert_int_equal(blob_image_add_file(i, fd, 100, &e), 100);
    assert_int_equal(blob_image_add_file(i, fd, sizeof(bytes), &e), n - 100);
    assert_int_equal(blob_image_add_file(i, fd, sizeof(bytes), &e), 0);
    close(fd);
    assert_int_equal(blob_image_size(i), n);
    assert_int_equal(blob_image_seal(i, digest, &e), 0);
    assert_int_equal(pwrite(blob_image_fd(i), "x", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(blob_image_fd(i), 0), -1);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, blob_image_fd(i), 0), MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        fexecve(blob_image_fd(i), argv, env);
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    blob_image_free(&i);
    assert_null(i);
}

static void other_bytes_are_told(void **state)
{
    uint8_t digest[WIRE_DIGEST];
    struct image *i;
    struct err e = { 0 };

    (void)state;
    digest_of("right", 5, digest);
    assert_int_equal(blob_image_new("", &i, &e), 0);
    assert_int_equal(blob_image_add(i, "wrong", 5, &e), 0);
    assert_int_equal(blob_image_seal(i, digest, &e), BFORK_EPROTOCOL);
    blob_image_free(&i);
}

/* In a pid namespace of its own, where the sysctl can be raised for nobody else. */
static int forbidden(const char *sysctl)
{
    struct image *i;
    struct err e = { 0 };
    int fd = open(sysctl, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "2", 1) != 1)
        return 2;
    close(fd);
    return blob_image_new("true", &i, &e) == BFORK_REFUSED && strstr(e.text, "vm.memfd_noexec=1") ? 0 : 1;
}

static void r08_a_host_that_forbids_it_is_told_how_to_change_that(void **state)
{
    const char *sysctl = "/proc/sys/vm/memfd_noexec";
    int status;
    pid_t pid;

    (void)state;
    if (access(sysctl, F_OK) != 0) {
        print_message("this kernel forbids it nowhere\n");
        return;
    }
    if ((pid = fork()) == 0) {
        if (unshare(CLONE_NEWPID) != 0)
            _exit(3);                           /* must be root, as in CI */
        if ((pid = fork()) == 0)
            _exit(forbidden(sysctl));
        _exit(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 4);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r08_a_sealed_program_is_executed_and_never_changed),
        cmocka_unit_test(other_bytes_are_told),
        cmocka_unit_test(r08_a_host_that_forbids_it_is_told_how_to_change_that),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
