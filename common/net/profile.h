/* SPDX-License-Identifier: MPL-2.0
 * profile.h - where a broker is and with which keys: DIR/NAME.conf, lines of "name = value", "#" starts a comment.
 *
 *     broker     = tcp://host:7700
 *     broker-key = Z85 (40 characters)
 *     key        = client.key          relative to the profile's folder; this is the default
 *     admin      = tcp://host:7702     optional
 *     admin-key  = admin.key           optional
 */
#ifndef NET_PROFILE_H
#define NET_PROFILE_H

#include "base/err.h"

#include <limits.h>
#include <stdint.h>

struct net_profile {
    char path[PATH_MAX];            /* of the profile itself */
    char broker[256];
    uint8_t broker_key[32];
    char key[PATH_MAX];             /* the client's secret key file */
    char admin[256];                /* "": not given */
    char admin_key[PATH_MAX];       /* "": not given */
};

/* The configuration directory when nothing else is said: $HOME/.config/broadfork, the home from the user database if $HOME is not
 * set. */
int net_profile_default_dir(char *ret, size_t size, struct err *e);
/* A name without a slash is DIR/NAME.conf (dir NULL: the default one), anything else a path. BFORK_EKEY says what to do. */
int net_profile_load(const char *name, const char *dir, struct net_profile *ret, struct err *e);

#endif
