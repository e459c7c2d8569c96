/* SPDX-License-Identifier: MPL-2.0
 * transport.c - transport.h over common/net and OpenSSL: all there is in libbfork-remote.
 */
#include "transport.h"

#include "net/net.h"
#include "net/profile.h"
#include "bfork.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct transport {
    struct net *net;
    struct net_link *link;
    struct net_keypair key;
    uint8_t server_key[WIRE_KEY];
    char endpoint[300];
};

/* A key file that says itself where its broker is (bfork keygen writes such) needs no profile: tcp://host:port with --client-key.
 */
static int read_profile(const char *profile, const char *client_key, bool admin, struct transport *t, struct err *e)
{
    struct net_profile p;
    struct net_cert cert;
    bool address = strncmp(profile, "tcp://", 6) == 0;
    if (address && !client_key)
        return err_set(e, BFORK_EKEY,
                       "%s: an address alone is not enough: give a profile (BFORK_PROFILE=NAME), or a client key that names "
                       "its broker's key",
                       profile);
    int rc = address ? 0 : net_profile_load(profile, NULL, &p, e);
    if (rc != 0)
        return rc;
    const char *key = client_key ? client_key : admin ? p.admin_key : p.key;
    if (!address && admin && !client_key && !*key)
        return err_set(e, BFORK_EKEY, "%s names no admin-key: this needs an administrator's key", p.path);
    rc = net_cert_load(key, true, &cert, e);
    if (rc != 0)
        return rc;
    t->key = cert.pair;
    if (address && !cert.has_broker_key)
        return err_set(e, BFORK_EKEY, "%s does not name its broker's key: use a profile with broker-key", key);
    memcpy(t->server_key, address ? cert.broker_key : p.broker_key, WIRE_KEY);
    if ((rc = net_not_the_brokers(key, t->key.public_key, t->server_key, e)) != 0)
        return rc;
    const char *base = address ? profile : admin && p.admin[0] ? p.admin : p.broker;
    return net_endpoint_shift(base, NULL, admin && (address || !p.admin[0]) ? 2 : 0, t->endpoint, sizeof(t->endpoint), e);
}

static void transport_close(struct transport **tp)
{
    struct transport *t = *tp;
    if (!t)
        return;
    if (t->link)
        net_link_close(&t->link);
    net_free(&t->net);
    explicit_bzero(&t->key, sizeof(t->key));
    free(t);
    *tp = NULL;
}

static int transport_open(const char *profile, const char *client_key, bool admin, struct transport **ret, struct err *e)
{
    struct transport *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    int rc = read_profile(profile, client_key, admin, t, e);
    if (rc == 0)
        rc = net_new(&t->net, e);
    if (rc == 0 && admin)
        net_set_role(t->net, "admin");
    if (rc != 0) {
        transport_close(&t);
        return rc;
    }
    *ret = t;
    return 0;
}

static const char *transport_endpoint(const struct transport *t)
{
    return t->endpoint;
}

static void transport_disconnect(struct transport *t)
{
    if (t->link)
        net_link_close(&t->link);
}

static int transport_connect(struct transport *t, struct err *e)
{
    transport_disconnect(t);
    return net_connect(t->net, t->endpoint, t->server_key, &t->key, &t->link, e);
}

static enum transport_state transport_state(struct transport *t, struct err *e)
{
    if (!t->link) {
        err_set(e, BFORK_EUNREACHABLE, "not connected");
        return TRANSPORT_DOWN;
    }
    switch (net_link_state(t->link, e)) {
    case NET_LINK_UP:
        return TRANSPORT_UP;
    case NET_LINK_CONNECTING:
        return TRANSPORT_CONNECTING;
    default:
        return TRANSPORT_DOWN;
    }
}

static int transport_recv(struct transport *t, struct wire_item *items, struct wire_msg *m, struct buf **frame, struct err *e)
{
    int got = t->link ? net_link_recv(t->link, frame) : 0;
    if (got <= 0)
        return got < 0 ? err_set(e, BFORK_EUNREACHABLE, "the connection is broken") : 0;
    int rc = wire_decode((*frame)->data, (*frame)->size, *frame, items, m, e);
    if (rc == 0)
        return 1;
    buf_unref(frame);
    return rc;
}

static int transport_send(struct transport *t, const struct wire_msg *m)
{
    return t->link ? net_link_send(t->link, m) : BFORK_EUNREACHABLE;
}

static int transport_fd(const struct transport *t)
{
    return net_fd(t->net);
}

static bool transport_ready(struct transport *t)
{
    return net_ready(t->net);
}

static int transport_step(struct transport *t, struct err *e)
{
    return net_step(t->net, e);
}

static void transport_digest(const void *p, size_t n, uint8_t out[WIRE_DIGEST])
{
    unsigned size = WIRE_DIGEST;
    if (!EVP_Digest(p, n, out, &size, EVP_sha256(), NULL))
        memset(out, 0, WIRE_DIGEST);
}

static int transport_digest_file(int fd, uint8_t out[WIRE_DIGEST], uint64_t *ret_size, struct err *e)
{
    enum { PIECE = 1 << 16 };
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t *piece = malloc(PIECE);
    unsigned size = WIRE_DIGEST;
    ssize_t n = -1;
    *ret_size = 0;
    int ok = ctx && piece && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    while (ok && (n = pread(fd, piece, PIECE, (off_t)*ret_size)) > 0) {
        ok = EVP_DigestUpdate(ctx, piece, (size_t)n);
        *ret_size += (uint64_t)n;
    }
    int rc = 0;
    if (n < 0)
        rc = err_errno(e, BFORK_REFUSED, errno, "cannot read this program's file");
    else if (!ok || !EVP_DigestFinal_ex(ctx, out, &size))
        rc = err_set(e, BFORK_ENOMEM, "SHA-256 failed");
    EVP_MD_CTX_free(ctx);
    free(piece);
    return rc;
}

__attribute__((visibility("default"))) const struct transport_table bfork_remote_transport = {
    .version = BF_VERSION,
    .open = transport_open,
    .close = transport_close,
    .endpoint = transport_endpoint,
    .connect = transport_connect,
    .disconnect = transport_disconnect,
    .state = transport_state,
    .recv = transport_recv,
    .send = transport_send,
    .fd = transport_fd,
    .ready = transport_ready,
    .step = transport_step,
    .digest = transport_digest,
    .digest_file = transport_digest_file,
};
