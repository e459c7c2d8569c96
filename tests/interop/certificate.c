/* SPDX-License-Identifier: MPL-2.0 */
/* certificate.c - certificates that czmq's own classes write, load and look up (chapter 2 of docs/protocol.md). */
#include "scenes.h"

/* FILE and FILE_secret by zcert: a new key for whoever is called so, with the broker that another key file names. */
void certificate_make(const char *file, const char *name, const char *key_file)
{
    zcert_t *from = zcert_load(key_file), *cert = zcert_new();
    if (!from || !cert)
        fail("%s is not a key file", key_file);
    zcert_set_meta(cert, "name", "%s", name);
    zcert_set_meta(cert, "broker", "%s", zcert_meta(from, "broker"));
    zcert_set_meta(cert, "broker-key", "%s", zcert_meta(from, "broker-key"));
    if (zcert_save(cert, file) != 0)
        fail("%s cannot be written", file);
    zcert_destroy(&cert);
    zcert_destroy(&from);
}

/* Does a store of certificates, as zauth has it, know the key that a file proves to have? */
void certificate_known(const char *directory, const char *file)
{
    zcertstore_t *store = zcertstore_new(directory);
    zcert_t *own = zcert_load(file), *found = own ? zcertstore_lookup(store, zcert_public_txt(own)) : NULL;
    if (!found)
        fail("the store %s does not know %s", directory, file);
    uint8_t none[32] = { 0 };
    EXPECT(memcmp(zcert_secret_key(own), none, sizeof none) != 0);
    EXPECT(strcmp(zcert_meta(own, "name"), zcert_meta(found, "name")) == 0);
    zcert_destroy(&own);
    zcertstore_destroy(&store);
}

/* Its handshake is refused. */
void certificate_refused(const char *file)
{
    struct link link;
    link_open(&link, file, NULL);
    EXPECT(!link_ready(&link, 60000));
    EXPECT(link.refused);
    link_close(&link);
}

/* With the certificate that the scene was given: work is done. */
void scene_certificate(struct session *s)
{
    one_pool(s, 1);
    struct job *j = job_open(s, 1, 1, 0, symbol("add"), (struct map){ 0 });
    for (int i = 0; i < 100; i++)
        task_of(j, "ii", i, 1);
    settled(s, j);
    for (int i = 0; i < 100; i++)
        EXPECT(result_number(&j->tasks[i]) == i + 1);
}
