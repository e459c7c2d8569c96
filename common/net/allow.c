/* SPDX-License-Identifier: MPL-2.0
 * allow.c - see allow.h. It never changes a file in place.
 */
#include "allow.h"

#include "bfork.h"
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct allow_entry { uint8_t key[32]; char *name; };
struct allow { struct allow_entry *entries; size_t n, capacity; };

static int entry_compare(const void *a, const void *b)
{
    return memcmp(((const struct allow_entry *)a)->key, ((const struct allow_entry *)b)->key, 32);
}

/* What a line is: 1 a key (name points into the line, cut at its end), 0 a comment or empty, < 0 neither. No key begins with '#':
 * it would be more than 32 bits. */
static int allow_parse(char *line, uint8_t key[32], char **name)
{
    size_t n;
    char text[NET_KEY_TEXT];

    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    n = strcspn(line, " \t");
    if (n == 0)
        return 0;
    if (n == NET_KEY_TEXT - 1) {
        memcpy(text, line, n);
        text[n] = '\0';
        if (net_key_parse(text, key) == 0) {
            char *end;
            line += n;
            line += strspn(line, " \t");
            for (end = line + strlen(line); end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
                ;
            *end = '\0';
            *name = line;
            return 1;
        }
    }
    return line[0] == '#' ? 0 : -1;
}

static int allow_push(struct allow *a, const uint8_t key[32], const char *name)
{
    if (a->n == a->capacity) {
        size_t more = a->capacity ? a->capacity * 2 : 16;
        struct allow_entry *p = realloc(a->entries, more * sizeof(*p));
        if (!p)
            return BFORK_ENOMEM;
        a->entries = p;
        a->capacity = more;
    }
    a->entries[a->n].name = strdup(name);
    if (!a->entries[a->n].name)
        return BFORK_ENOMEM;
    memcpy(a->entries[a->n++].key, key, 32);
    return 0;
}

/* owner: whose file it may be, beside root's and ours. Whoever owns it decides who is let in. */
static int allow_open(const char *path, uid_t owner, FILE **ret, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return err_errno(e, BFORK_EKEY, errno, "cannot read the allow file %s", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, BFORK_EKEY, "the allow file %s is not a file", path);
    }
    if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != owner) {
        close(fd);
        return err_set(e, BFORK_EKEY, "the allow file %s belongs to another user (%u): it is not used. Run: chown %u %s", path,
                       (unsigned)st.st_uid, (unsigned)geteuid(), path);
    }
    if (st.st_mode & 022) {
        close(fd);
        return err_set(e, BFORK_EKEY, "the allow file %s can be changed by others (mode %04o): it is not used. Run: chmod go-w %s",
                       path, (unsigned)(st.st_mode & 07777), path);
    }
    *ret = fdopen(fd, "r");
    if (!*ret) {
        close(fd);
        return err_set(e, BFORK_ENOMEM, "out of memory");
    }
    return 0;
}

static int allow_read(FILE *f, const char *path, struct allow *a, struct err *e)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    int rc = 0;

    while (rc == 0 && getline(&line, &room, f) >= 0) {
        uint8_t key[32];
        char *name;
        int what = allow_parse(line, key, &name);
        number++;
        if (what < 0)
            rc = err_set(e, BFORK_EKEY,
                         "%s:%zu: this line does not begin with a public key (40 characters, Z85); a comment begins with #. "
                         "The file is not used until that is put right",
                         path, number);
        else if (what > 0 && allow_push(a, key, name) < 0)
            rc = err_set(e, BFORK_ENOMEM, "out of memory for the keys of %s", path);
    }
    if (rc == 0 && ferror(f))
        rc = err_errno(e, BFORK_EKEY, errno, "cannot read the allow file %s", path);
    free(line);
    return rc;
}

int net_allow_load(const char *path, bool may_be_missing, struct allow **ret, struct err *e)
{
    struct allow *a = calloc(1, sizeof(*a));
    FILE *f = NULL;
    int rc = 0;

    if (!a)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    if (!may_be_missing || access(path, F_OK) == 0 || errno != ENOENT)
        rc = allow_open(path, geteuid(), &f, e);
    if (f) {
        rc = allow_read(f, path, a, e);
        fclose(f);
    }
    if (rc < 0) {
        net_allow_free(&a);
        return rc;
    }
    if (a->n)
        qsort(a->entries, a->n, sizeof(*a->entries), entry_compare);
    *ret = a;
    return 0;
}

void net_allow_free(struct allow **a)
{
    if (!*a)
        return;
    for (size_t i = 0; i < (*a)->n; i++)
        free((*a)->entries[i].name);
    free((*a)->entries);
    free(*a);
    *a = NULL;
}

const char *net_allow_name(const struct allow *a, const uint8_t key[32])
{
    struct allow_entry wanted = { .name = NULL }, *found;

    if (!a || a->n == 0)
        return NULL;
    memcpy(wanted.key, key, 32);
    found = bsearch(&wanted, a->entries, a->n, sizeof(*a->entries), entry_compare);
    return found ? found->name : NULL;
}

bool net_allow_contains(const struct allow *a, const uint8_t key[32])
{
    return net_allow_name(a, key) != NULL;
}

size_t net_allow_count(const struct allow *a)
{
    return a ? a->n : 0;
}

