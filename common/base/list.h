/* SPDX-License-Identifier: MPL-2.0
 * list.h - intrusive doubly linked list. A node is in at most one list; list_node.next is NULL while it is in none.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node { struct list_node *next, *prev; };
struct list { struct list_node head; size_t count; };

#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))
/* for (LIST_EACH(l, n)) …; the node may be removed inside the body only with LIST_EACH_SAFE. */
#define LIST_EACH(l, n) struct list_node *n = (l)->head.next; n != &(l)->head; n = n->next
#define LIST_EACH_SAFE(l, n, after)                         \
    struct list_node *n = (l)->head.next, *after = n->next; \
    n != &(l)->head;                                        \
    n = after, after = n->next

static inline void list_init(struct list *l) { l->head.next = l->head.prev = &l->head; l->count = 0; }
static inline bool list_empty(const struct list *l) { return l->head.next == &l->head; }
static inline bool list_in(const struct list_node *n) { return n->next != NULL; }
static inline void list_insert_before(struct list *l, struct list_node *at, struct list_node *n)
{
    n->prev = at->prev; n->next = at; at->prev->next = n; at->prev = n; l->count++;
}
static inline void list_push_back(struct list *l, struct list_node *n) { list_insert_before(l, &l->head, n); }
static inline void list_push_front(struct list *l, struct list_node *n) { list_insert_before(l, l->head.next, n); }
static inline void list_remove(struct list *l, struct list_node *n)
{
    n->prev->next = n->next; n->next->prev = n->prev; n->next = n->prev = NULL; l->count--;
}
/* All of `from` goes behind all of `to`. */
static inline void list_append(struct list *to, struct list *from)
{
    if (from->head.next == &from->head)
        return;
    from->head.next->prev = to->head.prev; to->head.prev->next = from->head.next;
    from->head.prev->next = &to->head; to->head.prev = from->head.prev;
    to->count += from->count;
    list_init(from);
}
static inline struct list_node *list_first(const struct list *l) { return list_empty(l) ? NULL : l->head.next; }
static inline struct list_node *list_last(const struct list *l) { return list_empty(l) ? NULL : l->head.prev; }
static inline struct list_node *list_pop(struct list *l)
{
    struct list_node *n = list_first(l);
    if (n) list_remove(l, n);
    return n;
}
#endif
