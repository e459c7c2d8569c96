/* SPDX-License-Identifier: MPL-2.0
 * model.h - the objects of the worker's core, and what changes them without deciding anything. The floor of all others: it
 * includes none of their headers, so a call upward does not compile.
 *
 * The files, each of which calls those before it only: slab, effect, link, job, lane, proc, record, said, attempt.
 *
 *   lane     a granted pool, one template; has processes, jobs, and a queue of attempts that no process holds
 *   process  holds attempts in the order in which they were pushed; only the last may be partly pushed
 *   attempt  first <= next <= pushed <= end: below next there is a result, below pushed a process has it, below end it is ours
 *   record   results of consecutive tasks of an attempt, kept until ATTEMPTS_CLOSE, for a resend after a reconnect
 *
 * Invariants are in check.c. An attempt is in exactly one place: queue of its lane, list of one process, or nowhere (finished).
 * States of lanes, processes, attempts, of the link and of the lease are changed by tables: lane.c, proc.c, attempt.c, link.c.
 * Work for worker_flush is found through lists (lanes that changed, attempts with unsent records), never by walking everything.
 */
#ifndef WORKER_CORE_MODEL_H
#define WORKER_CORE_MODEL_H

#include "base/clock.h"
#include "base/interval.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "wire/run.h"
#include "worker_types.h"

#define FEED_NS (4 * CLOCK_MS)          /* so much expected work is put into the ring of a busy process */
#define SCARCE_MOST_NS (2 * CLOCK_SEC)  /* what could not be started for want of something is tried again within that */
#define BAD_STARTS 3                    /* processes that die one after the other without a result: the pool fails here */
#define RESULTS_ITEMS 512u              /* of one message: RESULTS, OUTPUT, HOLDING; worker->items and ->pieces have so many */
#define RESULTS_BODY 524288u            /* bytes of RESULTS and OUTPUT, unless a single item has more */

/* Where an attempt is. QUEUED: in the queue of its lane. PUSHED: with a process. FINISHED: every task has a result or was given
 * back; it is kept until the broker closes it. DOOMED: closed by the broker, or impossible to keep, while a process has it: its id
 * is unknown, its results are dropped, and it goes when the process is done with it. */
enum attempt_state { ATTEMPT_QUEUED, ATTEMPT_PUSHED, ATTEMPT_FINISHED, ATTEMPT_DOOMED, ATTEMPT_GONE, ATTEMPT_STATES };
enum attempt_event { ATTEMPT_PUSH, ATTEMPT_BACK, ATTEMPT_FINISH, ATTEMPT_DOOM, ATTEMPT_END, ATTEMPT_EVENTS };
/* Of a lane's template. BACKOFF: it is started again after a pause. FAILED: the pool cannot run here, and the broker hears so. */
enum lane_state { LANE_COLD, LANE_STARTING, LANE_READY, LANE_BACKOFF, LANE_FAILED, LANE_GONE, LANE_STATES };
/* START: there is work for it, or its pause is over. REST: its pause is over, and nobody wants it. STOP: evicted, or it yields. */
enum lane_event { LANE_START, LANE_CAME_UP, LANE_PAUSE, LANE_REST, LANE_FAIL, LANE_STOP, LANE_END, LANE_EVENTS };
/* STOP_KILLED: told to end, and then killed. Its lane takes it for one that is ending until it is gone. */
enum proc_state { PROC_STARTING, PROC_READY, PROC_STOPPING, PROC_KILLED, PROC_STOP_KILLED, PROC_GONE, PROC_STATES };
enum proc_event { PROC_CAME_UP, PROC_STOP, PROC_KILL, PROC_END, PROC_EVENTS };
/* Of the connection to the broker. HELLO: it is there, and WELCOME has not come. */
enum link_state { LINK_DOWN, LINK_HELLO, LINK_UP, LINK_STATES };
enum link_event { LINK_CONNECTED, LINK_WELCOME, LINK_CUT, LINK_EVENTS };
/* Of the right to begin tasks, which outlives connections. NONE: no broker has said how long it lasts. OUT: the lease has passed
 * unanswered, or the session was ended: nothing is begun. */
enum lease_state { LEASE_NONE, LEASE_HELD, LEASE_OUT, LEASE_STATES };
enum lease_event { LEASE_WELCOME, LEASE_PASS, LEASE_ANSWER, LEASE_EVENTS };

struct record {                         /* of results */
    struct record *next;
    struct run run;                     /* owned; if not WIRE_OK, the body is one document for all, or none */
    uint64_t sum_ns;
    uint32_t pid;
    uint8_t kind;
};