void net_allow_at(const struct allow *a, size_t i, const uint8_t **ret_key, const char **ret_name)
{
    *ret_key = a->entries[i].key;
    *ret_name = a->entries[i].name;
}

struct allow_change { const uint8_t *key; const char *name; bool add; int done; };

/* Copies from `in` (NULL: there is no file yet) to `out` what stays, adds what is new. */
static int allow_copy(FILE *in, FILE *out, const char *path, struct allow_change *c, struct err *e)
{
    char *line = NULL, text[NET_KEY_TEXT];
    size_t room = 0, number = 0;
    bool there = false;
    int rc = 0;

    while (rc == 0 && in && getline(&line, &room, in) >= 0) {
        uint8_t key[32];
        char *name = NULL, *copy = strdup(line);
        int what = copy ? allow_parse(copy, key, &name) : -1;
        bool same = what > 0 && (c->key ? memcmp(key, c->key, 32) == 0 : strcmp(name, c->name) == 0);
        number++;
        if (what < 0)
            rc = err_set(e, BFORK_EKEY, "%s:%zu: this line does not begin with a public key; nothing was changed", path, number);
        there = there || same;
        if (same && !c->add)
            c->done++;
        else if (rc == 0)
            fprintf(out, "%s%s", line, line[strcspn(line, "\n")] ? "" : "\n");
        free(copy);
    }
    free(line);
    if (rc == 0 && c->add && !there) {
        net_key_text(c->key, text);
        fprintf(out, "%s  %s\n", text, c->name ? c->name : "");
        c->done = 1;
    }
    if (rc == 0 && (ferror(out) || (in && ferror(in)) || fflush(out) != 0 || fsync(fileno(out)) != 0))
        rc = err_errno(e, BFORK_EKEY, errno ? errno : EIO, "cannot rewrite %s; it was left as it is", path);
    return rc;
}

/* Under the folder's lock. */
static int allow_rewrite(const char *path, const struct stat *folder, struct allow_change *c, struct err *e)
{
    const uid_t owner = geteuid() == 0 ? folder->st_uid : geteuid();    /* root works on the files of the broker's user */
    struct stat st;
    char temporary[PATH_MAX];
    FILE *in = NULL, *out;
    int fd, rc = 0;

    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", path) >= sizeof(temporary))
        return err_set(e, BFORK_EINVAL, "the path is too long: %s", path);
    if (access(path, F_OK) == 0)
        rc = allow_open(path, owner, &in, e);
    else if (errno != ENOENT)
        rc = err_errno(e, BFORK_EKEY, errno, "cannot read the allow file %s", path);
    if (rc < 0)
        return rc;
    unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out) {
        rc = err_errno(e, BFORK_EKEY, errno, "cannot write %s", temporary);
        if (fd >= 0)
            close(fd);
    } else {
        fchmod(fd, 0644);
        if (geteuid() != 0 || fchown(fd, in && fstat(fileno(in), &st) == 0 ? st.st_uid : owner, (gid_t)-1) == 0)
            rc = allow_copy(in, out, path, c, e);
        else
            rc = err_errno(e, BFORK_EKEY, errno, "cannot give %s to its owner", temporary);
        if (fclose(out) != 0 && rc == 0)
            rc = err_errno(e, BFORK_EKEY, errno, "cannot write %s", temporary);
        if (rc == 0 && c->done && rename(temporary, path) != 0)
            rc = err_errno(e, BFORK_EKEY, errno, "cannot replace %s", path);
        if (rc < 0 || !c->done)
            unlink(temporary);
    }
    if (in)
        fclose(in);
    return rc;
}

static int allow_change(const char *path, struct allow_change *c, struct err *e)
{
    char folder[PATH_MAX];
    struct stat st;
    int lock, rc;

    if (strlen(path) >= sizeof(folder))
        return err_set(e, BFORK_EINVAL, "the path is too long: %s", path);
    memcpy(folder, path, strlen(path) + 1);
    const char *parent = dirname(folder);
    if (c->add)
        mkdir(parent, 0755);
    lock = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return err_errno(e, BFORK_EKEY, errno, "cannot open the folder %s", parent);
    while ((rc = flock(lock, LOCK_EX)) != 0 && errno == EINTR)
        ;
    if (rc != 0 || fstat(lock, &st) != 0)
        rc = err_errno(e, BFORK_EKEY, errno, "cannot lock the folder %s", parent);
    else
        rc = allow_rewrite(path, &st, c, e);
    if (rc == 0 && c->done)
        fsync(lock);
    close(lock);
    return rc < 0 ? rc : c->done;
}

int net_allow_add(const char *path, const uint8_t key[32], const char *name, struct err *e)
{
    struct allow_change c = { .key = key, .name = name, .add = true };

    for (const char *p = name; p && *p; p++)
        if ((unsigned char)*p < 32)
            return err_set(e, BFORK_EINVAL, "the name of a key must not have control characters");
    return allow_change(path, &c, e);
}

int net_allow_remove(const char *path, const uint8_t *key, const char *name, struct err *e)
{
    struct allow_change c = { .key = key, .name = name };

    if (!key && (!name || !name[0]))
        return err_set(e, BFORK_EINVAL, "say which key or name is to be removed from %s", path);
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return 0;
    return allow_change(path, &c, e);
}
