/* SPDX-License-Identifier: MPL-2.0 */
/* wire.h - frames of the Broadfork protocol, written from docs/protocol.md with msgpack-c alone: a second implementation, to
 * find out whether the page is enough. It shares no line and no header with the product. */
#ifndef INTEROP_WIRE_H
#define INTEROP_WIRE_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {                                                          /* chapter 14 */
    HELLO = 1, WELCOME, RESET, PING, PONG, BYE, ERROR_,
    POOL_OPEN = 16, POOL_CLOSE, JOB_OPEN, JOB_CLOSE, TASKS, CANCEL, OUTCOMES_ACK, ASSIGNED_OK, STATUS_GET, TASKS_LOOK,
    POOL_STATE = 32, JOB_STATE, OUTCOMES, ASSIGNED, STATUS, CANCELLED, TRIES = 39, TASKS_SEEN = 41,
    BLOB_GET = 80, BLOB_PIECE, BLOB_NONE,
    OUTPUT = 96, OUTPUT_ACK, OUTPUT_TAKEN,
    ADMIN = 112
};
enum { FIXED = 1, REPLAY = 2, MAYBE_STARTED = 4, CUT_OFF = 16 };

typedef msgpack_sbuffer buffer;                                 /* bytes that grow */
void bytes_put(buffer *to, const void *from, size_t size);
void number_put(buffer *to, uint64_t value, int bytes);         /* little-endian */
uint64_t number_get(const void *from, int bytes);

/* A map of small integers to values: heads and documents. */
struct map { buffer bytes; uint32_t count; };
void map_number(struct map *map, int key, uint64_t value);      /* 0 is left out */
void map_signed(struct map *map, int key, int64_t value);       /* 0 is left out */
void map_text(struct map *map, int key, const char *value);     /* NULL is left out */
void map_bytes(struct map *map, int key, const void *value, size_t size);
void map_finish(struct map *map, buffer *to);                   /* writes it, and frees it */

/* A frame that is made, and one that was received (its parts lie in the bytes it was read from). */
struct message { unsigned type; uint32_t request; struct map head; buffer records, lengths, body; };
void message_finish(struct message *message, uint64_t ack, buffer *to);         /* writes it, and frees it */

struct span { const uint8_t *data; size_t size; };
struct frame {
    msgpack_unpacked unpacked;
    unsigned type;
    uint32_t channel, request;
    uint64_t ack;
    const msgpack_object *head;
    struct span records, lengths, body;
};
bool frame_read(struct frame *frame, const void *data, size_t size);            /* false: it is not one; else frame_free */
void frame_free(struct frame *frame);

/* Fields of a map: 0, "" and no bytes if they are not there. */
uint64_t field_number(const msgpack_object *map, int key);
int64_t field_signed(const msgpack_object *map, int key);
struct span field_bytes(const msgpack_object *map, int key);
void field_text(const msgpack_object *map, int key, char *to, size_t size);

/* Record k of a frame: version 1's size, or the head's stride. NULL: there are no more. */
const uint8_t *frame_record(const struct frame *frame, size_t k, size_t size);

/* The bytes of tasks of one item; `at` goes on through lengths and body from record to record. */
struct item { uint32_t count, flags, size; uint8_t kind; };
struct cursor { size_t length, body; };
/* Task k of the item that begins at the cursor. */
struct span item_task(const struct frame *frame, const struct item *item, struct cursor at, uint32_t k);
bool item_next(const struct frame *frame, const struct item *item, struct cursor *at);        /* false: it does not fit */

void sha256(const void *data, size_t size, uint8_t digest[32]);

#endif