struct piece {                          /* of what a task has printed: kept until the client has taken it */
    struct piece *next;                 /* as they were read: of one stream in the order of tasks, of both not */
    struct piece *next_same;            /* of the same stream */
    uint64_t seq, index, offset, limit;
    uint32_t pid;
    uint8_t stream;
    bool cut;
    uint16_t again;                     /* so often the task was begun again in this attempt */
    struct slice body;                  /* owned */
};

struct job {
    uint32_t handle;                    /* the broker's, if bound */
    bool bound;                         /* false: forgotten, or of an earlier epoch; lives while attempts refer to it */
    uint32_t number;                    /* what the processes of the lane call it: its place in lane->jobs */
    uint64_t serial;                    /* never used again: tells processes that know another job of that number */
    struct lane *lane;
    uint8_t id[WIRE_ID];
    struct buf *spec;                   /* owned; NULL: not bound, and nothing of it is to be run */
    uint64_t run_limit_ms;
    bool at_most_once;
    char *refused;                      /* its specification asks for what this release does not know: its tasks are not begun */
    uint64_t mean_ns;                   /* of one task; 0: not known yet */
    uint32_t refs;                      /* attempts */
    uint32_t unfinished;                /* of them: not FINISHED, there may be something to run */
};

struct attempt {
    uint64_t id;
    struct run run;                     /* as it was handed out; its arguments are owned until it is finished */
    struct run_cursor at;               /* of the task `pushed` */
    uint64_t next, pushed, end, given_end;
    uint64_t recall_from;               /* tasks from here on are not to be run again; UINT64_MAX: all are wanted */
    struct intervals kills;             /* a task in one of them is to be killed if it runs; members are owned */
    struct job *job;
    struct proc *proc;                  /* PUSHED and DOOMED */
    enum attempt_state state;
    uint16_t lost;                      /* so often the task lost_at was lost with its template here */
    uint64_t lost_at;
    uint16_t unsaid;                    /* so many processes died with the task unsaid_at before them and did not say that it ran */
    uint64_t unsaid_at;
    uint64_t apart;                     /* tasks before this one are pushed when no other is there: set_apart() */
    uint8_t ticket[WIRE_TICKET];
    struct record *head, *tail, *unsent;
    uint64_t bytes;                     /* of its records */
    struct piece *said, *said_tail, *to_say;    /* output; to_say: not sent on this connection */
    struct piece *to_say_of[2], *said_last[2];  /* of stdout and stderr: the first from to_say on, and the last that is kept */
    uint64_t said_seq, said_index[2], said_offset[2];   /* of each stream: the task it is at, and how far */
    uint64_t said_from, said_end;       /* tasks that have printed are in [said_from, said_end) */
    uint64_t anew_at, anew_end;     /* wrk_said_anew: tasks up to anew_at were the last to say so; none from anew_end on ever did */
    uint16_t anew;                      /* so many rounds of saying so there were */
    struct list_node saying;            /* worker->saying while to_say is set */
    struct list_node node;              /* lane->queue or proc->attempts */
    struct list_node all;               /* worker->attempts, unless DOOMED */
    struct list_node out;               /* worker->out while there is something unsent */
};

struct proc {
    worker_proc id;
    struct lane *lane;
    enum proc_state state;
    struct list attempts;
    struct list_node in_lane;
    struct list_node fed;           /* in_list of its lane, by wrk_proc_place */
    struct list *in_list;               /* idle, hungry, partial or NULL */
    uint32_t pending;                   /* pushed, without a result */
    uint32_t given;                     /* pushed in its life: max_tasks */
    uint64_t limit_ms, limit_turn;
    uint64_t since;                     /* last result, or first push after idling */
    bool full, parked, worked;
    uint64_t *known;                    /* serial of the job it knows under each number */
    uint32_t n_known;
};

/* Of output: the broker knows it by its id, so what either side counts does not depend on when the other learns which lane has
 * which pool. Lives on one connection, while a lane is in it or something is out. */
struct window {
    uint32_t id, pool;                  /* pool: that it is of; 0: of a lane that has had none on this connection */
    uint64_t out;                       /* cost of what was sent and not taken */
    struct list lanes;
};

