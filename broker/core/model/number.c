/* SPDX-License-Identifier: MPL-2.0
 * number.c - the numbers that workers know pools and jobs by. They are counted up, so one comes again after 2^32 of them at the
 * earliest, when pools and jobs of before may still be there: those that are in use, and 0, which stands for none, are passed over.
 */
#include "model.h"

uint32_t brk_number_new(struct broker *b, void *whose)
{
    uint32_t number;

    do {
        number = b->next_number++;
        b->steps++;
    } while (!number || map_get(&b->numbers, number));
    map_put(&b->numbers, number, whose);
    return number;
}

void brk_number_free(struct broker *b, uint32_t number) { map_take(&b->numbers, number); }
