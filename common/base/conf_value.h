/* SPDX-License-Identifier: MPL-2.0
 * conf_value.h - one option's value from text. Private to conf.c and its tests.
 */
#ifndef BASE_CONF_VALUE_H
#define BASE_CONF_VALUE_H

#include "base/conf.h"

union conf_value { bool flag; int64_t number; uint64_t size; };

/* For FLAG, INT, SIZE, MS. 0 or BFORK_EINVAL with a text that begins behind "where: name: ": "'12x' is no number: give …". */
int conf_value_parse(const struct conf_option *o, const char *text, union conf_value *ret, struct err *e);

#endif