struct lane {
    worker_lane id;
    enum lane_state state;
    bool bound;                         /* the broker has a pool of this handle */
    bool tell_failed;
    bool stale;                         /* not granted on this connection: slots of before end with the work that is there, then the
                                         * handle means nothing any more */
    uint32_t pool, slots, max_tasks;
    uint8_t digest[WIRE_DIGEST], owner[WIRE_KEY];
    struct buf *spec;
    struct list procs, idle, hungry, partial, queue;
    uint32_t live;                      /* processes that start or are ready: kept by wrk_proc_move */
    uint32_t starting;                  /* of them: not ready yet */
    uint32_t scarce;                    /* starts that failed one after the other for want of something; 0: it is not scarce */
    uint32_t scarce_most;               /* so many processes are there room for, as far as is known */
    uint64_t scarce_until;              /* then one more is tried */
    bool scarce_told;
    uint32_t busy, multi;               /* processes with at least one, two attempts */
    uint32_t deaths;                    /* of templates, since the last result */
    uint64_t again_at;                  /* BACKOFF: then it is started again */
    uint32_t bad_starts, n_attempts;    /* attempts of its jobs, doomed ones included */
    uint64_t said_waits;                /* cost of output not sent */
    struct window *window;              /* that its output counts in; NULL: it has said nothing since it was bound, or connected */
    struct list_node in_window;
    struct job **jobs;
    uint32_t n_jobs, free_hint;
    uint64_t idle_since;
    int32_t unfit;                      /* not 0: why its specification cannot be run here; fail_text says it */
    int32_t fail_code;
    char fail_stage[32], fail_text[512];
    struct list_node all, dirty;
};


struct worker {
    struct worker_config config;
    struct worker_ops ops;
    void *ctx;
    uint64_t now;

    enum link_state link;
    uint64_t conn_no, epoch, heartbeat_ns, lease_ns, window;
    uint64_t last_sent, last_recv, last_ping;
    uint64_t hello_at;                  /* of this connection */
    uint64_t lease_from;                /* what we sent then, the broker has heard */
    enum lease_state lease;
    uint64_t confirm;                   /* LEASE_OUT: what is sent from then on must be answered before anything is begun */
    uint64_t in_bytes, in_told;         /* payload received; as far as the broker has been told */
    uint64_t out_bytes, out_acked;
    bool draining, stopped;

    struct list lanes, dirty, attempts, out, saying;
    struct map by_lane, by_proc, by_attempt, by_pool, by_job;
    struct map windows, pool_windows;   /* of output: by id; by pool */
    uint32_t last_lane, last_proc, last_window, n_procs, n_stopping;
    bool staff_failed;                  /* no memory for a process: tried again at staff_at */
    uint64_t staff_at;
    uint64_t backoff_at;                /* the first lane is due; CLOCK_NEVER: none */
    uint64_t serial, turn, rebalance_at;
    bool staff, evict, again, feed_again;
    struct run_arena args, results;
    struct attempt *free_attempts;
    struct record *free_records;
    uint32_t n_free_attempts, n_free_records;
    struct worker_counters count;

    struct worker_effect *effects;
    size_t n_effects, cap_effects;
    struct worker_effect lost_effect;
    struct wire_item *items;            /* RESULTS_ITEMS, of the one RESULTS message of a turn */
    bool items_used;
    struct wire_item *pieces;           /* RESULTS_ITEMS, of the one OUTPUT message of a turn */
    bool pieces_used;
    void **garbage;                     /* freed by effects_done */
    size_t n_garbage, cap_garbage;
    struct buf **refs;                  /* of the slices in effects */
    size_t n_refs, cap_refs;
    char check[200];
    uint64_t check_waits;
};

/* Counted up, so one comes again after 2^32 of them at the earliest. Those in use, and 0, which stands for none, are left out. */
static inline uint32_t wrk_number_next(const struct map *taken, uint32_t *last)
{
    do
        ++*last;
    while (!*last || map_get(taken, *last));
    return *last;
}

