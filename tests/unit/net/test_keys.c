/* SPDX-License-Identifier: MPL-2.0
 * Key files, allow files, profiles. czmq is the oracle for the format of key files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <czmq.h>

#include "bfork.h"
#include "net/allow.h"
#include "net/net.h"
#include "net/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *in_folder(const char *name)
{
    static char paths[4][256];
    static int at;

    at = (at + 1) % 4;
    snprintf(paths[at], sizeof(paths[at]), "%s/%s", folder, name);
    return paths[at];
}

static const char *put(const char *name, const char *text, mode_t mode)
{
    const char *path = in_folder(name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "keys.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf ./%s", folder);
    return system(command);
}

static void says(const struct err *e, int code, const char *word)
{
    assert_int_equal(e->code, code);
    if (!strstr(e->text, word))
        fail_msg("\"%s\" is not in: %s", word, e->text);
}

static void text_and_key_are_inverse(void **state)
{
    struct net_keypair k;
    struct err e = { 0, "" };
    char text[NET_KEY_TEXT];
    uint8_t back[32];
    (void)state;

    assert_int_equal(net_keypair_new(&k, &e), 0);
    net_key_text(k.public_key, text);
    assert_int_equal(strlen(text), 40);
    assert_int_equal(net_key_parse(text, back), 0);
    assert_memory_equal(back, k.public_key, 32);
    text[39] = '\0';
    assert_int_equal(net_key_parse(text, back), BFORK_EKEY);
    assert_int_equal(net_key_parse("########################################", back), BFORK_EKEY);
    assert_int_equal(net_key_parse("~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", back), BFORK_EKEY);
    assert_int_equal(net_key_parse(NULL, back), BFORK_EKEY);
}

static void a_saved_secret_is_private_loads_again_and_is_never_overwritten(void **state)
{
    struct net_keypair k, back;
    struct err e = { 0, "" };
    struct stat st;
    uint8_t public_key[32];
    const char *path = in_folder("client.key");
    (void)state;

    assert_int_equal(net_keypair_new(&k, &e), 0);
    assert_int_equal(net_keypair_save(&k, path, "joe of lab", &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(net_keypair_load(path, &back, &e), 0);
    assert_memory_equal(&k, &back, sizeof(k));
    assert_int_equal(net_public_load(path, public_key, &e), 0);
    assert_memory_equal(public_key, k.public_key, 32);
    assert_int_equal(net_keypair_save(&k, path, "joe", &e), BFORK_ESTATE);
    says(&e, BFORK_ESTATE, "exists already");
}

static void czmq_reads_ours_and_we_read_czmqs(void **state)
{
    struct net_cert c = { .name = "joe", .broker = "tcp://a:7700", .has_broker_key = true }, back;
    struct err e = { 0, "" };
    char text[NET_KEY_TEXT];
    const char *path = in_folder("ours");
    (void)state;

    zsys_handler_set(NULL);
    assert_int_equal(net_keypair_new(&c.pair, &e), 0);
    memcpy(c.broker_key, c.pair.secret_key, 32);
    assert_int_equal(net_cert_save(&c, path, true, &e), 0);
    zcert_t *z = zcert_load(path);
    assert_non_null(z);
    assert_memory_equal(zcert_public_key(z), c.pair.public_key, 32);
    assert_memory_equal(zcert_secret_key(z), c.pair.secret_key, 32);
    assert_string_equal(zcert_meta(z, "name"), "joe");
    assert_string_equal(zcert_meta(z, "broker"), "tcp://a:7700");
    net_key_text(c.broker_key, text);
    assert_string_equal(zcert_meta(z, "broker-key"), text);
    zcert_destroy(&z);
    assert_int_equal(net_cert_load(path, true, &back, &e), 0);
    assert_string_equal(back.broker, "tcp://a:7700");
    assert_true(back.has_broker_key);

    for (int i = 0; i < 200; i++) {             /* keys with every character of Z85 at every place */
        z = zcert_new();
        zcert_set_meta(z, "name", "%s", "czmq's own");
        path = in_folder("theirs");
        assert_int_equal(zcert_save_secret(z, path), 0);
        if (net_cert_load(path, true, &back, &e) != 0)
            fail_msg("%s", e.text);
        assert_memory_equal(zcert_public_key(z), back.pair.public_key, 32);
        assert_memory_equal(zcert_secret_key(z), back.pair.secret_key, 32);
        assert_string_equal(back.name, "czmq's own");
        unlink(path);
        assert_int_equal(zcert_save_public(z, path), 0);
        assert_int_equal(net_cert_load(path, false, &back, &e), 0);
        assert_false(back.has_secret);
        unlink(path);
        zcert_destroy(&z);
    }
}

