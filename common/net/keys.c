/* SPDX-License-Identifier: MPL-2.0
 * keys.c - CURVE keys, their text (Z85), and key files in the format of czmq's zcert: one file with both keys, or FILE with the
 * public key and FILE_secret with both. A secret is only ever written to a new file of mode 0600 and only read from a file that
 * nobody else can read; it never stays in memory that is given back.
 */
#include "keys.h"

#include "bfork.h"
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define CERT_MAX 16384

int net_keypair_new(struct net_keypair *k, struct err *e)
{
    char pub[NET_KEY_TEXT], sec[NET_KEY_TEXT];
    int rc = 0;

    if (zmq_curve_keypair(pub, sec) != 0 || net_key_parse(pub, k->public_key) < 0 || net_key_parse(sec, k->secret_key) < 0)
        rc = err_set(e, BFORK_ENOTSUP, "this libzmq cannot make CURVE keys: %s", zmq_strerror(errno));
    explicit_bzero(sec, sizeof(sec));
    return rc;
}

void net_key_text(const uint8_t key[32], char text[NET_KEY_TEXT])
{
    zmq_z85_encode(text, key, 32);
}

int net_key_parse(const char *text, uint8_t key[32])
{
    if (!text || strlen(text) != NET_KEY_TEXT - 1 || !zmq_z85_decode(key, text))
        return BFORK_EKEY;
    return 0;
}

static int cert_write(FILE *f, const struct net_cert *c, bool secret)
{
    char text[NET_KEY_TEXT];

    fprintf(f, "#   ZeroMQ CURVE %s\n#   %s\n\nmetadata\n", secret ? "**Secret** Certificate" : "Public Certificate",
            secret ? "DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions." : "Made by Broadfork.");
    if (c->name[0])
        fprintf(f, "    name = \"%s\"\n", c->name);
    if (c->broker[0])
        fprintf(f, "    broker = \"%s\"\n", c->broker);
    if (c->has_broker_key) {
        net_key_text(c->broker_key, text);
        fprintf(f, "    broker-key = \"%s\"\n", text);
    }
    net_key_text(c->pair.public_key, text);
    fprintf(f, "curve\n    public-key = \"%s\"\n", text);
    if (secret) {
        net_key_text(c->pair.secret_key, text);
        fprintf(f, "    secret-key = \"%s\"\n", text);
        explicit_bzero(text, sizeof(text));
    }
    return ferror(f) || fflush(f) != 0 || fsync(fileno(f)) != 0 ? -1 : 0;
}

static bool cert_value_ok(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 32 || *s == '"')
            return false;
    return true;
}

int net_cert_save(const struct net_cert *c, const char *path, bool secret, struct err *e)
{
    int fd, rc = 0, failed;
    FILE *f;

    if (!cert_value_ok(c->name) || !cert_value_ok(c->broker))
        return err_set(e, BFORK_EINVAL, "the name or broker of a key must not have quotes or control characters");
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, secret ? 0600 : 0644);
    if (fd < 0 && errno == EEXIST)
        return err_set(e, BFORK_ESTATE, "the key file %s exists already; it was left as it is", path);
    if (fd < 0)
        return err_errno(e, BFORK_EKEY, errno, "cannot write the key file %s", path);
    f = fdopen(fd, "w");
    if (!f) {
        failed = errno;
        close(fd);
        unlink(path);
        return err_errno(e, BFORK_ENOMEM, failed, "cannot write the key file %s", path);
    }
    setvbuf(f, NULL, _IONBF, 0);        /* no copy of the secret in a buffer that is only freed */
    errno = 0;
    if (cert_write(f, c, secret) < 0)
        rc = err_errno(e, BFORK_EKEY, errno ? errno : EIO, "cannot write the key file %s", path);
    if (fclose(f) != 0 && rc == 0)
        rc = err_errno(e, BFORK_EKEY, errno, "cannot write the key file %s", path);
    if (rc < 0)
        unlink(path);
    return rc;
}

/* The value that p begins with, cut in place. NULL, or what is wrong with it. */
static const char *cert_value(char *p, char **value)
{
    char *end, quote = *p;

    if (quote == '"' || quote == '\'') {
        *value = p + 1;
        if (!(end = strchr(p + 1, quote)))
            return "has a value whose quote is not closed";
        *end++ = '\0';
    } else {
        *value = p;
        end = p + strcspn(p, " \t");
        if (*end)
            *end++ = '\0';
    }
    end += strspn(end, " \t");
    return *end && *end != '#' ? "has something behind its value" : NULL;
}

struct cert_line { char *name, *value; bool indented; };

/* One line "name = value" with optional quotes; cut in place. A name alone opens a section (value NULL), without a name it is empty
 * or a comment. NULL, or what is wrong. */
