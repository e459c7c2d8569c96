/* SPDX-License-Identifier: MPL-2.0
 * exec_i.h - what the files of this folder share: the structs behind exec.h. Nobody else includes it.
 *
 * Lifetimes: everything that a callback may end is only marked `gone` and freed at the end of the step (exec_sweep), or by the next
 * one. Descriptors in the epoll set carry a struct source inside the object they belong to.
 */
#ifndef EXEC_EXEC_I_H
#define EXEC_EXEC_I_H

#include "base/list.h"
#include "base/map.h"
#include "exec/exec.h"
#include "exec/mark.h"
#include "exec/packets.h"
#include "exec/ring.h"

#define TAIL_SIZE 4096u                 /* of stderr, for death reports */
#define PULL_MERGE 262144u              /* bytes of results merged into one item */
#define PULL_TASKS 8192u

enum source_kind { SOURCE_EVENT, SOURCE_SOCKET, SOURCE_LEASH, SOURCE_OUT, SOURCE_ERR };

#define OUTPUT_LINE 65536u              /* a longer line is told in parts */

struct source {
    int fd;
    enum source_kind kind;
    struct exec_template *t;
    struct exec_proc *p;
    /* of pipes: see output.c */
    bool more, parked;                  /* more: not read to the end; parked: not watched, as there is no room */
    bool marked, guessing, sure;        /* sure: what is kept was printed by task `since` */
    uint32_t last_mark, since, blanks, patience, guess, guess_n, guess_read;
    uint32_t n_kept, cap;
    uint64_t ran_at;                    /* if sure: exec_proc.snapshot when `since` was last seen running */
    bool counting, cut;
    uint32_t seq;                       /* if counting: the task whose bytes were told last, and how many; else nobody's */
    uint64_t bytes;
    uint8_t *kept;                      /* owned: read and not told yet */
};

struct output {                         /* one process's stdout and stderr */
    struct source out, err;
    char tail[TAIL_SIZE];               /* the end of what task tail_seq has written to stderr */
    uint32_t tail_used, tail_seq;
};

enum template_state { TEMPLATE_STARTING, TEMPLATE_READY, TEMPLATE_FAILED, TEMPLATE_GONE };

struct exec_template {
    struct list_node node;
    struct exec *x;
    void *user;
    enum template_state state;
    pid_t keeper;                       /* our child; -1: there is none (any more) */
    pid_t pid;                          /* as the keeper says it */
    struct source socket, leash;
    struct output output;
    struct list procs;
    struct list due;                    /* processes to be forked, or killed, as soon as the socket takes it */
    uint32_t asked;                     /* SPAWNs without an answer: at most PACKET_SPAWNS */
    bool blocked;                       /* the socket is full: its next room is waited for */
    uint64_t deadline;                  /* of the start */
    bool hello, silent;                 /* silent: stopped by the caller, no callbacks */
    bool told;                          /* the keeper has said how the template ended */
    int exec_error;                     /* errno of its exec */
    bool over;                          /* its socket has ended: its keeper is waited for, until deadline */
    bool buried;                        /* in x->ending */
    int wait_status;
    int program_fd, fork_server;        /* owned; -1 */
    char *program_path, *library_path;  /* owned */
    struct buf *spec;                   /* owned: encoded pool specification */
    struct wire_pool_spec decoded;      /* points into spec */
    uint64_t start_limit_ms;
    char name[256];                     /* for texts */
    struct err failure;                 /* decided before the next step: reported by it */
    char failure_stage[16];
    bool threads;                       /* preload started threads: one exec for each process */
    struct exec_proc *solo;             /* this template is the process of that slot; hidden from the caller */
};

enum proc_state { PROC_FORKING, PROC_STARTING, PROC_READY, PROC_STOPPING, PROC_DEAD, PROC_GONE };

struct pushed {                         /* a record in the task ring, as the owner wrote it */
    uint32_t first, count, done, job, bytes, off;
    uint64_t run_limit_ns;
};

struct proc_job { bool map; uint32_t out_size; };

struct exec_proc {
    struct list_node node;
    struct exec *x;
    struct exec_template *t;
    struct exec_template *solo;         /* owned through x's list; NULL: forked from t */
    void *user;
    enum proc_state state;
    uint32_t id;
    pid_t pid;
    struct list_node due;               /* of its template */
    bool asked;                         /* SPAWN is sent; before, it has neither ring nor descriptors */
    bool answered;
    bool unborn;                        /* for want of descriptors or memory */
    bool stop_early;                    /* told to stop before it was asked for */
    struct ring ring;
    struct output output;
    struct ring_cursor task, job, result;   /* where the owner writes, writes, reads */
    uint64_t visible, snapshot;         /* results up to here may be pulled: what their tasks printed has been read */
    uint8_t nonce[MARK_NONCE];
    uint64_t job_tail_seen, task_freed;
    uint32_t held;                      /* bytes of the last record finished: not free yet */
    uint32_t claim;                     /* of the last push: short tasks are claimed by many */
    uint32_t limit, expected;           /* one past the last pushed; next one whose result will come */
    struct pushed *pushed;              /* ring buffer of records, power of two */
    uint32_t pushed_first, pushed_n, pushed_cap;
    struct map jobs;                    /* handle -> struct proc_job */
    uint64_t run_limit_ns;
    uint32_t limited;                   /* pushed records with a limit */
    uint64_t seen_current, seen_at, sample_at;  /* watchdog */
    uint32_t next_seen, low_set;        /* control words as last believed, as set */
    bool stop_asked, stuck;             /* stuck: at the last look it slept although tasks it has claimed have no results */
    uint32_t denied;                    /* at so many looks it had claimed tasks, was awake, and did not say which of them runs */
    int kill_kind;                      /* why we killed it */
    bool violated;                      /* it wrote what it must not */
    struct err violation;
    bool harvested;                     /* the unfinished record has been read */
    uint8_t *pull;                      /* private copy of what exec_pull returned */
    size_t pull_cap;
    uint8_t *lens;                      /* PULL_TASKS * 4 */
    uint32_t armed_low;
};