/* effect.c */
struct worker_effect *wrk_effect_add(struct worker *w, enum worker_effect_type type);
void wrk_effect_keep(struct worker *w, struct slice s); /* the slice lives until effects_done */
void *wrk_effect_alloc(struct worker *w, size_t size);  /* the same for memory, zeroed; NULL: out of memory */
struct wire_str wrk_effect_str(struct worker *w, const char *text);
void wrk_effect_log(struct worker *w, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What the clients of an owner can bring about as often as they want. */
void wrk_effect_log_of(struct worker *w, const uint8_t *owner, int level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* slab.c */
extern const struct run_memory wrk_memory;      /* how arguments and results are kept; needs no context */
/* link.c */
struct wire_msg *wrk_link_send(struct worker *w, uint8_t type);    /* only while LINK_UP (or for HELLO) */
bool wrk_link_move(struct worker *w, enum link_event event);       /* sole writer of link; false: too late */
bool wrk_lease_move(struct worker *w, enum lease_event event);     /* … of lease */
void wrk_link_drop(struct worker *w, const char *why);             /* WORKER_RECONNECT */
/* job.c */
void wrk_job_open(struct worker *w, const struct wire_job_to_worker *j);
void wrk_job_forget(struct worker *w, uint32_t handle);
void wrk_job_unref(struct worker *w, struct job *j);
void wrk_job_unbind(struct worker *w, struct job *j);
void wrk_job_rests(struct job *j);                                 /* drops its specification, if nothing needs it */
/* lane.c */
bool wrk_lane_move(struct lane *l, enum lane_event event);         /* sole writer of its state; false: too late */
struct lane *wrk_lane_new(struct worker *w, const struct wire_grant *g);
struct lane *wrk_lane_find_unbound(const struct worker *w, const struct wire_grant *g);
void wrk_lane_dirty(struct worker *w, struct lane *l);              /* the next flush looks whether it can be fed */
void wrk_lanes_dirty(struct worker *w);                            /* … all of them */
uint32_t wrk_lanes_busy(const struct worker *w);                   /* processes that have something to do, of all lanes */
bool wrk_lane_idle(const struct lane *l);
bool wrk_lane_is_over(const struct worker *w, const struct lane *l);
void wrk_lane_became_idle(struct worker *w, struct lane *l);
void wrk_lane_released(struct worker *w, struct lane *l);          /* its last attempt has gone */
void wrk_lane_unbind(struct worker *w, struct lane *l);
void wrk_lane_unbind_jobs(struct worker *w, struct lane *l);
/* proc.c */
static inline bool wrk_proc_is_live(const struct proc *p) { return p->state == PROC_STARTING || p->state == PROC_READY; }
static inline bool wrk_proc_is_stopping(const struct proc *p) { return p->state == PROC_STOPPING || p->state == PROC_STOP_KILLED; }
static inline bool wrk_proc_is_killed(const struct proc *p) { return p->state == PROC_KILLED || p->state == PROC_STOP_KILLED; }
bool wrk_proc_move(struct worker *w, struct proc *p, enum proc_event event);   /* sole writer of its state; false: too late */
bool wrk_proc_new(struct worker *w, struct lane *l);               /* false: no memory */
struct attempt *wrk_proc_first(const struct proc *p);              /* the attempt that it is at; NULL: it has none */
struct attempt *wrk_proc_last(const struct proc *p);               /* the one that may be partly pushed */
void wrk_proc_place(struct proc *p);                               /* into the list of its lane where it belongs now */
void wrk_proc_attach(struct proc *p, struct attempt *a);           /* for attempt.c: into its list, out of it */
void wrk_proc_detach(struct proc *p, struct attempt *a);
void wrk_proc_stop(struct worker *w, struct proc *p);
void wrk_proc_forget(struct worker *w, struct proc *p);
/* record.c */
bool wrk_record_add(struct worker *w, struct attempt *a, const struct wire_item *item); /* false: out of memory */
bool wrk_record_outcome(struct worker *w, struct attempt *a, const struct wire_outcome *o); /* of the task `next` */
bool wrk_record_outcomes(struct worker *w, struct attempt *a, const struct wire_outcome *o, uint32_t count); /* of that and more */
void wrk_records_free(struct worker *w, struct attempt *a);
/* said.c */
bool wrk_said_add(struct worker *w, struct attempt *a, uint64_t index, const struct worker_print *k);  /* false: no memory */
struct window *wrk_window_of(struct worker *w, struct lane *l);    /* that its output counts in from now on; NULL: no memory */
bool wrk_window_has_room(const struct worker *w, const struct window *v, const struct piece *p);   /* one fits always */
void wrk_said_sent(struct attempt *a, struct window *v);           /* its first piece that was not */
void wrk_said_resend(struct worker *w);                            /* all of it is to be sent again */
void wrk_said_free(struct worker *w, struct attempt *a);
void wrk_said_leave(struct worker *w, struct lane *l);  /* it gets another pool, or is gone: its window is its own no more */
void wrk_said_end(struct worker *w);                    /* all windows */
void wrk_said_taken(struct worker *w, const struct wire_item *item);
void wrk_said_anew(struct worker *w, struct attempt *a, uint64_t first, uint64_t count); /* pushed: who has printed says so */
bool wrk_said_blocks(const struct attempt *a, const struct record *r); /* output of its tasks has not been sent yet */
bool wrk_said_full(const struct worker *w, const struct lane *l);   /* nothing more is started there */
/* attempt.c */
struct attempt *wrk_attempt_new(struct worker *w, struct job *j, const struct wire_item *i);   /* QUEUED; NULL: no memory */
void wrk_attempt_push(struct attempt *a, struct proc *p);          /* to a process, which has it from now on */
void wrk_attempt_back(struct attempt *a);                          /* from its process to the front of the queue */
void wrk_attempt_doom(struct worker *w, struct attempt *a);        /* unknown from now on, but a process has it */
void wrk_attempt_unpush(struct attempt *a, uint64_t to);
bool wrk_attempt_kill_add(struct attempt *a, uint64_t first, uint64_t end);
bool wrk_attempt_is_killed(const struct attempt *a, uint64_t index); /* it is cancelled: what runs of it is ended */
void wrk_attempt_finish(struct worker *w, struct attempt *a);      /* next == end: no process, no arguments any more */
void wrk_attempt_free(struct worker *w, struct attempt *a);

#endif