static const char *cert_line(char *line, struct cert_line *ret)
{
    const char *wrong = NULL;
    char *p = line, *end;

    *ret = (struct cert_line){ .indented = *p == ' ' || *p == '\t' };
    p += strspn(p, " \t");
    if (!*p || *p == '#')
        return NULL;
    ret->name = p;
    end = p += strcspn(p, " \t=");
    p += strspn(p, " \t");
    if (*p == '=') {
        p++;
        wrong = cert_value(p + strspn(p, " \t"), &ret->value);
    }
    *end = '\0';
    return wrong;
}

static void cert_copy(char *to, size_t size, const char *value)
{
    if (value)
        snprintf(to, size, "%s", value);
}

struct cert_seen { bool public_key, secret_key; };

static const char *cert_key(const char *value, uint8_t key[32], bool *seen)
{
    if (*seen)
        return "stands there twice";
    *seen = true;
    return net_key_parse(value, key) < 0 ? "is not a key in Z85 (40 characters)" : NULL;
}

/* NULL, or what is wrong with the line. */
static const char *cert_set(struct net_cert *c, struct cert_seen *seen, const char *section, const struct cert_line *l)
{
    if (strcmp(section, "metadata") == 0) {
        if (strcmp(l->name, "name") == 0) {
            cert_copy(c->name, sizeof(c->name), l->value);
        } else if (strcmp(l->name, "broker") == 0) {
            if (l->value && strlen(l->value) >= sizeof(c->broker))
                return "is longer than an endpoint can be (255 characters)";
            cert_copy(c->broker, sizeof(c->broker), l->value);
        } else if (strcmp(l->name, "broker-key") == 0) {
            return cert_key(l->value, c->broker_key, &c->has_broker_key);
        }
    } else if (strcmp(section, "curve") == 0) {
        if (strcmp(l->name, "public-key") == 0)
            return cert_key(l->value, c->pair.public_key, &seen->public_key);
        if (strcmp(l->name, "secret-key") == 0)
            return cert_key(l->value, c->pair.secret_key, &seen->secret_key);
    }
    return NULL;
}

/* Is the public key that of the secret one? */
static bool cert_fits(const struct net_keypair *k)
{
    char pub[NET_KEY_TEXT], sec[NET_KEY_TEXT];
    uint8_t key[32];
    int rc;

    net_key_text(k->secret_key, sec);
    rc = zmq_curve_public(pub, sec);
    explicit_bzero(sec, sizeof(sec));
    return rc == 0 && net_key_parse(pub, key) == 0 && memcmp(key, k->public_key, 32) == 0;
}

static int cert_parse(char *text, const char *path, struct net_cert *c, struct err *e)
{
    char section[32] = "";
    struct cert_seen seen = { false, false };
    size_t number = 0;

    for (char *line = text, *next; line; line = next) {
        struct cert_line l;
        const char *wrong, *what = "the line";      /* bytes that are none of ours are not shown: they might be a secret */
        if ((next = strchr(line, '\n')))
            *next++ = '\0';
        line[strcspn(line, "\r")] = '\0';
        number++;
        wrong = cert_line(line, &l);
        if (!wrong && l.name && l.indented && (wrong = cert_set(c, &seen, section, &l)))
            what = l.name;
        else if (!wrong && l.name && !l.indented)
            snprintf(section, sizeof(section), "%s", l.name);
        if (wrong)
            return err_set(e, BFORK_EKEY,
                           "%s:%zu: this key file is damaged: %s %s. Copy it once more from where it was made, or make a new one "
                           "with bfork keygen",
                           path, number, what, wrong);
    }
    c->has_secret = seen.secret_key;
    if (!seen.public_key)
        return err_set(e, BFORK_EKEY,
                       "%s is not a key file: in %zu lines it has no section curve with a public-key. Make one with bfork keygen",
                       path, number);
    if (c->has_secret && !cert_fits(&c->pair))
        return err_set(e, BFORK_EKEY,
                       "the key file %s is damaged: its public-key is not that of its secret-key. Copy it once more from where it "
                       "was made, or make a new one with bfork keygen",
                       path);
    return 0;
}