/* What zcert_save writes: FILE, and FILE_secret. The same of ours is what zcert_load takes. */
static void the_secret_is_found_beside_a_certificate(void **state)
{
    struct net_cert c = { .name = "joe", .has_broker_key = true }, back;
    struct err e = { 0, "" };
    char path[256], secret[300], found[PATH_MAX];
    zcert_t *z = zcert_new(), *other = zcert_new();
    (void)state;

    zsys_handler_set(NULL);
    snprintf(path, sizeof(path), "%s", in_folder("alice.cert"));
    snprintf(secret, sizeof(secret), "%s_secret", path);
    zcert_set_meta(z, "name", "%s", "alice");
    zcert_set_meta(z, "broker-key", "%s", zcert_public_txt(z));
    assert_int_equal(zcert_save(z, path), 0);
    assert_int_equal(net_cert_load(path, true, &back, &e), 0);
    assert_memory_equal(zcert_public_key(z), back.pair.public_key, 32);
    assert_memory_equal(zcert_secret_key(z), back.pair.secret_key, 32);
    assert_memory_equal(zcert_public_key(z), back.broker_key, 32);
    assert_string_equal(back.name, "alice");
    assert_int_equal(net_cert_load(secret, true, &back, &e), 0);
    assert_int_equal(net_cert_secret(path, found, &e), 0);
    assert_string_equal(found, secret);
    assert_int_equal(net_cert_secret(secret, found, &e), 0);
    assert_string_equal(found, secret);
    assert_int_equal(net_cert_load(path, false, &back, &e), 0);
    assert_false(back.has_secret);

    assert_int_equal(chmod(secret, 0640), 0);
    assert_int_equal(net_cert_load(path, true, &back, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "chmod 600");
    says(&e, BFORK_EKEY, secret);
    unlink(path);
    zcert_save_public(other, path);
    assert_int_equal(chmod(secret, 0600), 0);
    assert_int_equal(net_cert_load(path, true, &back, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "their public keys differ");
    unlink(path);
    assert_int_equal(net_cert_load(path, true, &back, &e), 0);      /* as zcert_load does */
    unlink(secret);
    zcert_save_public(z, path);
    assert_int_equal(net_cert_load(path, true, &back, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "has only the public key");
    unlink(path);

    assert_int_equal(net_keypair_new(&c.pair, &e), 0);
    memcpy(c.broker_key, c.pair.public_key, 32);
    assert_int_equal(net_cert_save(&c, path, false, &e), 0);
    assert_int_equal(net_cert_save(&c, secret, true, &e), 0);
    zcert_destroy(&z);
    z = zcert_load(path);
    assert_non_null(z);
    assert_memory_equal(zcert_secret_key(z), c.pair.secret_key, 32);
    assert_string_equal(zcert_meta(z, "name"), "joe");
    zcert_destroy(&z);
    zcert_destroy(&other);
}

static void a_secret_others_can_read_is_refused_with_the_remedy(void **state)
{
    struct net_keypair k;
    struct err e = { 0, "" };
    const char *path = in_folder("open.key");
    char remedy[128];
    (void)state;

    assert_int_equal(net_keypair_new(&k, &e), 0);
    assert_int_equal(net_keypair_save(&k, path, NULL, &e), 0);
    snprintf(remedy, sizeof(remedy), "chmod 600 %s", path);
    for (mode_t bit = 1; bit < 0100; bit <<= 1) {
        assert_int_equal(chmod(path, 0600 | bit), 0);
        assert_int_equal(net_keypair_load(path, &k, &e), BFORK_EKEY);
        says(&e, BFORK_EKEY, remedy);
        assert_non_null(strstr(e.text, "mode 06"));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(net_keypair_load(path, &k, &e), 0);
}

static void bad_key_files_say_what_is_wrong(void **state)
{
    struct net_keypair k;
    struct err e = { 0, "" };
    (void)state;

    assert_int_equal(net_keypair_load(in_folder("none"), &k, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "bfork keygen");
    assert_int_equal(net_keypair_load(folder, &k, &e), BFORK_EKEY);
    assert_int_equal(net_keypair_load(put("empty", "", 0600), &k, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "not a key file");
    assert_int_equal(net_keypair_load(put("short", "curve\n    public-key = \"abc\"\n", 0600), &k, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "damaged");
    assert_int_equal(net_keypair_load(put("novalue", "curve\n    public-key\n", 0600), &k, &e), BFORK_EKEY);
    assert_int_equal(
        net_keypair_load(put("public", "curve\n    public-key = \"Bven^qT9j/!%<rNQ2>$}@)[FHmqw:L4G]o-m*J#E\"\n", 0600), &k, &e),
        BFORK_EKEY);
    says(&e, BFORK_EKEY, "only the public key");
    char *big = malloc(40001);
    memset(big, 'x', 40000);
    big[40000] = '\0';
    assert_int_equal(net_keypair_load(put("big", big, 0600), &k, &e), BFORK_EKEY);
    free(big);
}

#define KEY_A "Bven^qT9j/!%<rNQ2>$}@)[FHmqw:L4G]o-m*J#E"

static void damaged_lines_are_named_by_their_number(void **state)
{
    static const struct { const char *text, *number, *why; } files[] = {
        { "curve\n    public-key = \"abc\"\n", ":2:", "public-key is not a key in Z85 (40 characters)" },
        { "curve\r\n\r\n    public-key\r\n", ":3:", "public-key is not a key in Z85" },
        { "# mine\n\nmetadata\n    name = \"joe\ncurve\n", ":4:", "quote is not closed" },
        { "metadata\n    name = \"al\"ice\"\n", ":2:", "something behind its value" },
        { "metadata\n    broker-key = 7\n", ":2:", "broker-key is not a key in Z85" },
        { "curve\n    public-key = \"" KEY_A "\"\n    public-key = \"" KEY_A "\"\n", ":3:", "public-key stands there twice" },
        { "curve\n    public-key = \"" KEY_A "\"\n    secret-key = \"" KEY_A "\"\n", "", "is not that of its secret-key" },
        { "public-key = \"" KEY_A "\"\n", "", "no section curve with a public-key" },
    };
    struct net_cert c;
    struct err e = { 0, "" };
    (void)state;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        assert_int_equal(net_cert_load(put("bad", files[i].text, 0600), true, &c, &e), BFORK_EKEY);
        says(&e, BFORK_EKEY, files[i].number);
        says(&e, BFORK_EKEY, files[i].why);
        says(&e, BFORK_EKEY, "bfork keygen");
        assert_null(strstr(e.text, KEY_A));
    }
    assert_int_equal(net_cert_load(put("good", "\n# zmakecert\nmetadata\n    email = 'j@x' # his\ncurve\n    public-key = " KEY_A
                                       "  # by hand", 0600), false, &c, &e), 0);
}

static void allow_files_are_read_and_changed(void **state)
{
    struct net_keypair a, b;
    struct allow *l = NULL;
    struct err e = { 0, "" };
    const char *path = in_folder("allow/clients");
    const uint8_t *key;
    const char *name;
    (void)state;

    net_keypair_new(&a, &e);
    net_keypair_new(&b, &e);
    assert_int_equal(net_allow_load(path, false, &l, &e), BFORK_EKEY);
    assert_int_equal(net_allow_load(path, true, &l, &e), 0);
    assert_false(net_allow_contains(l, a.public_key));
    net_allow_free(&l);
    assert_int_equal(net_allow_add(path, a.public_key, "joe of lab", &e), 1);
    assert_int_equal(net_allow_add(path, a.public_key, "other", &e), 0);
    assert_int_equal(net_allow_add(path, b.public_key, NULL, &e), 1);
    assert_int_equal(net_allow_load(path, false, &l, &e), 0);
    assert_int_equal(net_allow_count(l), 2);
    assert_string_equal(net_allow_name(l, a.public_key), "joe of lab");
    assert_string_equal(net_allow_name(l, b.public_key), "");
    assert_null(net_allow_name(l, a.secret_key));
    net_allow_at(l, 0, &key, &name);
    assert_true(memcmp(key, a.public_key, 32) == 0 || memcmp(key, b.public_key, 32) == 0);
    net_allow_free(&l);
    assert_int_equal(net_allow_remove(path, NULL, "nobody", &e), 0);
    assert_int_equal(net_allow_remove(path, NULL, "joe of lab", &e), 1);
    assert_int_equal(net_allow_remove(path, b.public_key, NULL, &e), 1);
    assert_int_equal(net_allow_remove(path, NULL, "", &e), BFORK_EINVAL);
    assert_int_equal(net_allow_add(path, b.public_key, "two\nlines", &e), BFORK_EINVAL);
    assert_int_equal(net_allow_load(path, false, &l, &e), 0);
    assert_int_equal(net_allow_count(l), 0);
    net_allow_free(&l);
    assert_false(net_allow_contains(NULL, a.public_key));
}

static void comments_stay_and_keys_may_have_hashes(void **state)
{
    static const char hash[] = "B#en^qT9j/!%<rNQ2>$}@)[FHmqw:L4G]o-m*J#E";
    char text[512], read[512] = "";
    uint8_t key[32];
    struct net_keypair a;
    struct allow *l = NULL;
    struct err e = { 0, "" };
    (void)state;

    net_keypair_new(&a, &e);
    assert_int_equal(net_key_parse(hash, key), 0);
    snprintf(text, sizeof(text), "# who may\n\n  %s  hashed  \n#%s\n", hash, hash);
    const char *path = put("clients", text, 0644);
    assert_int_equal(net_allow_add(path, a.public_key, "new", &e), 1);
    assert_int_equal(net_allow_remove(path, a.public_key, NULL, &e), 1);
    FILE *f = fopen(path, "r");
    assert_true(fread(read, 1, sizeof(read) - 1, f) > 0);
    fclose(f);
    assert_string_equal(read, text);
    assert_int_equal(net_allow_load(path, false, &l, &e), 0);
    assert_int_equal(net_allow_count(l), 1);
    assert_string_equal(net_allow_name(l, key), "hashed");
    net_allow_free(&l);
}

static void bad_allow_files_are_not_used(void **state)
{
    struct allow *l = NULL;
    struct err e = { 0, "" };
    uint8_t key[32] = { 1 };
    (void)state;

    const char *path = put("broken", "# fine\nnot a key\n", 0644);
    assert_int_equal(net_allow_load(path, false, &l, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "broken:2:");
    assert_null(l);
    assert_int_equal(net_allow_add(path, key, "x", &e), BFORK_EKEY);
    path = put("open", "# fine\n", 0664);
    assert_int_equal(net_allow_load(path, true, &l, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "chmod go-w");
}

/* Who owns an allow file decides who is let in. Root may change the files of the broker's user, and they stay that user's. */
static void r14_allow_files_of_somebody_else_are_refused(void **state)
{
    const uid_t other = 61234;
    struct allow *l = NULL;
    struct err e = { 0, "" };
    uint8_t key[32] = { 1 };
    struct stat st;
    (void)state;

    if (geteuid() != 0)
        fail_msg("only root can give a file to another user: run this test as root");
    const char *path = put("theirs", "# fine\n", 0644);
    assert_int_equal(net_allow_load(path, false, &l, &e), 0);
    net_allow_free(&l);
    assert_int_equal(chown(path, other, (gid_t)-1), 0);
    assert_int_equal(net_allow_load(path, true, &l, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "belongs to another user (61234)");
    assert_null(l);
    assert_int_equal(net_allow_add(path, key, "x", &e), BFORK_EKEY);
    assert_int_equal(chown(folder, other, (gid_t)-1), 0);
    assert_int_equal(net_allow_add(path, key, "x", &e), 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, other);
    assert_int_equal(net_allow_load(path, true, &l, &e), BFORK_EKEY);
    assert_int_equal(chown(folder, 0, (gid_t)-1), 0);
}

static void profiles_are_found_and_read(void **state)
{
    struct net_profile p;
    struct err e = { 0, "" };
    char wanted[256];
    (void)state;

    put("lab.conf", "# the lab\nbroker = tcp://a:7700\nbroker-key = Bven^qT9j/!%<rNQ2>$}@)[FHmqw:L4G]o-m*J#E   # its key\n"
        "admin = \"tcp://a:7702\"\nadmin-key = /etc/admin.key\n", 0644);
    assert_int_equal(net_profile_load("lab", folder, &p, &e), 0);
    assert_string_equal(p.broker, "tcp://a:7700");
    assert_string_equal(p.admin, "tcp://a:7702");
    assert_string_equal(p.admin_key, "/etc/admin.key");
    snprintf(wanted, sizeof(wanted), "%s/client.key", folder);
    assert_string_equal(p.key, wanted);
    put("other.conf", "broker=tcp://[::1]:7700\nbroker-key=\"Bven^qT9j/!%<rNQ2>$}@)[FHmqw:L4G]o-m*J#E\"\nkey = keys/joe.key\n",
        0644);
    assert_int_equal(net_profile_load(in_folder("other.conf"), NULL, &p, &e), 0);
    snprintf(wanted, sizeof(wanted), "%s/keys/joe.key", folder);
    assert_string_equal(p.key, wanted);
}

static void bad_profiles_say_what_to_do(void **state)
{
    struct net_profile p;
    struct err e = { 0, "" };
    (void)state;

    assert_int_equal(net_profile_load("none", folder, &p, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "none.conf");
    assert_int_equal(net_profile_load("", folder, &p, &e), BFORK_EINVAL);
    put("a.conf", "broker = tcp://a:7700\nbrokerkey = x\n", 0644);
    assert_int_equal(net_profile_load("a", folder, &p, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "a.conf:2:");
    put("b.conf", "broker = here\n", 0644);
    assert_int_equal(net_profile_load("b", folder, &p, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "b.conf:1:");
    put("c.conf", "broker = tcp://a:7700\n", 0644);
    assert_int_equal(net_profile_load("c", folder, &p, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "broker-key = KEY");
    put("d.conf", "broker-key = short\n", 0644);
    assert_int_equal(net_profile_load("d", folder, &p, &e), BFORK_EKEY);
    put("e.conf", "nonsense\n", 0644);
    assert_int_equal(net_profile_load("e", folder, &p, &e), BFORK_EKEY);
    put("f.conf", "broker-key = Bven^qT9j/!%<rNQ2>$}@)[FHmqw:L4G]o-m*J#E\n", 0644);
    assert_int_equal(net_profile_load("f", folder, &p, &e), BFORK_EKEY);
    says(&e, BFORK_EKEY, "broker = tcp://HOST:7700");
}

static void endpoints_are_shifted(void **state)
{
    char to[64];
    struct err e = { 0, "" };
    (void)state;

    assert_int_equal(net_endpoint_shift("tcp://0.0.0.0:7700", NULL, 1, to, sizeof(to), &e), 0);
    assert_string_equal(to, "tcp://0.0.0.0:7701");
    assert_int_equal(net_endpoint_shift("tcp://0.0.0.0:7700", "127.0.0.1", 2, to, sizeof(to), &e), 0);
    assert_string_equal(to, "tcp://127.0.0.1:7702");
    assert_int_equal(net_endpoint_shift("tcp://[::1]:0", NULL, 2, to, sizeof(to), &e), 0);
    assert_string_equal(to, "tcp://[::1]:0");
    assert_int_equal(net_endpoint_shift("tcp://a:65535", NULL, 1, to, sizeof(to), &e), BFORK_EINVAL);
    assert_int_equal(net_endpoint_shift("tcp://a", NULL, 1, to, sizeof(to), &e), BFORK_EINVAL);
    assert_int_equal(net_endpoint_shift("a:1", NULL, 1, to, sizeof(to), &e), BFORK_EINVAL);
    assert_int_equal(net_endpoint_shift("tcp://a:1x", NULL, 1, to, sizeof(to), &e), BFORK_EINVAL);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_key_are_inverse),
        IN_FOLDER(a_saved_secret_is_private_loads_again_and_is_never_overwritten),
        IN_FOLDER(czmq_reads_ours_and_we_read_czmqs),
        IN_FOLDER(the_secret_is_found_beside_a_certificate),
        IN_FOLDER(a_secret_others_can_read_is_refused_with_the_remedy),
        IN_FOLDER(bad_key_files_say_what_is_wrong),
        IN_FOLDER(damaged_lines_are_named_by_their_number),
        IN_FOLDER(allow_files_are_read_and_changed),
        IN_FOLDER(comments_stay_and_keys_may_have_hashes),
        IN_FOLDER(bad_allow_files_are_not_used),
        IN_FOLDER(r14_allow_files_of_somebody_else_are_refused),
        IN_FOLDER(profiles_are_found_and_read),
        IN_FOLDER(bad_profiles_say_what_to_do),
        cmocka_unit_test(endpoints_are_shifted),
    };

    umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
