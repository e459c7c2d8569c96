/* SPDX-License-Identifier: MPL-2.0
 * profile.c - see profile.h. It reads one file and opens no key file.
 */
#include "profile.h"

#include "base/near.h"
#include "bfork.h"
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int net_profile_default_dir(char *ret, size_t size, struct err *e)
{
    const char *home = getenv("HOME");
    struct passwd pw, *found = NULL;
    char text[4096];

    if (!home || home[0] != '/')
        home = getpwuid_r(getuid(), &pw, text, sizeof(text), &found) == 0 && found ? found->pw_dir : NULL;
    if (!home)
        return err_set(e, BFORK_EKEY, "this user has no home directory: set HOME, or name a profile by its path, with a slash "
                       "(bfork keygen and the daemons: --dir)");
    if ((size_t)snprintf(ret, size, "%s/.config/broadfork", home) >= size)
        return err_set(e, BFORK_EKEY, "the path of the configuration directory is too long");
    return 0;
}

static int profile_path(const char *name, const char *dir, char ret[PATH_MAX], struct err *e)
{
    char own[PATH_MAX];
    int rc;

    if (!name || !name[0])
        return err_set(e, BFORK_EINVAL, "an empty profile name");
    if (strchr(name, '/')) {
        if ((size_t)snprintf(ret, PATH_MAX, "%s", name) >= PATH_MAX)
            return err_set(e, BFORK_EKEY, "the path of the profile is too long");
        return 0;
    }
    if (!dir) {
        if ((rc = net_profile_default_dir(own, sizeof(own), e)) < 0)
            return rc;
        dir = own;
    }
    if ((size_t)snprintf(ret, PATH_MAX, "%s/%s.conf", dir, name) >= PATH_MAX)
        return err_set(e, BFORK_EKEY, "the path of the profile is too long");
    return 0;
}

static int profile_file(const struct net_profile *p, const char *value, char ret[PATH_MAX], struct err *e)
{
    const char *slash = strrchr(p->path, '/');
    int folder = value[0] == '/' || !slash ? 0 : (int)(slash - p->path + 1);

    if (snprintf(ret, PATH_MAX, "%.*s%s", folder, p->path, value) >= PATH_MAX)
        return err_set(e, BFORK_EKEY, "the path %s is too long", value);
    return 0;
}

/* "name = value  # comment"; cut in place. 1, 0 (empty), -1. A '#' inside a value (keys have them) starts no comment. */
static int profile_line(char *line, char **name, char **value)
{
    char *p, *end;

    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    if (!*line || *line == '#')
        return 0;
    p = strchr(line, '=');
    if (!p)
        return -1;
    for (end = p; end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
        ;
    *name = line;
    p++;
    *end = '\0';
    p += strspn(p, " \t");
    if (*p == '"') {
        end = strchr(++p, '"');
        if (!end)
            return -1;
        *value = p;
        *end++ = '\0';
        end += strspn(end, " \t");
        return *end && *end != '#' ? -1 : 1;
    }
    *value = p;
    for (end = p; *end; end++)
        if (*end == '#' && end > p && (end[-1] == ' ' || end[-1] == '\t'))
            break;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    return *p ? 1 : -1;
}

static int profile_set(struct net_profile *p, const char *name, const char *value, size_t number, bool *has_key, struct err *e)
{
    char host[256];

    if (strcmp(name, "broker") == 0 || strcmp(name, "admin") == 0) {
        if (net_endpoint_shift(value, NULL, 0, host, sizeof(host), NULL) < 0)
            return err_set(e, BFORK_EKEY, "%s:%zu: \"%s\" is no endpoint: it looks like tcp://host:7700", p->path, number, value);
        snprintf(name[0] == 'b' ? p->broker : p->admin, sizeof(p->broker), "%.255s", value);
        return 0;
    }
    if (strcmp(name, "broker-key") == 0) {
        if (net_key_parse(value, p->broker_key) < 0)
            return err_set(e, BFORK_EKEY, "%s:%zu: the broker-key is not a public key in Z85 (40 characters)", p->path, number);
        *has_key = true;
        return 0;
    }
    if (strcmp(name, "key") == 0)
        return profile_file(p, value, p->key, e);
    if (strcmp(name, "admin-key") == 0)
        return profile_file(p, value, p->admin_key, e);
    return err_set(e, BFORK_EKEY, "%s:%zu: \"%s\" means nothing here; known are broker, broker-key, key, admin, admin-key", p->path,
                   number, name);
}

static int profile_read(FILE *f, struct net_profile *p, struct err *e)
{
    char *line = NULL, *name, *value;
    size_t room = 0, number = 0;
    bool has_key = false;
    int rc = profile_file(p, "client.key", p->key, e);

    while (rc == 0 && getline(&line, &room, f) >= 0) {
        int what = profile_line(line, &name, &value);
        number++;
        if (what < 0)
            rc = err_set(e, BFORK_EKEY, "%s:%zu: a line is \"name = value\"", p->path, number);
        else if (what > 0)
            rc = profile_set(p, name, value, number, &has_key, e);
    }
    free(line);
    if (rc == 0 && ferror(f))
        rc = err_errno(e, BFORK_EKEY, errno, "cannot read the profile %s", p->path);
    if (rc == 0 && !p->broker[0])
        rc =
            err_set(e, BFORK_EKEY, "the profile %s does not say where the broker is: add a line broker = tcp://HOST:7700", p->path);
    if (rc == 0 && !has_key)
        rc = err_set(e, BFORK_EKEY,
                     "the profile %s does not have the broker's public key: add a line broker-key = KEY (the public-key "
                     "in the broker's broker.key, without its quotes)",
                     p->path);
    return rc;
}

static int no_profile(const char *name, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    bool is_path = strcmp(name, path) == 0;
    static const char *const engines[] = { "local:", "serial:" };
    const char *near = near_word(name, engines, sizeof(engines) / sizeof(engines[0]));

    if (!is_path && name[strlen(name) - 1] == ':')
        return err_set(e, BFORK_EKEY, "there is no profile %s, and no name of one ends with a colon; %s%s%s", name,
                       near ? "did you mean " : "local: and serial: need no profile", near ? near : "", near ? "?" : "");
    return err_set(e, BFORK_EKEY,
                   "there is no profile %s%s%s%s: bfork keygen makes it, on the broker's host: copy %s and client.key from there, "
                   "or write one: broker = tcp://HOST:7700 and broker-key = KEY, a line each",
                   name, is_path ? "" : " (", is_path ? "" : path, is_path ? "" : ")", slash ? slash + 1 : path);
}

int net_profile_load(const char *name, const char *dir, struct net_profile *ret, struct err *e)
{
    FILE *f;
    int rc;

    memset(ret, 0, sizeof(*ret));
    rc = profile_path(name, dir, ret->path, e);
    if (rc < 0)
        return rc;
    f = fopen(ret->path, "re");
    if (!f && errno == ENOENT)
        return no_profile(name, ret->path, e);
    if (!f)
        return err_errno(e, BFORK_EKEY, errno, "cannot read the profile %s", ret->path);
    rc = profile_read(f, ret, e);
    fclose(f);
    return rc;
}
