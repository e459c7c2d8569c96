/* SPDX-License-Identifier: MPL-2.0
 * fields.h - the tables that describe every message and document, and the two loops that write and read maps by them. Private to
 * common/wire, its tests, and the tool that makes the tables of docs/protocol.md.
 */
#ifndef WIRE_FIELDS_H
#define WIRE_FIELDS_H

#include "wire/cursor.h"
#include "wire/print.h"
#include "wire/wire.h"

enum field_type { FIELD_U32, FIELD_U64, FIELD_I32, FIELD_BOOL, FIELD_STR, FIELD_BIN };

/* field.flags */
#define FIELD_REQUIRED \
    1u /* always written; a map without it is refused. Others are written unless 0 or empty, which is what absence means */
#define FIELD_EXACT 2u          /* BIN: exactly `limit` bytes, if it is there */
#define FIELD_CUT 4u            /* STR for people: the encoder cuts what is longer; the decoder refuses it */
#define FIELD_NONZERO 8u
#define FIELD_PRIVATE 16u        /* BIN: no trace shows it */

/* Who may send: one direction a bit. field.from is 0 (everybody who may send the message) or some of them. */
#define FROM_CLIENT 1u
#define FROM_WORKER 2u
#define FROM_ADMIN 4u
#define TO_CLIENT 8u
#define TO_WORKER 16u
#define TO_ADMIN 32u
#define FROM_ANY (FROM_CLIENT | FROM_WORKER | FROM_ADMIN)
#define TO_ANY (TO_CLIENT | TO_WORKER | TO_ADMIN)

struct wire_field {
    uint8_t key, type, flags, since, from;
    uint16_t offset;            /* in the head's or document's struct */
    uint32_t limit;             /* STR, BIN: bytes; numbers: greatest value, 0: none */
    const char *name, *help;
};

struct wire_map {               /* a head or a document */
    const char *name;
    const struct wire_field *fields;
    uint32_t n;
    uint32_t size;              /* of the struct */
};

struct wire_column {            /* a field of a record: as wide as the member it fills */
    uint8_t width, at;          /* bytes, offset in the record */
    uint16_t offset;            /* in struct wire_item */
    const char *name, *help;
    bool secret;                /* no trace shows it */
};

enum wire_load { LOAD_NONE, LOAD_RECORDS, LOAD_ITEMS, LOAD_BODY };  /* records only; records, lengths and body; body only */

struct wire_message {
    const char *name;           /* NULL: there is no such type */
    uint8_t ways, load, since;
    uint8_t record_size, n_columns;
    uint8_t record_v1;          /* what version 1 gave a record: the stride when the head does not say one */
    uint32_t flags, kinds;      /* LOAD_ITEMS: flags an item may have, and a bit for each kind */
    uint32_t body_max;
    struct wire_map head;
    const struct wire_column *columns;
    const char *help;
};

extern const struct wire_message wire_messages[128];        /* by type */
extern const struct wire_map wire_fn_map, wire_pool_spec_map, wire_job_spec_map, wire_outcome_map;

static inline const struct wire_message *wire_message_of(unsigned type)
{
    return type < 128 && wire_messages[type].name ? &wire_messages[type] : NULL;
}

/* s: the struct. false: a field breaks its limit. */
bool fields_size(const struct wire_map *map, const void *s, size_t *ret);
uint8_t *fields_encode(const struct wire_map *map, const void *s, uint8_t *out);
/* Zeroes s, then fills it. Unknown keys below WIRE_KEYS_MUST are skipped, others refused (ENOTSUP), as are keys given twice. */
int fields_decode(const struct wire_map *map, struct cursor *c, void *s, struct err *e);

void fields_print(const struct wire_map *map, const void *s, struct print *p);      /* " name=value" for each that is written */

#endif
