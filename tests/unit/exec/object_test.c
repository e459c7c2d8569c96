/* SPDX-License-Identifier: MPL-2.0
 * object_test.c - function pointers as (object, offset) and back, and which pointers are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bfork.h"
#include "exec/elf.h"
#include "exec/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int exec_lonely(int x);

static int plain(int x) { return x * 3 + 1; }
int visible(int x);
__attribute__((visibility("default"))) int visible(int x) { return plain(x) + 1; }

#define P(f) ((object_pointer *)(f))

/* The example of the protocol's page, and the page has it. */
static void the_layout_is_computed_as_the_page_says(void **state)
{
    static const struct object_segment s[] = { { 1, 5, 0, 0, 0x1000, 0x1000, 0x1000 }, { 2, 6, 0x2df0, 0x3df0, 0x1f0, 0x1f0, 8 } };
    static char page[400000];
    FILE *f = fopen(PROTOCOL_DOCUMENT, "re");
    uint8_t layout[WIRE_DIGEST];
    char text[2 * WIRE_DIGEST + 1];
    (void)state;

    exec_object_layout(s, 2, layout);
    for (unsigned i = 0; i < WIRE_DIGEST; i++)
        snprintf(text + 2 * i, 3, "%02x", layout[i]);
    assert_string_equal(text, "3aa4a3044ab7c9179eaa8f15617151f99b65b83f9ce98d40f32d30281c85d72b");
    assert_non_null(f);
    page[fread(page, 1, sizeof(page) - 1, f)] = 0;
    fclose(f);
    assert_non_null(strstr(page, text));
    exec_object_layout(s, 0, layout);
    assert_memory_equal(layout, "\x25\x23\x22\x84\xe4\x9c\xf2\xcb", 8);
}

static void a_function_of_the_program_comes_back(void **state)
{
    struct object_fn f;
    object_pointer *back;
    struct err e = { 0 };
    char name[64];
    (void)state;

    assert_int_equal(exec_object_function(P(plain), &f, &e), 0);
    assert_true(object_is_program(&f));
    assert_int_equal(exec_object_resolve(&f.fn, &back, &e), 0);
    assert_ptr_equal(back, P(plain));
    assert_true(exec_object_symbol((void *)(uintptr_t)plain, name, sizeof(name)));
    assert_string_equal(name, "plain");
}

static void a_function_of_a_shared_object_comes_back(void **state)
{
    struct object_fn f;
    object_pointer *back;
    struct err e = { 0 };
    (void)state;

    assert_int_equal(exec_object_function(P(exec_lonely), &f, &e), 0);
    assert_false(object_is_program(&f));
    assert_non_null(strstr(f.object, "libexec_lonely.so"));
    assert_string_equal(f.symbol, "exec_lonely");
    assert_int_equal(exec_object_resolve(&f.fn, &back, &e), 0);
    assert_ptr_equal(back, P(exec_lonely));
}

static void refused(object_pointer *p, const char *part)
{
    struct object_fn f;
    struct err e = { 0 };

    assert_int_equal(exec_object_function(p, &f, &e), BFORK_EINVAL);
    if (!strstr(e.text, part))
        fail_msg("\"%s\" should say \"%s\"", e.text, part);
}

static void pointers_that_cannot_travel_are_refused(void **state)
{
    void *anywhere = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int local;
    (void)state;

    refused(NULL, "NULL");
    refused(P(getpid), "system library libc");
    refused((object_pointer *)(uintptr_t)((uintptr_t)plain + 1), "not the start of a function");
    refused((object_pointer *)(uintptr_t)&local, "not a function");
    refused((object_pointer *)(uintptr_t)anywhere, "not a function");
    munmap(anywhere, 4096);
}

