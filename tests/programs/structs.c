/* SPDX-License-Identifier: MPL-2.0
 * Structs without pointers: as elements of a map, as its context, and as one value among others. */
#include <bfork.h>
#include <stdio.h>

struct option { double spot, strike, years; int call; };
struct price { double value, delta; };
struct model { double rate, vol; };

static int price(const struct option *o, struct price *p, bfork_task *task)
{
    size_t size;
    const struct model *m = bfork_task_context(task, &size);

    if (size != sizeof(*m))
        return bfork_raise(task, 1, "no model");
    p->value = o->spot * m->vol - o->strike * m->rate;
    p->delta = o->call ? 1 : -1;
    return 0;
}

static int price_one(bfork_task *task)
{
    struct option o;
    struct price p = { 0, 0 };
    const char *book;

    if (bfork_args(task, &book, bfork_into(o)))
        return -1;
    p.value = o.spot + o.strike;
    return bfork_return(task, book, bfork_pod(p));
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    struct option in[3] = { { 100, 90, 1, 1 }, { 100, 110, 1, 0 }, { 50, 50, 2, 1 } };
    struct price out[3], p;
    struct model model = { 0.03, 0.2 };
    const char *book;
    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, NULL);

    if (bfork_map_with(pool, price, in, out, 3, &(bfork_options){ .context = bfork_pod(model), .seed = 1 }))
        bfork_die("price");
    for (int i = 0; i < 3; i++)
        printf("%g %g\n", out[i].value, out[i].delta);
    bfork_future *f = bfork_submit(pool, price_one, "book", bfork_pod(in[0]));
    if (bfork_result(f, &book, bfork_into(p)))
        bfork_die("price_one");
    printf("%s %g %g\n", book, p.value, p.delta);
    bfork_future_free(&f);
    bfork_pool_free(&pool);
}
