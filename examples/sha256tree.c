/* SPDX-License-Identifier: MPL-2.0
 * sha256tree.c - the SHA-256 of every regular file below a directory, on all cores; prints what sha256sum prints, sorted by path.
 * Shows: a stream of submits with a bounded number in flight, so that a tree of any size fits into memory; a library (OpenSSL)
 * used inside
 * tasks; task errors as data: a file that cannot be read is reported and costs nothing else.
 *
 *     ./sha256tree /usr/share | diff - <(find /usr/share -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
 *
 * Exit status: 0 all hashed, 1 some files or directories could not be read, 2 wrong usage. Symbolic links are not followed.
 * On a cluster the tree must be visible under the same absolute path on every host. */
#include <bfork.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { IN_FLIGHT = 4096, PIECE = 256 * 1024, DIGEST = 32 };

struct file {
    bool hashed;
    unsigned char digest[DIGEST];
    char path[];
};

static struct {
    struct file **files;
    size_t nfiles, room, done;
    unsigned long long bytes;
    int failed;
    bool terminal;
    double began, shown;
} tree;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- in the task processes ---- */

static int digest_fd(int fd, EVP_MD_CTX *ctx, unsigned char *digest, unsigned long long *size)
{
    static unsigned char piece[PIECE];
    ssize_t n;
    if (!EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
        return -1;
    for (*size = 0; (n = read(fd, piece, sizeof(piece))) != 0; *size += (unsigned long long)n) {
        if (n < 0)
            return -1;
        if (!EVP_DigestUpdate(ctx, piece, (size_t)n))
            return -1;
    }
    return EVP_DigestFinal_ex(ctx, digest, NULL) ? 0 : -1;
}

static int hash_file(bfork_task *task)
{
    static EVP_MD_CTX *ctx;         /* one for all tasks of this process */
    unsigned char digest[DIGEST];
    unsigned long long size;
    bfork_bytes path;               /* with its zero; bytes, because a file name need not be text */

    if (bfork_args(task, &path))
        return -1;
    if (!ctx && !(ctx = EVP_MD_CTX_new()))
        return bfork_raise(task, ENOMEM, "out of memory");
    int fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0)
        return bfork_raise(task, errno, "%s", strerror(errno));
    errno = EIO;
    int rc = digest_fd(fd, ctx, digest, &size), error = errno;
    close(fd);
    if (rc < 0)
        return bfork_raise(task, error, "%s", strerror(error));
    return bfork_return(task, bfork_bytes_of(digest, DIGEST), size);
}

/* ---- in this process ---- */

static void show_progress(bool last)
{
    double t = now();
    if (!tree.terminal || (!last && t - tree.shown < 0.1))
        return;
    tree.shown = t;
    fprintf(stderr, "\r%zu of %zu files, %.1f MB, %.0f MB/s\033[K%s", tree.done, tree.nfiles, (double)tree.bytes / 1e6,
            (double)tree.bytes / 1e6 / (t - tree.began + 1e-9), last ? "\n" : "");
}

static void complain(const char *path, const char *why)
{
    fprintf(stderr, "%ssha256tree: %s: %s\n", tree.terminal ? "\r\033[K" : "", path, why);
    tree.failed = 1;
}

/* Takes finished files out of the stream until at most `most` are left in it. */
static void collect(bfork_stream *stream, size_t most)
{
    bfork_future *f;
    while (bfork_stream_left(stream) > most) {
        if (bfork_stream_next(stream, BFORK_FOREVER, &f) != 0)
            bfork_die("sha256tree");
        struct file *file = bfork_future_data(f);
        bfork_bytes digest;
        unsigned long long size;
        if (bfork_result(f, &digest, &size) == 0 && digest.size == DIGEST) {
            memcpy(file->digest, digest.data, DIGEST);
            file->hashed = true;
            tree.bytes += size;
        } else {
            complain(file->path, bfork_last_error()->message);
        }
        bfork_future_free(&f);
        tree.done++;
        show_progress(false);
    }
}

static struct file *remember(const char *path)
{
    struct file *file = calloc(1, sizeof(*file) + strlen(path) + 1);
    if (tree.nfiles == tree.room) {
        tree.room = tree.room ? 2 * tree.room : 1024;
        tree.files = reallocarray(tree.files, tree.room, sizeof(*tree.files));
    }
    if (!file || !tree.files) {
        fprintf(stderr, "sha256tree: out of memory\n");
        exit(1);
    }
    strcpy(file->path, path);
    return tree.files[tree.nfiles++] = file;
}

/* Task processes may have another working directory: they get absolute names. */
static bfork_future *submit_file(bfork_pool *pool, const char *directory, const char *path)
{
    char absolute[8192];
    size_t n = strlen(path) + 1;
    if (path[0] != '/') {
        n = (size_t)snprintf(absolute, sizeof(absolute), "%s/%s", directory, path) + 1;
        path = absolute;
    }
    return bfork_submit(pool, hash_file, bfork_bytes_of(path, n));      /* a name too long for the system: the task says so */
}

static void walk(bfork_pool *pool, bfork_stream *stream, char *root, const char *directory)
{
    char *roots[] = { root, NULL };
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *e;
    while (walk && (e = fts_read(walk)))
        switch (e->fts_info) {
        case FTS_F:
            bfork_stream_add(stream, submit_file(pool, directory, e->fts_path), remember(e->fts_path));
            if (bfork_stream_left(stream) >= IN_FLIGHT)
                collect(stream, IN_FLIGHT / 2);
            break;
        case FTS_DNR:
        case FTS_ERR:
        case FTS_NS:
            complain(e->fts_path, strerror(e->fts_errno));
            break;
        }
    if (!walk || fts_close(walk) < 0)
        complain(root, strerror(errno));
}

/* As sha256sum does: a backslash before the line, if the name has a backslash, newline or carriage return, which are then written
 * as two. */
static void print_file(const struct file *file)
{
    bool escaped = strpbrk(file->path, "\\\n\r") != NULL;
    if (escaped)
        putchar('\\');
    for (int i = 0; i < DIGEST; i++)
        printf("%02x", file->digest[i]);
    fputs("  ", stdout);
    for (const char *p = file->path; *p; p++)
        switch (*p) {
        case '\\': fputs("\\\\", stdout); break;
        case '\n': fputs("\\n", stdout); break;
        case '\r': fputs("\\r", stdout); break;
        default: putchar(*p);
        }
    putchar('\n');
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(struct file *const *)a)->path, (*(struct file *const *)b)->path);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    if (argc != 2) {
        fprintf(stderr, "usage: sha256tree DIRECTORY\n");
        return 2;
    }
    char *directory = getcwd(NULL, 0);
    if (!directory) {
        perror("sha256tree: the working directory");
        return 1;
    }
    tree.terminal = isatty(STDERR_FILENO);
    tree.began = now();

    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, NULL);
    bfork_stream *stream = bfork_stream_new();
    walk(pool, stream, argv[1], directory);
    collect(stream, 0);
    show_progress(true);
    bfork_stream_free(&stream);
    bfork_pool_free(&pool);

    if (tree.nfiles)
        qsort(tree.files, tree.nfiles, sizeof(*tree.files), by_path);
    for (size_t i = 0; i < tree.nfiles; i++) {
        if (tree.files[i]->hashed)
            print_file(tree.files[i]);
        free(tree.files[i]);
    }
    free(tree.files);
    free(directory);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("sha256tree: writing the result");
        return 1;
    }
    return tree.failed;
}
