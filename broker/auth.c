/* SPDX-License-Identifier: MPL-2.0
 * auth.c - see auth.h. The secret of tickets lies beside the broker's key: it must survive a restart, or workers could not be
 * believed.
 */
#include "auth.h"

#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const auth_role_names[AUTH_ROLES] = { "client", "worker", "admin" };

static int secret_make(const char *path, uint8_t secret[32], struct err *e)
{
    int fd, rc = 0;

    if (getrandom(secret, 32, 0) != 32)
        return err_errno(e, BFORK_ENOMEM, errno, "no random numbers");
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(e, BFORK_EKEY, errno, "cannot write the secret of tickets %s", path);
    if (write(fd, secret, 32) != 32 || fsync(fd) != 0)
        rc = err_errno(e, BFORK_EKEY, errno ? errno : ENOSPC, "cannot write the secret of tickets %s", path);
    close(fd);
    if (rc < 0)
        unlink(path);
    return rc;
}

static int secret_load(const char *path, bool create, uint8_t secret[32], struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t more;
    struct stat st;
    int rc = 0;

    if (fd < 0 && errno == ENOENT)
        return create ? secret_make(path, secret, e) : 0;
    if (fd < 0)
        return err_errno(e, BFORK_EKEY, errno, "cannot read the secret of tickets %s", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 077))
        rc = err_set(e, BFORK_EKEY, "the secret of tickets %s must be yours and private (mode %04o). Run: chmod 600 %s", path,
                     (unsigned)(st.st_mode & 07777), path);
    else if (read(fd, secret, 32) != 32 || read(fd, &more, 1) != 0)
        rc = err_set(e, BFORK_EKEY,
                     "the secret of tickets %s is damaged (it must have 32 bytes). Remove it: then tasks that ran while the "
                     "broker was down are run again",
                     path);
    close(fd);
    return rc;
}

int bsh_auth_reload(struct auth *a, struct err *e)
{
    struct allow *fresh[AUTH_ROLES] = { NULL };
    int rc = 0;

    for (int i = 0; i < AUTH_ROLES && rc == 0; i++)
        rc = net_allow_load(a->files[i], !a->required[i], &fresh[i], e);
    for (int i = 0; i < AUTH_ROLES; i++) {
        if (rc == 0) {
            net_allow_free(&a->allow[i]);
            a->allow[i] = fresh[i];
        } else {
            net_allow_free(&fresh[i]);
        }
    }
    return rc;
}

int bsh_auth_init(struct auth *a, const struct options *o, const struct paths *p, bool create_secret, struct err *e)
{
    int rc;

    memset(a, 0, sizeof(*a));
    for (int i = 0; i < AUTH_ROLES; i++)
        a->sets[i] = (struct auth_set){ a, (enum auth_role)i };
    a->files[AUTH_CLIENT] = p->clients;
    a->files[AUTH_WORKER] = p->workers;
    a->files[AUTH_ADMIN] = p->admins;
    a->required[AUTH_CLIENT] = o->allow_clients != NULL;
    a->required[AUTH_WORKER] = o->allow_workers != NULL;
    a->required[AUTH_ADMIN] = o->allow_admins != NULL;
    if ((rc = net_keypair_load(p->key, &a->pair, e)) < 0 || (rc = bsh_auth_reload(a, e)) < 0 ||
        (rc = secret_load(p->secret, create_secret, a->secret, e)) < 0) {
        bsh_auth_done(a);
        return rc;
    }
    return 0;
}

void bsh_auth_done(struct auth *a)
{
    for (int i = 0; i < AUTH_ROLES; i++)
        net_allow_free(&a->allow[i]);
    explicit_bzero(&a->pair, sizeof(a->pair));
    explicit_bzero(a->secret, sizeof(a->secret));
    EVP_MAC_CTX_free(a->mac);           /* clears the key */
    a->mac = NULL;
}

bool bsh_auth_allows(void *ctx, const uint8_t key[32])
{
    const struct auth_set *s = ctx;

    return net_allow_contains(s->auth->allow[s->role], key);
}

int bsh_auth_revoke(struct auth *a, const char *key_or_name, struct err *e)
{
    uint8_t key[32];
    bool is_key = net_key_parse(key_or_name, key) == 0;
    int lines = 0;

    for (int i = 0; i < AUTH_ROLES; i++) {
        int rc = net_allow_remove(a->files[i], is_key ? key : NULL, key_or_name, e);
        if (rc < 0)
            return rc;
        lines += rc;
    }
    return lines;
}

/* Finding an algorithm by its name and hashing the key cost several times what a ticket does, so both are done once. */
static bool mac_begin(struct auth *a)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end() };
    EVP_MAC *hmac;

    if (a->mac)
        return EVP_MAC_init(a->mac, NULL, 0, NULL) == 1;
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    a->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    if (a->mac && EVP_MAC_init(a->mac, a->secret, sizeof(a->secret), params) == 1)
        return true;
    EVP_MAC_CTX_free(a->mac);
    a->mac = NULL;
    return false;
}

void bsh_auth_mac(void *ctx, const void *in, size_t n, uint8_t out[16])
{
    struct auth *a = ctx;
    uint8_t whole[EVP_MAX_MD_SIZE];
    size_t size = 0;

    /* Without a digest no ticket may ever match: random bytes do not. */
    if (!mac_begin(a) || EVP_MAC_update(a->mac, in, n) != 1 || EVP_MAC_final(a->mac, whole, &size, sizeof(whole)) != 1 ||
        size < 16) {
        ssize_t got = getrandom(whole, 16, 0);
        if (got < 16)
            memset(whole, 0xff, 16);
    }
    memcpy(out, whole, 16);
}

void bsh_auth_digest(void *ctx, const void *in, size_t n, uint8_t out[32])
{
    unsigned size = 0;

    (void)ctx;
    if (EVP_Digest(in, n, out, &size, EVP_sha256(), NULL) != 1 || size != 32)
        memset(out, 0, 32);
}
