/* SPDX-License-Identifier: MPL-2.0
 * elf.h - what ELF files say, read with every bound checked: for which machine, which loader, which function is at an offset.
 */
#ifndef EXEC_ELF_H
#define EXEC_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why exec said ENOENT or ENOEXEC for a file (path, or fd if NULL): a line in text and its stage, or NULL if the file does not say.
 */
const char *exec_elf_why_not(const char *path, int fd, char *text, size_t size, const char *name, const char **ret_stage);
/* What the dynamic loader's last line means, for people; NULL: it is not one of the known ones. */
const char *exec_elf_loader_said(const char *line, char *text, size_t size);
/* The virtual address (of the object, not loaded) of what lies at an offset of its file. false: it is not loaded. */
bool exec_elf_address(const char *path, uint64_t file_offset, uint64_t *ret_address);
/* The function symbol that covers virtual address `at`; *ret_from: how far behind its start `at` is. */
bool exec_elf_symbol_at(const char *path, uint64_t at, char *name, size_t size, uint64_t *ret_from);
#endif
