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
#define WIRE_WINDOW_MAX (64u << 20)         /* a larger window of a peer is cut to this */
#define WIRE_OWNER_MEMORY (2ull << 30)      /* bytes that a broker holds for one client key, unless it is told otherwise */
#define WIRE_WORKER_MEMORY (64ull << 20)    /* and for one worker key */
#define WIRE_SPECS_MAX (32u << 20)          /* specifications of a client key's pools that a worker keeps, as much of its jobs */
#define WIRE_SESSIONS_MAX 4096u             /* of one client key */
#define WIRE_POOLS_MAX 1024u                /* of one session */
#define WIRE_JOBS_MAX 65536u
#define WIRE_SPEC_MAX 262144u               /* bytes of an encoded pool or job specification, context included */
#define WIRE_FN_MAX 16384u                  /* bytes of an encoded function */
#define WIRE_NAME_MAX 255u
#define WIRE_TEXT_MAX 4096u
#define WIRE_CWD_MAX 1023u                  /* of a directory on a worker */
#define WIRE_STATUS_MAX 1048576u            /* bytes of the JSON in a STATUS */
#define WIRE_OUTPUT_WINDOW 262144u          /* output of one pool's tasks on one worker, sent and not taken by the program */
#define WIRE_OUTPUT_COST 64u                /* what a piece of output counts in the window besides its bytes */
#define WIRE_DIGEST 32u
#define WIRE_KEY 32u
#define WIRE_TICKET 16u
#define WIRE_ID 16u
#define WIRE_DEPTH_MAX 32u                  /* nesting of arrays and maps in a value */
#define WIRE_KEYS_MAX 128u                  /* keys of maps are below this */
#define WIRE_KEYS_MUST 64u /* a key from here on that is not known refuses its map: it changes what the rest means */
#define WIRE_KEY_STRIDE 64u                 /* in the head of every message with records: bytes from one record to the next */
#define WIRE_STRIDE_MAX 1024u

#define WIRE_OUTCOMES_V1 41u                /* bytes of a record of OUTCOMES, as those without WIRE_FEATURE_GROWTH know it */

/* One bit each: in HELLO and WELCOME what the sender understands beyond version 1, in documents what whoever runs them must
 * understand. Bits are never used again for something else. */
#define WIRE_FEATURE_GROWTH 1u              /* refuses unknown keys from 64 on, reads records by their stride, honours `needs` */
#define WIRE_FEATURE_STREAM 2u              /* commands whose output comes as OUTPUT: job_spec.streamed */
#define WIRE_FEATURE_RECALLED 4u            /* a worker that answers RECALL with why 7: RECALLED */
#define WIRE_FEATURES ((uint64_t)(WIRE_FEATURE_GROWTH | WIRE_FEATURE_STREAM | WIRE_FEATURE_RECALLED))

#endif
