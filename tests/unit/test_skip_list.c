#include <criterion/criterion.h>

#include "state/memory/skip_list.h"

#include <stdlib.h>

/* Against an array that is indexed by the key. */
Test(skip_list, agrees_with_a_plain_table)
{
    enum { KEYS = 500, STEPS = 50000 };
    static uint32_t model[KEYS]; /* 0: absent */
    struct skip_list *list = skip_list_create();
    uint32_t seed = 1;
    size_t count = 0;
    for (uint32_t step = 1; step <= STEPS; step++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t slot = (seed >> 8) % KEYS;
        uint8_t key[2] = {(uint8_t)(slot >> 8), (uint8_t)slot};
        if ((seed >> 30) == 0) {
            cr_assert_eq(skip_list_remove(list, strid_bytes_of(key, 2)), model[slot] != 0);
            count -= model[slot] != 0;
            model[slot] = 0;
        } else {
            skip_list_put(list, strid_bytes_of(key, 2), strid_bytes_of(&step, 4));
            count += model[slot] == 0;
            model[slot] = step;
        }
        cr_assert_eq(skip_list_count(list), count);
    }
    const struct skip_node *node = skip_list_seek(list, (strid_bytes){0});
    for (uint32_t slot = 0; slot < KEYS; slot++) {
        uint8_t key[2] = {(uint8_t)(slot >> 8), (uint8_t)slot};
        const struct skip_node *found = skip_list_find(list, strid_bytes_of(key, 2));
        cr_assert_eq(found != NULL, model[slot] != 0);
        if (found == NULL)
            continue;
        cr_assert_eq(found, node);
        cr_assert_eq(found, skip_list_seek(list, strid_bytes_of(key, 2)));
        cr_assert(strid_bytes_equal(skip_node_value(found), strid_bytes_of(&model[slot], 4)));
        node = skip_list_next(node);
    }
    cr_assert_null(node);
    cr_assert_gt(skip_list_bytes(list), count * 4);
    skip_list_clear(list);
    cr_assert_eq(skip_list_count(list), 0);
    cr_assert_eq(skip_list_bytes(list), 0);
    cr_assert_null(skip_list_seek(list, (strid_bytes){0}));
    skip_list_destroy(list);
    skip_list_destroy(NULL);
}

Test(skip_list, compares_as_unsigned_bytes_and_shorter_first)
{
    static const char *const order[] = {"", "a", "a!", "ab", "b", "\x7f", "\x80", "\xff"};
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++)
            cr_assert_eq(
                skip_list_compare(strid_bytes_of_text(order[i]), strid_bytes_of_text(order[j])),
                i < j ? -1 : i > j);
}
