/* SPDX-License-Identifier: MPL-2.0
 * item.h - records of items, by the tables of messages.c. Private to common/wire.
 */
#ifndef WIRE_ITEM_H
#define WIRE_ITEM_H

#include "wire/fields.h"

/* The stride that the head of m says; `otherwise`, if it says none. Returns 0 if that is smaller than a record of version 1. */
uint32_t item_stride(const struct wire_message *d, const struct wire_msg *m, uint32_t otherwise);
void item_stride_set(struct wire_msg *m, uint32_t stride);
uint8_t *item_write(const struct wire_message *d, const struct wire_item *i, uint32_t stride, uint8_t *out);
/* Fills a zeroed item, all but lens and body. A record of an older sender may end before the last columns: they stay 0. */
void item_read(const struct wire_message *d, const uint8_t *record, uint32_t stride, struct wire_item *i);
/* Bytes of body that are sent with the item: none with tasks that are given back. */
size_t item_body(const struct wire_item *i);
/* Bytes of lengths and body that belong to the item, by its record. */
void item_load(const struct wire_item *i, size_t *lens, size_t *body);
/* NULL, or what is wrong with the item by itself (not: whether lengths and body are there and fit). */
const char *item_wrong(const struct wire_message *d, const struct wire_item *i);

#endif
