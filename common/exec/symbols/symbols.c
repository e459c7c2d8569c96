/* SPDX-License-Identifier: MPL-2.0
 * symbols.c - bfork-symbols: turns the return addresses in a dead task process's ring (descriptor 3) into "function at file:line",
 * with elfutils. A program of its own, run only after a crash, with the rights of the task: debug information is foreign input.
 */
#include "exec/mapped.h"
#include "exec/ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#ifdef BF_DW
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <gelf.h>
#include <unistd.h>

struct object { char path[4096]; Dwfl_Module *module; };

static char *debug_path;
static const Dwfl_Callbacks callbacks = { .find_elf = dwfl_build_id_find_elf, .find_debuginfo = dwfl_standard_find_debuginfo,
                                          .section_address = dwfl_offline_section_address, .debuginfo_path = &debug_path };

static bool is_library(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    return strncmp(base, "libc.", 5) == 0 || strncmp(base, "libc-", 5) == 0 || strncmp(base, "ld-", 3) == 0 ||
           strncmp(base, "libpthread", 10) == 0 || strncmp(base, "libasan", 7) == 0 || strncmp(base, "libubsan", 8) == 0 ||
           strncmp(base, "libm.", 5) == 0;
}

/* The address in dwfl's space of an offset in the module's file. */
static bool address_of(Dwfl_Module *m, uint64_t offset, Dwarf_Addr *ret)
{
    GElf_Addr bias;
    Elf *elf = dwfl_module_getelf(m, &bias);
    size_t n;

    if (!elf || elf_getphdrnum(elf, &n) != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        GElf_Phdr ph;
        if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_LOAD && offset - ph.p_offset < ph.p_filesz) {
            *ret = offset - ph.p_offset + ph.p_vaddr + bias;
            return true;
        }
    }
    return false;
}

static Dwfl_Module *module_of(Dwfl *dwfl, struct object *objects, int *n, const char *path)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(objects[i].path, path) == 0)
            return objects[i].module;
    if (*n == RING_FRAMES)
        return NULL;
    struct object *o = &objects[(*n)++];
    char room[64];
    snprintf(o->path, sizeof(o->path), "%s", path);
    dwfl_report_begin_add(dwfl);
    o->module = dwfl_report_offline(dwfl, "", mapped_file(path, getppid(), room), -1);      /* started by the template */
    dwfl_report_end(dwfl, NULL, NULL);
    return o->module;
}

/* A symbol that covers the address, never just the last one before it: a stripped program keeps the names of exported functions,
 * with others between them. */
static const char *function_at(Dwfl_Module *m, Dwarf_Addr at)
{
    GElf_Off from = 0;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(m, at, &from, &symbol, NULL, NULL, NULL);

    return name && (symbol.st_size ? from < symbol.st_size : from == 0) ? name : NULL;
}

struct report { char function[256], where[512], backtrace[8192]; size_t used; };

static void add_frame(struct report *r, const char *path, uint64_t offset, Dwfl_Module *m)
{
    const char *function = NULL, *file = NULL, *shown;
    Dwarf_Addr at;
    int line = 0, shown_n;

    if (m && address_of(m, offset, &at)) {
        function = function_at(m, at);
        Dwfl_Line *l = dwfl_module_getsrc(m, at);
        if (l)
            file = dwfl_lineinfo(l, NULL, &line, NULL, NULL, NULL);
    }
    const char *base = file && strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    size_t left = sizeof(r->backtrace) - r->used;

    shown = mapped_name(path, &shown_n);
    int n = base ? snprintf(r->backtrace + r->used, left, "%s at %s:%d\n", function ? function : "?", base, line)
                 : snprintf(r->backtrace + r->used, left, "%s in %.*s+%#llx\n", function ? function : "?", shown_n, shown,
                            (unsigned long long)offset);
    if (n > 0)
        r->used += (size_t)n < left ? (size_t)n : left - 1;
    if (r->function[0] || r->where[0] || path[0] != '/' || is_library(path))
        return;
    /* The first frame in code of the user's: if it has no name, that of a caller would be a wrong one. */
    if (function)
        snprintf(r->function, sizeof(r->function), "%s", function);
    if (base)
        snprintf(r->where, sizeof(r->where), "%s:%d", base, line);
    else if (!function)
        mapped_place(path, offset, r->where, sizeof(r->where));
}

static void resolve_names(struct ring_obituary *o)
{
    static struct report r;
    static struct object objects[RING_FRAMES];
    static char paths[sizeof(o->paths)];
    Dwfl *dwfl = dwfl_begin(&callbacks);
    int n_objects = 0, n = o->n_frames;

    if (!dwfl)
        return;
    memcpy(paths, o->paths, sizeof(paths));
    paths[sizeof(paths) - 1] = '\0';
    dwfl_report_begin(dwfl);
    dwfl_report_end(dwfl, NULL, NULL);
    for (int i = 0; i < n && i < RING_FRAMES; i++) {
        struct ring_frame f = o->frames[i];
        const char *path = f.path && f.path < sizeof(paths) ? paths + f.path : "?";
        add_frame(&r, path, f.offset, path[0] == '/' ? module_of(dwfl, objects, &n_objects, path) : NULL);
    }
    if (r.function[0] || r.where[0]) {
        memcpy(o->function, r.function, sizeof(o->function));
        memcpy(o->where, r.where, sizeof(o->where));
    }
    memcpy(o->backtrace, r.backtrace, sizeof(o->backtrace));
    dwfl_end(dwfl);
}
#else
static void resolve_names(struct ring_obituary *o) { (void)o; }
#endif

int main(void)
{
    struct ring ring;
    struct err e = { 0 };
    struct rlimit memory = { 1u << 30, 1u << 30 };

    if (exec_ring_open(&ring, 3, true, &e) < 0) {
        fprintf(stderr, "bfork-symbols: %s (this program is started by Broadfork after a crash)\n", e.text);
        return 2;
    }
#ifndef BF_SANITIZED
    setrlimit(RLIMIT_AS, &memory);
#else
    (void)memory;
#endif
    resolve_names(&ring.control->obituary);
    exec_ring_close(&ring);
    return 0;
}
