/* SPDX-License-Identifier: MPL-2.0
 * globals.c - what main has changed in the variables of the program and its libraries since bfork_init: task processes do not have
 * it, and the calling process, where serial mode runs tasks, does. Knows those that are loaded by then; not the C library and its
 * kin, nor what holds libbfork's own variables (the program itself, if libbfork is linked into it).
 */
#include "exec/object.h"
#include "task/task.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST (64u << 20)            /* bytes that are kept; programs with more at their start are not watched */
#define NAMED 6u                    /* variables that are named */
#define OBJECTS 64u                 /* files: the program and its libraries */

#if __SIZEOF_POINTER__ == 8
typedef Elf64_Ehdr elf_ehdr;
typedef Elf64_Shdr elf_shdr;
typedef Elf64_Sym elf_sym;
#else
typedef Elf32_Ehdr elf_ehdr;
typedef Elf32_Shdr elf_shdr;
typedef Elf32_Sym elf_sym;
#endif

struct part { struct object_part at; uint8_t *kept; };          /* kept: of pages that were there; others were zero */
struct object { char *path; uintptr_t base; struct part parts[4]; size_t n; };      /* path: NULL: the program */
static struct { struct object objects[OBJECTS]; size_t n, used; bool known; } start;

/* Those that change their own variables all the time, besides the system's. */
static bool is_restless(const char *path)
{
    static const char *const names[] = { "libstdc++", "libasan", "libubsan", "libtsan", "liblsan", "libbfork" };
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* What lies between variables may be read here, whatever a sanitizer thinks of it: no library function, nothing checked. */
__attribute__((no_sanitize("address"))) static void copy_part(uint8_t *to, uintptr_t from, size_t n)
{
    for (const volatile uint8_t *at = (const volatile uint8_t *)from; n--;)
        *to++ = *at++;
}

__attribute__((no_sanitize("address"))) static bool differs(const uint8_t *kept, uintptr_t now, size_t n)
{
    for (const volatile uint8_t *at = (const volatile uint8_t *)now; n--;)
        if (*kept++ != *at++)
            return true;
    return false;
}

/* Zero pages that nobody has touched cost nothing, neither here nor in the copy. */
static bool keep_part(struct part *p)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    p->kept = mmap(NULL, p->at.to - p->at.from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->kept == MAP_FAILED) {
        p->kept = NULL;
        return false;
    }
    for (uintptr_t at = p->at.from; at < p->at.to;) {
        uintptr_t next = (at & ~(page - 1)) + page, end = next < p->at.to ? next : p->at.to;
        unsigned char there = 1;
        if (at >= p->at.file_end && mincore((void *)(at & ~(page - 1)), 1, &there) != 0)
            there = 1;
        if (there & 1) {
            start.used += end - at;
            copy_part(p->kept + (at - p->at.from), at, end - at);
        }
        if (start.used > MOST)
            return false;
        at = end;
    }
    return true;
}

static void note_object(void *ctx, const struct object_data *d)
{
    struct object *o = &start.objects[start.n];
    bool ours = false;

    (void)ctx;
    for (size_t i = 0; i < d->n; i++)
        ours |= (uintptr_t)&start >= d->parts[i].from && (uintptr_t)&start < d->parts[i].to;
    if (d->n == 0 || ours || start.n == OBJECTS || is_restless(d->path))
        return;
    *o = (struct object){ .path = d->path[0] ? strdup(d->path) : NULL, .base = d->base, .n = d->n };
    if (d->path[0] && !o->path)
        return;
    start.n++;
    for (size_t i = 0; i < o->n && start.known; i++) {
        o->parts[i].at = d->parts[i];
        start.known = keep_part(&o->parts[i]);
    }
}

void task_globals_note(void)
{
    if (start.n)
        return;
    start.known = true;
    exec_object_each_data(note_object, NULL);
}

static bool has_changed(const struct object *o, uintptr_t at, size_t size)
{
    for (size_t i = 0; i < o->n; i++) {
        const struct part *p = &o->parts[i];
        if (at >= p->at.from && at < p->at.to && size <= p->at.to - at)
            return differs(p->kept + (at - p->at.from), at, size);
    }
    return false;
}

