/* SPDX-License-Identifier: MPL-2.0
 * elf.c - reads ELF headers and symbol tables of files that may be anything. Never believes an offset it has not compared with the
 * size of the file.
 */
#include "exec/elf.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

struct file { const uint8_t *p; size_t size; };

static bool file_map(struct file *f, const char *path, int fd)
{
    struct stat st;
    int mine = path ? open(path, O_RDONLY | O_CLOEXEC) : fd;
    void *p = MAP_FAILED;

    if (mine < 0)
        return false;
    if (fstat(mine, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, mine, 0);
    if (path)
        close(mine);
    if (p == MAP_FAILED)
        return false;
    f->p = p;
    f->size = (size_t)st.st_size;
    return true;
}

static void file_unmap(struct file *f) { munmap((void *)(uintptr_t)f->p, f->size); }

static bool inside(const struct file *f, uint64_t at, uint64_t n) { return at <= f->size && n <= f->size - at; }

static const char *machine_name(unsigned m)
{
    static const struct {
        unsigned m;
        const char *name;
    } names[] = { { EM_X86_64, "x86_64" }, { EM_AARCH64, "aarch64" }, { EM_386, "i386" },
                  { EM_ARM, "arm" },       { EM_RISCV, "riscv" },     { EM_PPC64, "ppc64" },
                  { EM_S390, "s390x" },    { EM_MIPS, "mips" },       { EM_LOONGARCH, "loongarch" } };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].m == m)
            return names[i].name;
    return "another machine";
}

static unsigned own_machine(void)
{
#if defined(__x86_64__)
    return EM_X86_64;
#elif defined(__aarch64__)
    return EM_AARCH64;
#elif defined(__riscv)
    return EM_RISCV;
#elif defined(__powerpc64__)
    return EM_PPC64;
#elif defined(__s390x__)
    return EM_S390;
#elif defined(__arm__)
    return EM_ARM;
#else
    return EM_386;
#endif
}

static const char *missing_loader(const struct file *f, char *text, size_t size, const char *name)
{
    Elf64_Ehdr h;
    Elf64_Phdr ph;

    memcpy(&h, f->p, sizeof(h));
    for (unsigned i = 0; i < h.e_phnum; i++) {
        uint64_t at = h.e_phoff + (uint64_t)i * h.e_phentsize;
        if (h.e_phentsize < sizeof(ph) || !inside(f, at, sizeof(ph)))
            return NULL;
        memcpy(&ph, f->p + at, sizeof(ph));
        if (ph.p_type != PT_INTERP || ph.p_filesz == 0 || ph.p_filesz > 4096 || !inside(f, ph.p_offset, ph.p_filesz))
            continue;
        char loader[4096];
        memcpy(loader, f->p + ph.p_offset, ph.p_filesz);
        loader[ph.p_filesz - 1] = '\0';
        if (access(loader, X_OK) == 0)
            return NULL;
        snprintf(text, size, "%s needs the dynamic loader %.200s, which is not on this host: it was built for another C library",
                 name, loader);
        return text;
    }
    return NULL;
}

const char *exec_elf_why_not(const char *path, int fd, char *text, size_t size, const char *name, const char **ret_stage)
{
    struct file f;
    struct utsname u;
    const char *found = NULL;
    uint16_t machine;

    if (path && access(path, F_OK) != 0) {
        *ret_stage = "exec";
        snprintf(text, size, "cannot start %s: there is no file %s", name, path);
        return text;
    }
    if (!file_map(&f, path, fd))
        return NULL;
    if (f.size < sizeof(Elf64_Ehdr) || memcmp(f.p, ELFMAG, SELFMAG) != 0) {
        *ret_stage = "exec";
        if (f.size < 2 || memcmp(f.p, "#!", 2) != 0) {
            snprintf(text, size, "%s is not a program: it has no ELF header", name);
            found = text;
        }
    } else {
        memcpy(&machine, f.p + offsetof(Elf64_Ehdr, e_machine), sizeof(machine));
        if (machine != own_machine() || f.p[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)) {
            *ret_stage = "arch";
            snprintf(text, size, "%s is built for %s, this host is %s: build it for this kind of machine", name,
                     machine_name(machine), uname(&u) == 0 ? u.machine : machine_name(own_machine()));
            found = text;
        } else if (f.p[EI_CLASS] == ELFCLASS64) {
            *ret_stage = "load";
            found = missing_loader(&f, text, size, name);
        }
    }
    file_unmap(&f);
    return found;
}

/* glibc: "PROG: error while loading shared libraries: LIB: cannot open shared object file: …"
 * musl: "Error loading shared library LIB: … (needed by PROG)" */
