/* SPDX-License-Identifier: MPL-2.0
 * wire_limits.h - every limit of the protocol that is not one field's own (those stand in the tables of messages.c and
 * documents.c).
 */
#ifndef WIRE_WIRE_LIMITS_H
#define WIRE_WIRE_LIMITS_H

#define WIRE_PROTOCOL 1                     /* the newest version this code speaks */
#define WIRE_PROTOCOL_MIN 1
#define WIRE_TASK_MAX (1048576u + 4096u)    /* bytes of one task's arguments, or of one result */
#define WIRE_BODY_MAX WIRE_TASK_MAX         /* bytes of the body of one frame */
#define WIRE_FRAME_MAX (WIRE_BODY_MAX + 262144u)    /* what a socket accepts */
#define WIRE_BATCH 262144u                  /* bytes of body after which a batch is closed; one task may be larger */
#define WIRE_BATCH_TASKS 32768u             /* tasks in one item that carries their bytes */
#define WIRE_ITEMS_MAX 2048u                /* records in one frame */
#define WIRE_PIECE_MAX 1048576u             /* bytes of one piece of a blob */
#define WIRE_SPEC_MAX 262144u               /* bytes of an encoded pool or job specification, context included */
#define WIRE_FN_MAX 16384u                  /* bytes of an encoded function */
#define WIRE_NAME_MAX 255u
#define WIRE_TEXT_MAX 4096u
#define WIRE_STATUS_MAX 1048576u            /* bytes of the JSON in a STATUS */
#define WIRE_DIGEST 32u
#define WIRE_KEY 32u
#define WIRE_TICKET 16u
#define WIRE_ID 16u
#define WIRE_DEPTH_MAX 32u                  /* nesting of arrays and maps in a value */
#define WIRE_KEYS_MAX 128u                  /* keys of maps are below this */

#endif