/* Only root and we may own a secret, and only its owner may read it. */
static int cert_private(int fd, const char *path, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_errno(e, BFORK_EKEY, errno, "cannot read the key file %s", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return err_set(e, BFORK_EKEY,
                       "the secret key file %s belongs to user %u, not to you or root: it is not used. Make your own with "
                       "bfork keygen",
                       path, (unsigned)st.st_uid);
    if (st.st_mode & 077)
        return err_set(e, BFORK_EKEY,
                       "the secret key file %s can be read or changed by others (mode %04o): it is not used. Run: chmod 600 %s",
                       path, (unsigned)(st.st_mode & 07777), path);
    return 0;
}

/* The file as it is, into text of CERT_MAX bytes. */
static int cert_slurp(int fd, const char *path, char *text, struct err *e)
{
    size_t n = 0;
    ssize_t got = 1;

    while (n < CERT_MAX - 1 && got != 0) {
        got = read(fd, text + n, CERT_MAX - 1 - n);
        if (got < 0 && errno != EINTR)
            return err_errno(e, BFORK_EKEY, errno, "cannot read the key file %s", path);
        n += got > 0 ? (size_t)got : 0;
    }
    text[n] = '\0';
    if (n == CERT_MAX - 1 || memchr(text, '\0', n))
        return err_set(e, BFORK_EKEY, "%s is not a key file: it is %s", path, n == CERT_MAX - 1 ? "too long" : "no text");
    return 0;
}

/* One file. Whether others can read it matters if the secret is wanted and is in it. */
static int cert_read(const char *path, bool secret, struct net_cert *ret, struct err *e)
{
    char text[CERT_MAX];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;

    if (fd < 0 && errno == ENOENT)
        return err_set(e, BFORK_EKEY,
                       "there is no key file %s: bfork keygen makes it, on the broker's host; copy it from there, or name another",
                       path);
    if (fd < 0)
        return err_errno(e, BFORK_EKEY, errno, "cannot read the key file %s", path);
    if (secret && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)))
        rc = err_set(e, BFORK_EKEY, "the key file %s is not a file", path);
    else if ((rc = cert_slurp(fd, path, text, e)) == 0)
        rc = cert_parse(text, path, ret, e);
    if (rc == 0 && secret && !ret->has_secret)
        rc = err_set(e, BFORK_EKEY, "%s has only the public key, and there is no %s_secret: copy that to its side, or name the "
                     "file with the secret key", path, path);
    if (rc == 0 && secret)
        rc = cert_private(fd, path, e);
    close(fd);
    explicit_bzero(text, sizeof(text));
    return rc;
}

int net_cert_secret(const char *path, char ret[PATH_MAX], struct err *e)
{
    if (snprintf(ret, PATH_MAX, "%s_secret", path) >= PATH_MAX)
        return err_set(e, BFORK_EKEY, "the path of the key file is too long: %.100s…", path);
    if (access(ret, F_OK) != 0)
        ret[strlen(path)] = '\0';
    return 0;
}

int net_cert_load(const char *path, bool secret, struct net_cert *ret, struct err *e)
{
    struct net_cert shown = { .has_secret = false };
    char file[PATH_MAX];
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (!secret)
        rc = cert_read(path, false, ret, e);
    else if ((rc = net_cert_secret(path, file, e)) == 0)
        rc = cert_read(file, true, ret, e);
    /* What the broker allows is the key in the other file. */
    if (rc == 0 && secret && strcmp(file, path) != 0 && access(path, F_OK) == 0) {
        rc = cert_read(path, false, &shown, e);
        if (rc == 0 && memcmp(shown.pair.public_key, ret->pair.public_key, 32) != 0)
            rc = err_set(e, BFORK_EKEY, "%s and %s are not of one certificate: their public keys differ. Copy both from where they "
                         "were made", path, file);
    }
    explicit_bzero(&shown, sizeof(shown));
    if (rc < 0)
        explicit_bzero(ret, sizeof(*ret));
    return rc;
}

int net_keypair_save(const struct net_keypair *k, const char *path, const char *name, struct err *e)
{
    struct net_cert c = { .pair = *k, .has_secret = true };
    int rc;

    snprintf(c.name, sizeof(c.name), "%s", name ? name : "");
    rc = net_cert_save(&c, path, true, e);
    explicit_bzero(&c, sizeof(c));
    return rc;
}

int net_keypair_load(const char *path, struct net_keypair *k, struct err *e)
{
    struct net_cert c;
    int rc = net_cert_load(path, true, &c, e);

    if (rc == 0)
        *k = c.pair;
    explicit_bzero(&c, sizeof(c));
    return rc;
}

int net_public_load(const char *path, uint8_t key[32], struct err *e)
{
    struct net_cert c;
    int rc = net_cert_load(path, false, &c, e);

    if (rc == 0)
        memcpy(key, c.pair.public_key, 32);
    explicit_bzero(&c, sizeof(c));
    return rc;
}

int net_not_the_brokers(const char *path, const uint8_t own[32], const uint8_t broker[32], struct err *e)
{
    if (memcmp(own, broker, 32) != 0)
        return 0;
    return err_set(e, BFORK_EKEY, "%s is the broker's own key, which stays with the broker: clients have client.key, workers "
                   "worker.key", path);
}

int net_endpoint_shift(const char *endpoint, const char *host, int by, char *ret, size_t size, struct err *e)
{
    char own[256], port[8];
    long n;

    if (!net_host_port(endpoint, own, port))
        return err_set(e, BFORK_EINVAL, "\"%s\" is no endpoint: it looks like tcp://host:7700", endpoint);
    n = strtol(port, NULL, 10);
    if (n != 0)
        n += by;
    if (n < 0 || n > 65535)
        return err_set(e, BFORK_EINVAL, "the endpoint %s leaves no room for the ports beside it", endpoint);
    if (!host)
        host = own;
    if ((size_t)snprintf(ret, size, strchr(host, ':') ? "tcp://[%s]:%ld" : "tcp://%s:%ld", host, n) >= size)
        return err_set(e, BFORK_EINVAL, "the endpoint %s is too long", endpoint);
    return 0;
}