/* A copy that the program has of a variable of the C or C++ library, as stdout or optind. */
static bool is_systems(const char *name)
{
    Dl_info found;
    void *at = dlsym(RTLD_NEXT, name);
    return at && dladdr(at, &found) && found.dli_fname && (exec_object_is_system(found.dli_fname) || is_restless(found.dli_fname));
}

/* The compiler's own note that a static variable of a C++ function has its value. */
static bool is_guard(const char *name) { return strncmp(name, "_ZGV", 4) == 0; }

struct found { char *text; size_t size, used; unsigned n; const void *const *handles; const struct object *in; };

/* Pointers to the library's handles are of no use in tasks anyway. */
static bool is_handle(const struct found *f, uintptr_t at, size_t size)
{
    void *value;
    if (size != sizeof(value))
        return false;
    memcpy(&value, (const void *)at, sizeof(value));
    for (const void *const *h = f->handles; *h; h++)
        if (*h == value)
            return true;
    return false;
}

static void add_name(struct found *f, const char *name)
{
    const char *path = f->in->path ? f->in->path : "", *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    if (f->n++ < NAMED && f->used < f->size)
        f->used += (size_t)snprintf(f->text + f->used, f->size - f->used, "%s%s%s%s%s", f->n > 1 ? ", " : "", name,
                                    *file ? " (" : "", file, *file ? ")" : "");
}

static void look_at_symbols(struct found *f, const elf_sym *s, size_t n, const char *names, size_t names_size)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = names + s[i].st_name;
        uintptr_t at = f->in->base + s[i].st_value;
        if (ELF64_ST_TYPE(s[i].st_info) != STT_OBJECT || s[i].st_size == 0 || s[i].st_shndx == SHN_UNDEF ||
            s[i].st_name >= names_size)
            continue;
        if (has_changed(f->in, at, s[i].st_size) && !is_handle(f, at, s[i].st_size) && !is_guard(name) &&
            (ELF64_ST_BIND(s[i].st_info) == STB_LOCAL || !is_systems(name)))
            add_name(f, name);
    }
}

/* The symbols of a file: of .symtab, or what strip has left. */
static void look_at_file(struct found *f, const uint8_t *file, size_t size)
{
    const elf_ehdr *h = (const elf_ehdr *)(const void *)file;
    const elf_shdr *sections, *symbols = NULL;
    if (size < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_shentsize != sizeof(*sections) || h->e_shoff > size ||
        (size - h->e_shoff) / sizeof(*sections) < h->e_shnum)
        return;
    sections = (const elf_shdr *)(const void *)(file + h->e_shoff);
    for (size_t i = 0; i < h->e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB || (sections[i].sh_type == SHT_DYNSYM && !symbols))
            symbols = &sections[i];
    if (!symbols || symbols->sh_link >= h->e_shnum || symbols->sh_offset > size || symbols->sh_size > size - symbols->sh_offset)
        return;
    const elf_shdr *names = &sections[symbols->sh_link];
    if (names->sh_offset > size || names->sh_size > size - names->sh_offset || names->sh_size == 0 ||
        file[names->sh_offset + names->sh_size - 1] != 0)
        return;
    look_at_symbols(f, (const elf_sym *)(const void *)(file + symbols->sh_offset), symbols->sh_size / sizeof(elf_sym),
                    (const char *)file + names->sh_offset, names->sh_size);
}

/* -1: it cannot be opened any more, and nothing is said of it. */
static int open_object(const struct object *o)
{
    struct err e;
    char path[4096];
    int fd = -1;
    if (o->path)
        return open(o->path, O_RDONLY | O_CLOEXEC);
    return exec_object_program(&fd, path, sizeof(path), &e) == 0 ? fd : -1;
}

bool task_globals_changed(char *text, size_t size, const void *const *handles)
{
    struct found f = { .text = text, .size = size, .handles = handles };
    struct stat st;
    for (size_t i = 0; i < start.n && start.known; i++) {
        f.in = &start.objects[i];
        int fd = open_object(f.in);
        void *file = MAP_FAILED;
        if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
            file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (file != MAP_FAILED) {
            look_at_file(&f, file, (size_t)st.st_size);
            munmap(file, (size_t)st.st_size);
        }
        if (fd >= 0)
            close(fd);
    }
    if (f.n > NAMED && f.used < size)
        snprintf(text + f.used, size - f.used, " and %u more", f.n - NAMED);
    return f.n > 0;
}