const char *exec_elf_loader_said(const char *line, char *text, size_t size)
{
    static const char glibc[] = "error while loading shared libraries: ", musl[] = "Error loading shared library ";
    const char *at = strstr(line, glibc), *lib;

    if (at) {
        lib = at + sizeof(glibc) - 1;
        if (!strstr(lib, "cannot open shared object file")) {
            snprintf(text, size, "the dynamic loader says: %.300s", lib);
            return text;
        }
    } else if ((at = strstr(line, musl))) {
        lib = at + sizeof(musl) - 1;
    } else if (strstr(line, "symbol lookup error") || strstr(line, "Error relocating") || strstr(line, "not found (required by")) {
        snprintf(text, size, "the dynamic loader says: %.400s", line);
        return text;
    } else {
        return NULL;
    }
    snprintf(text, size, "missing library %.*s: install it on this host", (int)strcspn(lib, ":"), lib);
    return text;
}

static bool search_symbols(const struct file *f, const Elf64_Shdr *tab, const Elf64_Shdr *str, uint64_t at, char *name, size_t size,
                           uint64_t *ret_from)
{
    uint64_t n = tab->sh_size / sizeof(Elf64_Sym), best = UINT64_MAX;
    bool best_has_size = false;

    if (!inside(f, tab->sh_offset, tab->sh_size) || !inside(f, str->sh_offset, str->sh_size))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        Elf64_Sym s;
        memcpy(&s, f->p + tab->sh_offset + i * sizeof(s), sizeof(s));
        if (ELF64_ST_TYPE(s.st_info) != STT_FUNC || s.st_shndx == SHN_UNDEF || s.st_value > at || s.st_name >= str->sh_size)
            continue;
        bool covers = at - s.st_value < s.st_size;
        if (!covers && (s.st_size || at != s.st_value))
            continue;
        if (at - s.st_value > best || (at - s.st_value == best && best_has_size))
            continue;
        best = at - s.st_value;
        best_has_size = s.st_size != 0;
        const char *from = (const char *)f->p + str->sh_offset + s.st_name;
        snprintf(name, size, "%.*s", (int)strnlen(from, str->sh_size - s.st_name < 250 ? str->sh_size - s.st_name : 250), from);
    }
    *ret_from = best;
    return best != UINT64_MAX && name[0];
}

static bool section_at(const struct file *f, const Elf64_Ehdr *h, uint32_t i, Elf64_Shdr *ret)
{
    uint64_t at = h->e_shoff + (uint64_t)i * sizeof(*ret);

    if (i >= h->e_shnum || h->e_shentsize != sizeof(*ret) || !inside(f, at, sizeof(*ret)))
        return false;
    memcpy(ret, f->p + at, sizeof(*ret));
    return true;
}

bool exec_elf_symbol_at(const char *path, uint64_t at, char *name, size_t size, uint64_t *ret_from)
{
    struct file f;
    Elf64_Ehdr h;
    Elf64_Shdr tab, str;
    bool found = false;

    if (!file_map(&f, path, -1))
        return false;
    if (f.size >= sizeof(h) && memcmp(f.p, ELFMAG, SELFMAG) == 0 && f.p[EI_CLASS] == ELFCLASS64) {
        memcpy(&h, f.p, sizeof(h));
        for (int pass = 0; pass < 2 && !found; pass++)
            for (uint32_t i = 0; i < h.e_shnum && !found; i++)
                if (section_at(&f, &h, i, &tab) && tab.sh_type == (pass == 0 ? SHT_SYMTAB : SHT_DYNSYM)
                    && section_at(&f, &h, tab.sh_link, &str))
                    found = search_symbols(&f, &tab, &str, at, name, size, ret_from);
    }
    file_unmap(&f);
    return found;
}

bool exec_elf_address(const char *path, uint64_t file_offset, uint64_t *ret_address)
{
    struct file f;
    Elf64_Ehdr h;
    Elf64_Phdr ph;
    bool found = false;

    if (!file_map(&f, path, -1))
        return false;
    if (f.size >= sizeof(h) && memcmp(f.p, ELFMAG, SELFMAG) == 0 && f.p[EI_CLASS] == ELFCLASS64) {
        memcpy(&h, f.p, sizeof(h));
        for (uint32_t i = 0; i < h.e_phnum && !found && h.e_phentsize == sizeof(ph); i++) {
            uint64_t at = h.e_phoff + (uint64_t)i * sizeof(ph);
            if (!inside(&f, at, sizeof(ph)))
                break;
            memcpy(&ph, f.p + at, sizeof(ph));
            if (ph.p_type == PT_LOAD && file_offset - ph.p_offset < ph.p_filesz) {
                *ret_address = file_offset - ph.p_offset + ph.p_vaddr;
                found = true;
            }
        }
    }
    file_unmap(&f);
    return found;
}
