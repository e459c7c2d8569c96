/* SPDX-License-Identifier: MPL-2.0
 * keys.c - CURVE keys, their text (Z85), and key files in the format of czmq's zcert. A secret is only ever written to a new file
 * of mode 0600 and only read from a file that nobody else can read; it never stays in memory that is given back.
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

/* One line "name = value" with optional quotes; cuts it in place. A name alone opens a section (value NULL). False: empty or
 * comment. */
static bool cert_line(char *line, char **name, char **value, bool *indented)
{
    char *p = line, *end;

    *indented = *p == ' ' || *p == '\t';
    while (*p == ' ' || *p == '\t')
        p++;
    if (!*p || *p == '#')
        return false;
    *name = p;
    p += strcspn(p, " \t=");
    end = p;
    while (*p == ' ' || *p == '\t')
        p++;
    *value = NULL;
    if (*p == '=') {
        p++;
        while (*p == ' ' || *p == '\t')
            p++;
        *value = p;
        if (*p == '"' || *p == '\'') {
            char quote = *p;
            *value = ++p;
            p = strchr(p, quote);
            if (p)
                *p = '\0';
        } else {
            p += strcspn(p, " \t");
            *p = '\0';
        }
    }
    *end = '\0';
    return true;
}

static void cert_copy(char *to, size_t size, const char *value)
{
    if (value)
        snprintf(to, size, "%s", value);
}

struct cert_seen { bool public_key, secret_key; };

static int cert_set(struct net_cert *c, struct cert_seen *seen, const char *section, const char *name, const char *value)
{
    if (strcmp(section, "metadata") == 0) {
        if (strcmp(name, "name") == 0)
            cert_copy(c->name, sizeof(c->name), value);
        else if (strcmp(name, "broker") == 0)
            cert_copy(c->broker, sizeof(c->broker), value);
        else if (strcmp(name, "broker-key") == 0) {
            c->has_broker_key = true;
            return net_key_parse(value, c->broker_key);
        }
    } else if (strcmp(section, "curve") == 0) {
        if (strcmp(name, "public-key") == 0) {
            seen->public_key = true;
            return net_key_parse(value, c->pair.public_key);
        }
        if (strcmp(name, "secret-key") == 0) {
            seen->secret_key = true;
            return net_key_parse(value, c->pair.secret_key);
        }
    }
    return 0;
}

static int cert_parse(char *text, const char *path, bool secret, struct net_cert *c, struct err *e)
{
    char section[32] = "", *save = NULL;
    struct cert_seen seen = { false, false };

    for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
        char *name, *value;
        bool indented;
        if (!cert_line(line, &name, &value, &indented))
            continue;
        if (!indented)
            snprintf(section, sizeof(section), "%s", name);
        else if (cert_set(c, &seen, section, name, value) < 0)
            return err_set(e, BFORK_EKEY,
                           "the key file %s is damaged: %s is not a key in Z85 (40 characters). Make a new one with bfork keygen",
                           path, name);
    }
    c->has_secret = seen.secret_key;
    if (!seen.public_key)
        return err_set(e, BFORK_EKEY, "%s is not a key file: it has no curve section with a public-key. Make one with bfork keygen",
                       path);
    if (secret && !seen.secret_key)
        return err_set(e, BFORK_EKEY, "%s has only the public key; the file with the secret key is needed here", path);
    return 0;
}

/* Only root and we may own a secret, and only its owner may read it. */
static int cert_private(int fd, const char *path, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_errno(e, BFORK_EKEY, errno, "cannot read the key file %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, BFORK_EKEY, "the key file %s is not a file", path);
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

int net_cert_load(const char *path, bool secret, struct net_cert *ret, struct err *e)
{
    char text[CERT_MAX];
    size_t n = 0;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;

    memset(ret, 0, sizeof(*ret));
    if (fd < 0 && errno == ENOENT)
        return err_set(e, BFORK_EKEY,
                       "there is no key file %s: bfork keygen makes it, on the broker's host; copy it from there, or name another",
                       path);
    if (fd < 0)
        return err_errno(e, BFORK_EKEY, errno, "cannot read the key file %s", path);
    if (secret)
        rc = cert_private(fd, path, e);
    while (rc == 0 && n < sizeof(text) - 1) {
        got = read(fd, text + n, sizeof(text) - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = err_errno(e, BFORK_EKEY, errno, "cannot read the key file %s", path);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(fd);
    text[n] = '\0';
    if (rc == 0 && (n == sizeof(text) - 1 || memchr(text, '\0', n)))
        rc = err_set(e, BFORK_EKEY, "%s is not a key file", path);
    if (rc == 0)
        rc = cert_parse(text, path, secret, ret, e);
    explicit_bzero(text, sizeof(text));
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
