/* SPDX-License-Identifier: MPL-2.0
 * rights.c - see rights.h.
 */
#include "rights.h"

#include "base/folder.h"
#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool wsh_rights_decide(const struct rights_facts *f, struct err *e)
{
    const char *user = f->user ? f->user : RIGHTS_USER;

    if (e)
        e->code = 0;
    if (f->euid != 0) {
        if (f->user && (!f->found || f->uid != f->euid))
            err_set(e, BFORK_EINVAL, "it was not started as root and cannot become user %.100s: start it as root, or as that "
                    "user without --user", user);
        return false;
    }
    if (f->allow_root && (!f->user || (f->found && f->uid == 0)))
        return false;
    if (!f->found)
        err_set(e, BFORK_EINVAL, "it was started as root, and tasks must not be root: there is no user %.100s to become. Make "
                "one (useradd --system %.100s), name another with --user, or say --allow-root-tasks", user, user);
    else if (f->uid == 0)
        err_set(e, BFORK_EINVAL, "tasks must not be root: name another user than %.100s with --user, or say --allow-root-tasks",
                user);
    else
        return true;
    return false;
}

int wsh_rights_find(const char *user, bool allow_root, struct rights *ret, struct err *e)
{
    struct rights_facts f = { .euid = geteuid(), .user = user && user[0] ? user : NULL, .allow_root = allow_root };
    struct passwd pw, *found = NULL;
    char text[16384];
    struct err mine = { 0 };

    memset(ret, 0, sizeof(*ret));
    if ((f.user || (f.euid == 0 && !allow_root)) &&
        getpwnam_r(f.user ? f.user : RIGHTS_USER, &pw, text, sizeof(text), &found) == 0 && found) {
        f.found = true;
        f.uid = found->pw_uid;
    }
    ret->change = wsh_rights_decide(&f, &mine);
    if (mine.code)
        return err_set(e, mine.code, "%s", mine.text);
    if (!ret->change)
        return 0;
    ret->uid = found->pw_uid;
    ret->gid = found->pw_gid;
    if (snprintf(ret->user, sizeof(ret->user), "%s", found->pw_name) >= (int)sizeof(ret->user) ||
        snprintf(ret->home, sizeof(ret->home), "%s", found->pw_dir) >= (int)sizeof(ret->home) ||
        snprintf(ret->shell, sizeof(ret->shell), "%s", found->pw_shell) >= (int)sizeof(ret->shell))
        return err_set(e, BFORK_EINVAL, "the user %.200s has names that are too long", f.user ? f.user : RIGHTS_USER);
    return 0;
}

int wsh_rights_directory(const struct rights *r, const char *dir, struct err *e)
{
    struct stat st;
    int bad;

    if (!r->change || stat(dir, &st) == 0 || errno != ENOENT)
        return 0;                       /* it is there, or that user can say better what is wrong */
    if (folder_make_above(dir, BFORK_EINVAL, e) < 0)       /* what is above it stays root's */
        return BFORK_EINVAL;
    if (mkdir(dir, 0700) != 0)
        return err_errno(e, BFORK_EINVAL, errno, "cannot make the directory %.300s", dir);
    if (chown(dir, r->uid, r->gid) == 0)
        return 0;
    bad = errno;
    rmdir(dir);
    return err_errno(e, BFORK_EINVAL, bad, "cannot give the directory %.300s to user %.100s: make it yourself", dir, r->user);
}

static int no_capabilities(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2];

    memset(none, 0, sizeof(none));
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, none) == 0 ? 0 : -1;
}

/* HOME and the like are handed on to tasks. */
static int set_user_environment(const struct rights *r)
{
    return setenv("HOME", r->home, 1) | setenv("USER", r->user, 1) | setenv("LOGNAME", r->user, 1) | setenv("SHELL", r->shell, 1);
}

int wsh_rights_drop(const struct rights *r, struct err *e)
{
    if (r->change) {
        if (initgroups(r->user, r->gid) != 0 || setresgid(r->gid, r->gid, r->gid) != 0 || setresuid(r->uid, r->uid, r->uid) != 0 ||
            no_capabilities() != 0)
            return err_errno(e, BFORK_EDENIED, errno, "cannot become user %.200s (that needs CAP_SETUID and CAP_SETGID)", r->user);
        if (set_user_environment(r) != 0)
            return err_set(e, BFORK_ENOMEM, "out of memory");
        if (geteuid() != r->uid || getegid() != r->gid || setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0)
            return err_set(e, BFORK_EDENIED, "becoming user %.200s did not take away the rights of root", r->user);
    }
    /* A change of user may have set it anew; tasks have our user id from now on. */
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(e, BFORK_EDENIED, errno, "cannot keep tasks from tracing the worker");
    return 0;
}

bool wsh_rights_expose(const char *file)
{
    struct stat st;
    int fd;

    if (geteuid() == 0)
        return true;
    if ((fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) >= 0) {
        close(fd);
        return true;
    }
    return stat(file, &st) == 0 && st.st_uid == geteuid();     /* its mode can be changed */
}