static void another_build_is_refused(void **state)
{
    struct object_fn f;
    object_pointer *back;
    struct err e = { 0 };
    (void)state;

    assert_int_equal(exec_object_function(P(exec_lonely), &f, &e), 0);
    f.layout[0] ^= 1;
    assert_int_equal(exec_object_resolve(&f.fn, &back, &e), BFORK_REFUSED);
    assert_non_null(strstr(e.text, "not the file it is on the client"));
    f.layout[0] ^= 1;
    f.fn.offset += 1;
    assert_int_equal(exec_object_resolve(&f.fn, &back, &e), BFORK_REFUSED);
    assert_non_null(strstr(e.text, "not the start of a function"));
    f.fn.object = WIRE_STR("/nowhere/libnone.so");
    assert_int_equal(exec_object_resolve(&f.fn, &back, &e), BFORK_REFUSED);
    assert_non_null(strstr(e.text, "libnone.so"));
}

static void symbols_are_found_or_named(void **state)
{
    struct wire_fn fn = { .kind = WIRE_FN_SYMBOL, .object = WIRE_STR("libm.so.6"), .symbol = WIRE_STR("cos") };
    object_pointer *back;
    struct err e = { 0 };
    (void)state;

    assert_int_equal(exec_object_resolve(&fn, &back, &e), 0);
    fn.symbol = WIRE_STR("cosinus");
    assert_int_equal(exec_object_resolve(&fn, &back, &e), BFORK_REFUSED);
    assert_non_null(strstr(e.text, "no function cosinus"));
}

static void the_program_is_found(void **state)
{
    char path[4096];
    struct err e = { 0 };
    int fd;
    (void)state;

    assert_int_equal(exec_object_program(&fd, path, sizeof(path), &e), 0);
    assert_non_null(strstr(path, "exec_object_test"));
    close(fd);
}

static void the_loaders_words_are_understood(void **state)
{
    char text[512];
    (void)state;

    assert_non_null(
        exec_elf_loader_said("./p: error while loading shared libraries: libfoo.so.1: cannot open shared object file: No such file",
                             text, sizeof(text)));
    assert_non_null(strstr(text, "missing library libfoo.so.1:"));
    assert_non_null(
        exec_elf_loader_said("Error loading shared library libbar.so: No such file or directory (needed by ./p)", text,
                             sizeof(text)));
    assert_non_null(strstr(text, "missing library libbar.so:"));
    assert_null(exec_elf_loader_said("hello", text, sizeof(text)));
}

/* Every byte of an ELF header changed, and the file cut anywhere: nothing but an answer may come. */
static void damaged_files_do_no_harm(void **state)
{
    char path[] = "damaged-XXXXXX", name[256], text[512];
    const char *stage;
    uint64_t from;
    uint8_t whole[65536];
    int fd = mkstemp(path), in;
    struct err e;
    (void)state;

    assert_int_equal(exec_object_program(&in, name, sizeof(name), &e), 0);
    ssize_t n = pread(in, whole, sizeof(whole), 0);
    assert_true(n > 4096);
    for (int at = 0; at < 128; at++) {
        uint8_t keep = whole[at];
        whole[at] ^= 0xff;
        assert_int_equal(pwrite(fd, whole, (size_t)n, 0), n);
        exec_elf_symbol_at(path, 0x1234, name, sizeof(name), &from);
        exec_elf_address(path, 0x1234, &from);
        exec_elf_why_not(path, -1, text, sizeof(text), "it", &stage);
        whole[at] = keep;
    }
    for (ssize_t size = n; size > 0; size = size * 9 / 10) {
        assert_int_equal(ftruncate(fd, size), 0);
        exec_elf_symbol_at(path, 0x1234, name, sizeof(name), &from);
        exec_elf_address(path, 0x1234, &from);
        exec_elf_why_not(path, -1, text, sizeof(text), "it", &stage);
    }
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_false(exec_elf_symbol_at(path, 0, name, sizeof(name), &from));
    close(in);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_computed_as_the_page_says),
        cmocka_unit_test(a_function_of_the_program_comes_back), cmocka_unit_test(a_function_of_a_shared_object_comes_back),
        cmocka_unit_test(pointers_that_cannot_travel_are_refused), cmocka_unit_test(another_build_is_refused),
        cmocka_unit_test(symbols_are_found_or_named), cmocka_unit_test(the_program_is_found),
        cmocka_unit_test(the_loaders_words_are_understood), cmocka_unit_test(damaged_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