struct exec {
    struct exec_config config;
    char *runner, *symbols, *keeper, *work_dir;     /* owned */
    char mark[64];                      /* in the environment of all that a worker starts; "": not a worker */
    pid_t guard;                        /* of a worker; -1 */
    int guard_leash;
    struct list ending;                 /* templates that are gone, but for their keepers */
    struct list templates;
    int epoll, event;
    struct source event_source;
    uint32_t next_id;
    uint64_t oom_kills;
    uint32_t changes;                   /* of the lists of templates and processes: loops start again */
    struct list graves_t, graves_p;
    uint64_t until;                     /* of exec_valid_until */
    uint64_t check_at;                  /* then the control words of processes that have tasks are looked at */
    uint64_t now;
};

static inline struct exec_template *template_of_proc(const struct exec_proc *p) { return p->solo ? p->solo : p->t; }

static inline struct pushed *pushed_at(const struct exec_proc *p, uint32_t k)
{
    return &p->pushed[(p->pushed_first + k) & (p->pushed_cap - 1)];
}

/* find.c */
const char *exec_find(const char *name, char *path, size_t size);     /* an installed helper, or the build tree's */

/* source.c */
int exec_watch(struct exec *x, struct source *s);
void exec_watch_room(struct exec *x, struct source *s, bool on);
void exec_unwatch(struct exec *x, struct source *s);

/* output.c */
void exec_output_init(struct output *o, struct exec_template *t, struct exec_proc *p);
int exec_output_pipe(struct exec *x, struct source *s, int *ret_write, struct err *e);
void exec_output_read(struct exec *x, struct source *s, bool last); /* last: all of it, whether there is room or not */
void exec_output_resume(struct exec *x, struct source *s);          /* there may be room again */
void exec_output_settle(struct exec_proc *p);
void exec_output_close(struct exec *x, struct output *o);

/* spawn_linux.c */
struct spawn { const char *path; char *const *argv, *const *env; int out, err, socket, leash, program_fd; bool session; };
int exec_spawn_process(const struct spawn *s, pid_t *ret_pid);      /* a keeper; 0, or errno of what failed */

/* kept.c: the owner's side of keepers */
int exec_kept_guard(struct exec *x, struct err *e);                 /* makes this process a worker: subreaper, mark, guard */
void exec_kept_leave(struct exec *x);                               /* waits for keepers that still kill, but not for ever */
int exec_kept_spawn(struct exec_template *t, char *const *argv, char *const *env, int socket, int out, int err); /* errno */
void exec_kept_end(struct exec_template *t);                        /* the order to kill everything below the keeper */
bool exec_kept_hear(struct exec_template *t); /* what the leash says; true: the keeper has ended, and is reaped */
bool exec_kept_wait(struct exec_template *t, uint64_t until);       /* the same, but waits */

/* exec_spawn_forked.c */
int exec_spawn_forked(int server, int socket, int out, int err, int leash, pid_t *ret_keeper); /* 0, or errno of what failed */

/* pending.c */
bool exec_proc_has_result(const struct exec_proc *p);
void exec_pushed_finished(struct exec_proc *p);                     /* the first record in `pushed` */
void exec_proc_violates(struct exec_proc *p, const char *what);

/* death.c */
void exec_death_report(struct exec_proc *p, const struct packet *obituary);
uint64_t exec_death_oom_count(void);

/* watch.c */
uint64_t exec_watch_until(const struct exec *x);                     /* as it is in the rings */
#define CHECK_NS (200 * CLOCK_MS)
void exec_watch_words(struct exec_proc *p);

/* orders.c */
void exec_proc_due(struct exec_proc *p, bool first);
void exec_proc_undue(struct exec_proc *p);
void exec_template_flush(struct exec_template *t);                  /* sends what is due, as far as the socket takes it */

/* end.c */
void exec_proc_last_words(struct exec_proc *p);                     /* all output is read, all results are visible */
void exec_proc_dead(struct exec_proc *p, const struct packet *obituary); /* packet_type DIED */
void exec_proc_unlink(struct exec_proc *p);                         /* to the graves */
void exec_proc_free(struct exec_proc *p);
void exec_template_gone(struct exec_template *t);

/* template.c */
void exec_template_fail(struct exec_template *t, const char *stage, int code, const char *text);    /* the next step reports it */
void exec_template_unstarted(struct exec_template *t, int error);   /* errno of its exec, or fork */
void exec_template_packet(struct exec_template *t);
void exec_template_leash(struct exec_template *t);
void exec_template_step(struct exec_template *t);

/* watchdog.c */
void exec_watchdog_step(struct exec_proc *p, uint64_t now);

/* elf.c: see there */
#endif
