/* SPDX-License-Identifier: MPL-2.0 */
/* scenes.h - what the scenes share: functions, arguments and results. */
#ifndef INTEROP_SCENES_H
#define INTEROP_SCENES_H

#include "program.h"
#include "session.h"

#define EXPECT(condition)                                                       \
    do {                                                                        \
        if (!(condition))                                                       \
            fail("%s:%d: %s", __FILE__, __LINE__, #condition);                  \
    } while (0)

struct map command(void);
struct map symbol(const char *name);                            /* of the object that INTEROP_TASKS names */
void args_put(buffer *to, const char *format, ...);             /* i: int, s: text, b: bin, size_t and bytes; one array */
struct task *task_of(struct job *j, const char *format, ...);   /* adds a task with these arguments */
/* The result is an array of one value. */
int64_t result_number(const struct task *t);
void result_text(const struct task *t, char *to, size_t size);
/* A field of the outcome document of a task. */
int64_t outcome_number(const struct task *t, int key);
void outcome_text(const struct task *t, int key, char *to, size_t size);
/* The result of a command; -1: it is none. */
int64_t command_status(const struct task *t, struct span *out, struct span *err);
void one_pool(struct session *s, int processes);                /* opens pool 1 without a program and waits for slots */
void settled(struct session *s, struct job *j);                 /* waits, and sees that each task has its outcome */
void say(const char *word);                                     /* a line for the script that runs the scene */
void await(struct session *s, const char *word);                /* turns until the script has made the file WORD */
/* limits.c */
void scene_kinds(struct session *s);
void scene_output(struct session *s);
void scene_cut(struct session *s);
void scene_no_blob(struct session *s);
void scene_quota(struct session *s);
void scene_admin(struct session *s);
void scene_unknown(struct session *s);
void scene_growth(struct session *s);
void scene_room(struct session *s);

/* certificate.c */
void certificate_make(const char *file, const char *name, const char *key_file);
void certificate_known(const char *directory, const char *file);
void certificate_refused(const char *file);
void scene_certificate(struct session *s);

void mistakes(const char *key, const char *worker_key, const char *admin_key);  /* mistakes.c */

#endif
