/* SPDX-License-Identifier: MPL-2.0
 * object_linux.c - walks the loaded objects (dl_iterate_phdr), their program headers, notes and .eh_frame_hdr as they lie in
 * memory. Trusts the process's own memory map, nothing that was sent.
 */
#include "exec/object.h"
#include "exec/elf.h"
#include "bfork.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

struct module {
    uintptr_t base;
    const ElfW(Phdr) *ph;
    unsigned n;
    char name[1024];                /* as the loader knows it; "" for the program */
    bool program;
};

struct search { uintptr_t address; const char *name; struct module *found; bool is_found; };

static bool covers(const struct dl_phdr_info *i, uintptr_t address)
{
    for (unsigned k = 0; k < i->dlpi_phnum; k++)
        if (i->dlpi_phdr[k].p_type == PT_LOAD && address - (i->dlpi_addr + i->dlpi_phdr[k].p_vaddr) < i->dlpi_phdr[k].p_memsz)
            return true;
    return false;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_program(const struct dl_phdr_info *i)
{
    return (uintptr_t)i->dlpi_phdr == getauxval(AT_PHDR) || !i->dlpi_name || !i->dlpi_name[0];
}

static int look_at_object(struct dl_phdr_info *i, size_t size, void *ctx)
{
    struct search *s = ctx;
    bool program = is_program(i), hit;

    (void)size;
    if (s->name)
        hit = s->name[0]
                  ? !program && (strcmp(i->dlpi_name, s->name) == 0 || strcmp(base_name(i->dlpi_name), base_name(s->name)) == 0)
                  : program;
    else
        hit = covers(i, s->address);
    if (!hit)
        return 0;
    s->found->base = i->dlpi_addr;
    s->found->ph = i->dlpi_phdr;
    s->found->n = i->dlpi_phnum;
    s->found->program = program;
    snprintf(s->found->name, sizeof(s->found->name), "%s", program ? "" : i->dlpi_name);
    s->is_found = true;
    return 1;
}

static bool module_at(uintptr_t address, struct module *m)
{
    struct search s = { address, NULL, m, false };
    dl_iterate_phdr(look_at_object, &s);
    return s.is_found;
}

static bool module_named(const char *name, struct module *m)
{
    struct search s = { 0, name, m, false };
    dl_iterate_phdr(look_at_object, &s);
    return s.is_found;
}

bool exec_object_is_system(const char *path)
{
    static const char *const names[] = { "libc.so",  "libm.so", "libpthread.so", "libdl.so",   "librt.so",
                                         "ld-linux", "ld-musl", "linux-vdso",    "libgcc_s.so" };
    const char *base = base_name(path);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(base, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

struct each_data { void (*each)(void *ctx, const struct object_data *data); void *ctx; };

static int tell_data(struct dl_phdr_info *i, size_t size, void *ctx)
{
    const struct each_data *e = ctx;
    struct object_data d = { .path = is_program(i) ? "" : i->dlpi_name, .base = i->dlpi_addr };

    (void)size;
    for (unsigned k = 0; k < i->dlpi_phnum && d.n < sizeof(d.parts) / sizeof(d.parts[0]); k++) {
        const ElfW(Phdr) *h = &i->dlpi_phdr[k];
        uintptr_t from = d.base + h->p_vaddr;
        if (h->p_type == PT_LOAD && h->p_flags & PF_W)
            d.parts[d.n++] = (struct object_part){ from, from + h->p_memsz, from + h->p_filesz };
    }
    if (!exec_object_is_system(d.path))
        e->each(e->ctx, &d);
    return 0;
}

void exec_object_each_data(void (*each)(void *ctx, const struct object_data *data), void *ctx)
{
    struct each_data e = { each, ctx };
    dl_iterate_phdr(tell_data, &e);
}

/* ---- identity ---- */

#define SEGMENTS_MAX 128u               /* program headers that count */

static uint64_t mix_hash(uint64_t h, uint64_t v)
{
    for (int i = 0; i < 8; i++, v >>= 8)
        h = (h ^ (v & 255)) * 0x100000001b3ull;
    return h;
}

void exec_object_layout(const struct object_segment *s, size_t n, uint8_t out[WIRE_DIGEST])
{
    uint64_t h[4] = { 0xcbf29ce484222325ull, 0x9e3779b97f4a7c15ull, 0xbf58476d1ce4e5b9ull, 0x94d049bb133111ebull };

    for (size_t i = 0; i < n; i++) {
        const uint64_t v[] = { s[i].type, s[i].flags, s[i].offset, s[i].vaddr, s[i].filesz, s[i].memsz, s[i].align };
        for (size_t k = 0; k < sizeof(v) / sizeof(v[0]); k++)
            for (int lane = 0; lane < 4; lane++)
                h[lane] = mix_hash(h[lane], v[k] ^ (h[lane] >> (23 + lane)));
    }
    for (unsigned i = 0; i < WIRE_DIGEST; i++)
        out[i] = (uint8_t)(h[i / 8] >> 8 * (i % 8));
}

static void layout_of(const struct module *m, uint8_t out[WIRE_DIGEST])
{
    struct object_segment s[SEGMENTS_MAX];
    size_t n = m->n < SEGMENTS_MAX ? m->n : SEGMENTS_MAX;

    for (size_t i = 0; i < n; i++) {
        const ElfW(Phdr) *p = &m->ph[i];
        s[i] = (struct object_segment){ p->p_type, p->p_flags, p->p_offset, p->p_vaddr, p->p_filesz, p->p_memsz, p->p_align };
    }
    exec_object_layout(s, n, out);
}

static uint32_t build_id_of(const struct module *m, uint8_t out[64])
{
    for (unsigned i = 0; i < m->n; i++) {
        if (m->ph[i].p_type != PT_NOTE)
            continue;
        const uint8_t *p = (const uint8_t *)(m->base + m->ph[i].p_vaddr), *end = p + m->ph[i].p_memsz;
        while ((size_t)(end - p) >= sizeof(ElfW(Nhdr))) {
            ElfW(Nhdr) h;
            memcpy(&h, p, sizeof(h));
            size_t name = (h.n_namesz + 3u) & ~3u, desc = (h.n_descsz + 3u) & ~3u;
            if (name + desc > (size_t)(end - p) - sizeof(h))
                break;
            if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && memcmp(p + sizeof(h), "GNU", 4) == 0 && h.n_descsz <= 64) {
                memcpy(out, p + sizeof(h) + name, h.n_descsz);
                return h.n_descsz;
            }
            p += sizeof(h) + name + desc;
        }
    }
    return 0;
}

/* ---- is it the start of a function? ---- */

enum frame { FRAME_START, FRAME_INSIDE, FRAME_NONE };

/* The length of the code an FDE covers; 0: an encoding not known here. */
static uint32_t fde_range(const uint8_t *fde)
{
    int32_t cie_distance;
    uint32_t range;
    const uint8_t *p;

    memcpy(&cie_distance, fde + 4, 4);
    p = fde + 4 - cie_distance + 8;             /* the CIE's version */
    if (*p++ != 1 || *p++ != 'z')
        return 0;
    const char *augmentation = (const char *)p;
    p += strlen(augmentation) + 1;
    for (int i = 0; i < 4; i++)                 /* code and data alignment, return register, augmentation length: LEB128 */
        while (*p++ & 0x80)
            continue;
    for (; *augmentation; augmentation++) {
        if (*augmentation == 'R') {
            if ((*p & 0x0f) != 0x0b && (*p & 0x0f) != 0x03)
                return 0;
            memcpy(&range, fde + 12, 4);
            return range;
        }
        if (*augmentation == 'L')
            p++;
        else if (*augmentation == 'P')
            p += (*p & 0x0f) == 0x0b || (*p & 0x0f) == 0x03 ? 5 : 9;
        else if (*augmentation != 'S' && *augmentation != 'B')
            return 0;
    }
    return 0;
}

static enum frame frame_at(const struct module *m, uintptr_t address)
{
    const uint8_t *hdr = NULL;
    size_t size = 0;

    for (unsigned i = 0; i < m->n; i++)
        if (m->ph[i].p_type == PT_GNU_EH_FRAME) {
            hdr = (const uint8_t *)(m->base + m->ph[i].p_vaddr);
            size = m->ph[i].p_memsz;
        }
    if (!hdr || size < 12 || hdr[0] != 1 || (hdr[1] & 0x0f) != 0x0b || hdr[2] != 0x03 || hdr[3] != 0x3b)
        return FRAME_NONE;
    uint32_t n, low = 0, high;
    memcpy(&n, hdr + 8, 4);
    if (n == 0 || n > (size - 12) / 8)
        return FRAME_NONE;
    for (high = n; high - low > 1;) {           /* the last entry that does not start behind address */
        uint32_t mid = low + (high - low) / 2;
        int32_t at;
        memcpy(&at, hdr + 12 + 8 * (size_t)mid, 4);
        if ((uintptr_t)hdr + (uintptr_t)(intptr_t)at <= address)
            low = mid;
        else
            high = mid;
    }
    int32_t entry[2];
    memcpy(entry, hdr + 12 + 8 * (size_t)low, 8);
    uintptr_t start = (uintptr_t)hdr + (uintptr_t)(intptr_t)entry[0];
    if (start == address)
        return FRAME_START;
    if (start > address)
        return FRAME_NONE;
    return address - start < fde_range(hdr + entry[1]) ? FRAME_INSIDE : FRAME_NONE;
}

static bool is_executable(const struct module *m, uintptr_t address)
{
    for (unsigned i = 0; i < m->n; i++)
        if (m->ph[i].p_type == PT_LOAD && (m->ph[i].p_flags & PF_X) && address - (m->base + m->ph[i].p_vaddr) < m->ph[i].p_memsz)
            return true;
    return false;
}

static bool is_function(const struct module *m, uintptr_t address)
{
    Dl_info d;

    if (!is_executable(m, address))
        return false;
    if (frame_at(m, address) != FRAME_INSIDE)
        return true;
    return dladdr((void *)address, &d) && (uintptr_t)d.dli_saddr == address;
}

int exec_object_function(object_pointer *pointer, struct object_fn *out, struct err *e)
{
    uintptr_t address = (uintptr_t)pointer;
    struct module m;
    Dl_info d;

    memset(out, 0, offsetof(struct object_fn, object));
    out->symbol[0] = '\0';
    if (!pointer)
        return err_set(e, BFORK_EINVAL, "the function is NULL: pass a function of the program or of a shared object");
    if (!module_at(address, &m))
        return err_set(e, BFORK_EINVAL,
                       "%p is not a function of the program or of a loaded shared object (a nested function? code made at"
                       " run time?): use a plain function",
                       (void *)address);
    if (dladdr((void *)address, &d) && d.dli_sname && (uintptr_t)d.dli_saddr == address)
        snprintf(out->symbol, sizeof(out->symbol), "%s", d.dli_sname);
    if (exec_object_is_system(m.name))
        return err_set(e, BFORK_EINVAL, "%s is a function of the system library %s: call it from a function of your own",
                       out->symbol[0] ? out->symbol : "the function", base_name(m.name));
    if (!is_function(&m, address))
        return err_set(e, BFORK_EINVAL, "%p in %s is not the start of a function", (void *)address,
                       m.program ? "the program" : m.name);
    snprintf(out->object, sizeof(out->object), "%s", m.name);
    layout_of(&m, out->layout);
    out->fn.kind = WIRE_FN_OFFSET;
    out->fn.offset = address - m.base;
    out->fn.object = WIRE_STR(out->object);
    out->fn.symbol = WIRE_STR(out->symbol);
    out->fn.layout = wire_bin_of(out->layout, sizeof(out->layout));
    out->fn.build_id = wire_bin_of(out->build_id, build_id_of(&m, out->build_id));
    return 0;
}

/* ---- back ---- */

static bool is_same(const struct module *m, const struct wire_fn *fn)
{
    uint8_t layout[WIRE_DIGEST], id[64];
    uint32_t n = build_id_of(m, id);

    layout_of(m, layout);
    return fn->layout.n == sizeof(layout) && memcmp(layout, fn->layout.p, sizeof(layout)) == 0 && n == fn->build_id.n
           && (n == 0 || memcmp(id, fn->build_id.p, n) == 0);
}

static int resolve_offset(const struct wire_fn *fn, const char *object, object_pointer **ret, struct err *e)
{
    const char *shown = object[0] ? object : "the program";
    struct module m;
    uintptr_t address;

    if (!module_named(object, &m)) {
        if (!dlopen(object, RTLD_NOW | RTLD_GLOBAL) && !dlopen(base_name(object), RTLD_NOW | RTLD_GLOBAL))
            return err_set(e, BFORK_REFUSED, "cannot load %s, which holds the function: %s", object, dlerror());
        if (!module_named(object, &m))
            return err_set(e, BFORK_REFUSED, "%s was loaded but is not in the list of objects", object);
    }
    if (!is_same(&m, fn))
        return err_set(e, BFORK_REFUSED,
                       "%s here is not the file it is on the client (build-id or program headers differ): install the same", shown);
    address = m.base + fn->offset;
    if (!is_function(&m, address))
        return err_set(e, BFORK_REFUSED, "offset %#llx of %s is not the start of a function", (unsigned long long)fn->offset,
                       shown);
    *ret = (object_pointer *)address;
    return 0;
}

static int resolve_symbol(const struct wire_fn *fn, const char *object, object_pointer **ret, struct err *e)
{
    char symbol[WIRE_NAME_MAX + 1];
    void *handle, *p;

    snprintf(symbol, sizeof(symbol), "%.*s", (int)fn->symbol.n, fn->symbol.p ? fn->symbol.p : "");
    if (!(handle = dlopen(object[0] ? object : NULL, RTLD_NOW | RTLD_LOCAL)))
        return err_set(e, BFORK_REFUSED, "cannot load %s: %s", object, dlerror());
    if (!(p = dlsym(handle, symbol)))
        return err_set(e, BFORK_REFUSED, "%s has no function %s: is it spelt right, not static, and visible?",
                       object[0] ? object : "the program", symbol);
    *ret = (object_pointer *)(uintptr_t)p;
    return 0;
}

int exec_object_resolve(const struct wire_fn *fn, object_pointer **ret, struct err *e)
{
    char object[1024];

    if (fn->object.n >= sizeof(object))
        return err_set(e, BFORK_REFUSED, "the name of the function's object is too long");
    memcpy(object, fn->object.p ? fn->object.p : "", fn->object.n);
    object[fn->object.n] = '\0';
    if (fn->kind == WIRE_FN_OFFSET)
        return resolve_offset(fn, object, ret, e);
    if (fn->kind == WIRE_FN_SYMBOL)
        return resolve_symbol(fn, object, ret, e);
    return err_set(e, BFORK_REFUSED, "this kind of function (%u) is not known to this version", fn->kind);
}

bool exec_object_symbol(const void *address, char *name, size_t size)
{
    struct module m;
    Dl_info d;
    uint64_t from;

    if (dladdr(address, &d) && d.dli_sname && d.dli_saddr == address) {
        snprintf(name, size, "%s", d.dli_sname);
        return true;
    }
    name[0] = '\0';
    return module_at((uintptr_t)address, &m)
           && exec_elf_symbol_at(m.program ? "/proc/self/exe" : m.name, (uintptr_t)address - m.base, name, size, &from);
}

/* ---- the program ---- */

/* Does the file hold the very program headers that are in memory? */
static bool is_mapped_program(int fd)
{
    ElfW(Ehdr) h;
    const void *memory = (const void *)getauxval(AT_PHDR);
    unsigned long n = getauxval(AT_PHNUM);
    size_t size = n * sizeof(ElfW(Phdr));
    bool same = false;

    if (!memory || n == 0 || n > 1000 || pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.e_phnum != n)
        return false;
    void *file = malloc(size);
    if (file && pread(fd, file, size, (off_t)h.e_phoff) == (ssize_t)size)
        same = memcmp(file, memory, size) == 0;
    free(file);
    return same;
}

/* Started as `ld.so program`: the file that is mapped where the program headers are. */
static int open_from_maps(void)
{
    uintptr_t at = getauxval(AT_PHDR);
    char line[PATH_MAX + 200];
    unsigned long from, to;
    int fd = -1, name;
    FILE *f = fopen("/proc/self/maps", "re");

    while (f && fd < 0 && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        name = 0;
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &from, &to, &name) >= 2 && name && at >= from && at < to &&
            line[name] == '/')
            fd = open(line + name, O_RDONLY | O_CLOEXEC);
    }
    if (f)
        fclose(f);
    return fd;
}

int exec_object_program(int *ret_fd, char *path, size_t size, struct err *e)
{
    char link[64];
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || !is_mapped_program(fd)) {
        if (fd >= 0)
            close(fd);
        fd = open_from_maps();
        if (fd < 0 || !is_mapped_program(fd)) {
            if (fd >= 0)
                close(fd);
            return err_set(e, BFORK_ENOTSUP,
                           "cannot tell which file this program is: start it by its name, not through the dynamic loader");
        }
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, size - 1);
    path[n > 0 ? n : 0] = '\0';
    if (access(path, X_OK) != 0)
        path[0] = '\0';
    *ret_fd = fd;
    return 0;
}
