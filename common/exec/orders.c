/* SPDX-License-Identifier: MPL-2.0
 * orders.c - what an owner has to say to a template: SPAWN and KILL. The processes concerned wait in a list, and orders are sent as
 * far as the socket takes them. A process gets its ring and its pipes here, in the moment in which it is asked for.
 */
#include "exec/orders.h"
#include "exec/output.h"
#include "exec/pending.h"
#include "exec/source.h"
#include "exec/watch.h"
#include "bfork.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void exec_proc_undue(struct exec_proc *p)
{
    if (list_in(&p->due))
        list_remove(&template_of_proc(p)->due, &p->due);
}

/* It never came into being: for want of descriptors or memory, which may be there later. */
static void proc_unborn(struct exec_proc *p, const char *why)
{
    exec_ring_close(&p->ring);
    exec_output_close(p->x, &p->output);
    p->unborn = true;
    exec_proc_violates(p, why);
}

static int make_ring(struct exec_proc *p, struct err *e)
{
    int rc = exec_ring_new(&p->ring, e);

    if (rc < 0)
        return rc;
    if (getrandom(p->nonce, MARK_NONCE, 0) != MARK_NONCE)
        return err_errno(e, BFORK_ENOMEM, errno, "no random numbers");
    p->nonce[0] = MARK_FIRST;
    memcpy(p->ring.control->nonce, p->nonce, MARK_NONCE);
    atomic_store(&p->ring.control->until, exec_watch_until(p->x));
    atomic_store(&p->ring.control->attentive[0], 1);
    atomic_store(&p->ring.control->attentive[1], 1);
    return 0;
}

/* The process comes into being: four descriptors go to its template. */
static int send_spawn(struct exec_proc *p)
{
    struct exec_template *t = template_of_proc(p);
    struct packet k = { .type = PACKET_SPAWN, .id = p->id };
    int fds[PACKET_FDS] = { -1, p->x->event, -1, -1 };
    struct err e = { 0 };
    int rc = -EMFILE;

    if (make_ring(p, &e) == 0 && exec_output_pipe(p->x, &p->output.out, &fds[2], &e) == 0 &&
        exec_output_pipe(p->x, &p->output.err, &fds[3], &e) == 0) {
        fds[0] = p->ring.fd;
        rc = exec_packet_send(t->socket.fd, &k, fds, PACKET_FDS, false);
    }
    for (int i = 2; i < PACKET_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (rc == 0) {
        exec_ring_forget_fd(&p->ring);
        p->asked = true;
        t->asked++;
    } else if (rc == -EAGAIN) {                     /* anew when there is room: nothing is held meanwhile */
        exec_ring_close(&p->ring);
        exec_output_close(p->x, &p->output);
    } else if (rc != -EPIPE && rc != -ECONNRESET) { /* those: the socket's end is reported soon */
        proc_unborn(p, e.code ? e.text : strerror(-rc));
    }
    return rc;
}

static int send_order(struct exec_proc *p)
{
    struct packet k = { .type = PACKET_KILL, .id = p->id };

    return p->asked ? exec_packet_send(template_of_proc(p)->socket.fd, &k, NULL, 0, false) : send_spawn(p);
}

/* Orders to the template, in bounded steps: those who are to be killed first, then SPAWNs while few are unanswered. */
void exec_template_flush(struct exec_template *t)
{
    struct list_node *n;
    bool full = false;

    if (t->state != TEMPLATE_READY || t->socket.fd < 0)
        return;
    while (!full && (n = list_first(&t->due))) {
        struct exec_proc *p = LIST_ENTRY(n, struct exec_proc, due);

        if (!p->asked && t->asked >= PACKET_SPAWNS)
            break;
        if (send_order(p) == -EAGAIN)
            full = true;
        else
            exec_proc_undue(p);
    }
    if (full != t->blocked)
        exec_watch_room(t->x, &t->socket, full);
    t->blocked = full;
}

void exec_proc_due(struct exec_proc *p, bool first)
{
    struct exec_template *t = template_of_proc(p);

    if (list_in(&p->due))
        list_remove(&t->due, &p->due);
    if (first)
        list_push_front(&t->due, &p->due);
    else
        list_push_back(&t->due, &p->due);
    exec_template_flush(t);
}
