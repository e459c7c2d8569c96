/* SPDX-License-Identifier: MPL-2.0 */
/* program.c - what a function of a program is named by: offset, build-id and layout (chapter 15 of docs/protocol.md). */
#include "program.h"

#include <elf.h>
#include <string.h>

static void layout_add(uint64_t h[4], uint64_t v)
{
    for (int k = 0; k < 4; k++) {
        uint64_t x = v ^ h[k] >> (23 + k);
        for (int i = 0; i < 8; i++)
            h[k] = (h[k] ^ (x >> (8 * i) & 0xff)) * 0x100000001b3;
    }
}

void layout_of(const uint64_t (*headers)[7], size_t count, uint8_t layout[32])
{
    uint64_t h[4] = { 0xcbf29ce484222325, 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb };
    for (size_t i = 0; i < count && i < 128; i++)
        for (int k = 0; k < 7; k++)
            layout_add(h, headers[i][k]);
    for (int i = 0; i < 32; i++)
        layout[i] = (uint8_t)(h[i / 8] >> (8 * (i % 8)));
}

/* The note of the program headers with the name GNU and type NT_GNU_BUILD_ID. */
static struct span build_id(struct span file, const Elf64_Phdr *p)
{
    size_t at = p->p_offset, end = p->p_offset + p->p_filesz;
    while (p->p_type == PT_NOTE && at + sizeof(Elf64_Nhdr) <= end) {
        Elf64_Nhdr note;
        memcpy(&note, file.data + at, sizeof note);
        at += sizeof note;
        size_t name = at, bytes = at + ((size_t)note.n_namesz + 3) / 4 * 4;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(file.data + name, "GNU", 4) == 0)
            return (struct span){ file.data + bytes, note.n_descsz };
        at = bytes + ((size_t)note.n_descsz + 3) / 4 * 4;
    }
    return (struct span){ 0 };
}

static uint64_t symbol_offset(struct span file, const Elf64_Ehdr *e, const char *name)
{
    Elf64_Shdr section, names;
    for (int i = 0; i < e->e_shnum; i++) {
        memcpy(&section, file.data + e->e_shoff + (size_t)i * e->e_shentsize, sizeof section);
        if (section.sh_type != SHT_SYMTAB)
            continue;
        memcpy(&names, file.data + e->e_shoff + (size_t)section.sh_link * e->e_shentsize, sizeof names);
        for (size_t at = 0; at < section.sh_size; at += sizeof(Elf64_Sym)) {
            Elf64_Sym symbol;
            memcpy(&symbol, file.data + section.sh_offset + at, sizeof symbol);
            if (strcmp((const char *)file.data + names.sh_offset + symbol.st_name, name) == 0)
                return symbol.st_value;
        }
    }
    return 0;
}

bool elf_function(struct span file, const char *name, struct map *fn)
{
    Elf64_Ehdr e;
    uint64_t headers[128][7];
    uint8_t layout[32];
    struct span id = { 0 };
    memcpy(&e, file.data, sizeof e);
    for (int i = 0; i < e.e_phnum && i < 128; i++) {
        Elf64_Phdr p;
        memcpy(&p, file.data + e.e_phoff + (size_t)i * e.e_phentsize, sizeof p);
        uint64_t seven[7] = { p.p_type, p.p_flags, p.p_offset, p.p_vaddr, p.p_filesz, p.p_memsz, p.p_align };
        memcpy(headers[i], seven, sizeof seven);
        if (id.size == 0)
            id = build_id(file, &p);
    }
    layout_of((const uint64_t(*)[7])headers, e.e_phnum, layout);
    uint64_t offset = symbol_offset(file, &e, name);
    map_number(fn, 1, 1);
    map_number(fn, 2, offset);
    if (id.size > 0)
        map_bytes(fn, 4, id.data, id.size);
    map_bytes(fn, 5, layout, sizeof layout);
    map_text(fn, 6, name);
    return offset != 0;
}
