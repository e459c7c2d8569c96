/* SPDX-License-Identifier: MPL-2.0
 * find.c - where the programs of ours lie that are started beside a user's program: see exec_find.
 */
#include "exec/find.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef BF_LIBEXECDIR
#error "BF_LIBEXECDIR must say where bfork-runner is installed"
#endif

/* The folder, without links, of the file this code is in: the program's or libbfork's. */
static bool own_folder(char *folder, size_t size)
{
    char real[PATH_MAX];
    Dl_info self;

    if (!dladdr((void *)(uintptr_t)&exec_find, &self) || !self.dli_fname)
        return false;
    if (!strchr(self.dli_fname, '/') || !realpath(self.dli_fname, real)) {
        ssize_t n = readlink("/proc/self/exe", real, sizeof(real) - 1);
        real[n > 0 ? n : 0] = '\0';
    }
    char *slash = strrchr(real, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return snprintf(folder, size, "%s", real) < (int)size;
}

/* From a folder of programs or libraries to the helpers of the same prefix. */
static const char *const to_helpers[] = { BF_BIN_TO_LIBEXEC, BF_LIB_TO_LIBEXEC };

static bool find_beside(const char *folder, int n, const char *name, char *path, size_t size)
{
    for (size_t i = 0; i < sizeof(to_helpers) / sizeof(to_helpers[0]); i++)
        if (snprintf(path, size, "%.*s/%s/%s", n, folder, to_helpers[i], name) < (int)size && access(path, X_OK) == 0)
            return true;
    return false;
}

/* Where the file this code is in was told to look for libraries (RUNPATH, RPATH), or NULL. A program may lie anywhere with
 * libbfork.a in it: that is where bfork.pc was that it was linked with. */
static const char *own_runpath(void)
{
    const char *strings = NULL, *path = NULL;
    struct link_map *self = NULL;
    Dl_info info;

    if (!dladdr1((void *)(uintptr_t)&exec_find, &info, (void **)&self, RTLD_DL_LINKMAP) || !self || !self->l_ld)
        return NULL;
    for (const ElfW(Dyn) *d = self->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_STRTAB)      /* an address, which some loaders leave as the file has it */
            strings = (const char *)(uintptr_t)(d->d_un.d_ptr < self->l_addr ? self->l_addr + d->d_un.d_ptr : d->d_un.d_ptr);
    for (const ElfW(Dyn) *d = self->l_ld; strings && d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_RUNPATH || (d->d_tag == DT_RPATH && !path))
            path = strings + d->d_un.d_val;
    return path;
}

/* A helper of ours: in the build tree if this code lies in it, else in the prefix this code lies in, else in the one it was linked
 * with, else where it was configured to be. */
const char *exec_find(const char *name, char *path, size_t size)
{
    char folder[PATH_MAX];
    bool known = own_folder(folder, sizeof(folder));

#ifdef BF_BUILD_DIR
    static const char *const built[] = { "libclient/runner", "common/exec", "bin" };

    if (known && strncmp(folder, BF_BUILD_DIR "/", strlen(BF_BUILD_DIR "/")) == 0)
        for (size_t i = 0; i < sizeof(built) / sizeof(built[0]); i++) {
            snprintf(path, size, "%s/%s/%s", BF_BUILD_DIR, built[i], name);
            if (access(path, X_OK) == 0)
                return path;
        }
#endif
    if (known && find_beside(folder, (int)strlen(folder), name, path, size))
        return path;
    for (const char *at = own_runpath(); at; at = *at ? at + 1 : NULL) {
        int n = (int)strcspn(at, ":");
        if (*at == '/' && find_beside(at, n, name, path, size))
            return path;
        at += n;
    }
    snprintf(path, size, "%s/%s", BF_LIBEXECDIR, name);
    return path;
}
