/* SPDX-License-Identifier: MPL-2.0
 * base_interval_test.c - intervals against a plain array; a million in ascending order stay shallow; a queue of times keeps the
 * order of arrival.
 */
#include "base/interval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define INDEXES 512u

static uint64_t steps;

static uint32_t roll(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33) % below;
}

/* What keeps the depth small, whatever was put in and taken out. */
static void is_a_heap(const struct interval *v)
{
    if (!v)
        return;
    assert_true(!v->left || (v->left->up == v && v->left->rank <= v->rank));
    assert_true(!v->right || (v->right->up == v && v->right->rank <= v->rank));
    is_a_heap(v->left);
    is_a_heap(v->right);
}

static void against_an_array(void **state)
{
    struct interval *owner[INDEXES] = { NULL }, *v;
    uint64_t random = 7;
    struct intervals t;

    (void)state;
    intervals_init(&t, 1, &steps);
    for (int round = 0; round < 20000; round++) {
        uint32_t first = roll(&random, INDEXES), n = 1 + roll(&random, 8), k = first;
        if (owner[first]) {
            v = owner[first];
            interval_take(&t, v);
            for (uint64_t i = v->first; i < v->end; i++)
                owner[i] = NULL;
            free(v);
        } else {
            while (k < INDEXES && k < first + n && !owner[k])
                k++;
            assert_non_null(v = calloc(1, sizeof(*v)));
            v->first = first;
            v->end = k;
            interval_put(&t, v);
            for (uint64_t i = v->first; i < v->end; i++)
                owner[i] = v;
        }
        uint32_t at = roll(&random, INDEXES), next = at;
        while (next < INDEXES && !owner[next])
            next++;
        assert_ptr_equal(interval_at(&t, at), next < INDEXES ? owner[next] : NULL);
        if (round % 100 == 0)
            is_a_heap(t.root);
    }
    size_t n = 0;
    for (struct interval *a = interval_first(&t), *before = NULL; a; before = a, a = interval_next(a), n++) {
        assert_ptr_equal(interval_prev(a), before);
        assert_true(!before || before->end <= a->first);
        assert_true(interval_next(a) || interval_last(&t) == a);
    }
    assert_int_equal(n, t.count);
    for (INTERVAL_EACH(&t, 0, INDEXES, w)) {
        interval_take(&t, w);
        free(w);
    }
    assert_int_equal(t.count, 0);
    assert_null(t.root);
}

/* Whoever puts them in chooses the order, not the depth. */
static void r06_a_million_in_a_row_stay_shallow(void **state)
{
    size_t n = 1000000, most = 0;
    struct interval *v = calloc(n, sizeof(*v));
    struct intervals t;

    (void)state;
    assert_non_null(v);
    intervals_init(&t, 42, &steps);
    for (size_t i = 0; i < n; i++) {
        v[i].first = i;
        v[i].end = i + 1;
        interval_put(&t, &v[i]);
    }
    for (size_t i = 0; i < n; i += 97) {
        uint64_t before = steps;
        assert_ptr_equal(interval_at(&t, i), &v[i]);
        most = steps - before > most ? steps - before : most;
    }
    assert_in_range(most, 10, 80);
    free(v);
}

static void times_keep_their_order(void **state)
{
    struct interval v[300], *at;
    struct intervals t;

    (void)state;
    memset(v, 0, sizeof(v));
    intervals_init(&t, 3, NULL);
    for (unsigned i = 0; i < 300; i++) {
        v[i].first = i % 3;
        interval_put_time(&t, &v[i]);
    }
    for (unsigned k = 0; k < 300; k++) {
        assert_non_null(at = interval_first(&t));
        assert_ptr_equal(at, &v[k / 100 + k % 100 * 3]);
        interval_take(&t, at);
    }
    assert_null(interval_first(&t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_an_array), cmocka_unit_test(r06_a_million_in_a_row_stay_shallow),
        cmocka_unit_test(times_keep_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
