#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/backoff.h"
#include "runtime/waiting_change.h"

enum { KEYS = 40, STEPS = 50000 };

static struct waiting_key *add_key(struct waiting *waiting, uint32_t number, uint64_t seq)
{
    struct retry_head head = {.first_seq = seq, .last_seq = seq, .bytes = 10};
    return waiting_add(waiting, number, strid_bytes_of(&number, sizeof number), &head);
}

/* A record of ten bytes that tells its sequence. */
static void add_copy(struct waiting_changes *changes, struct waiting_key *key, uint64_t seq)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%010llu", (unsigned long long)seq);
    waiting_change_add(changes, key, seq, strid_bytes_of(text, 10));
}

static bool first_is(const struct waiting_changes *changes, const struct waiting_key *key,
                     uint64_t seq)
{
    const struct waiting_copy *copy = waiting_change_first(changes, key);
    char text[16];
    (void)snprintf(text, sizeof text, "%010llu", (unsigned long long)seq);
    return copy != NULL && copy->seq == seq &&
           strid_bytes_equal(strid_bytes_of(copy->bytes, copy->len), strid_bytes_of(text, 10));
}

Test(waiting_change, a_copy_is_there_until_its_block_is_sealed)
{
    struct waiting waiting = {0};
    struct waiting_changes changes = {0};
    struct waiting_key *key = add_key(&waiting, 1, 5);
    add_copy(&changes, key, 5);
    cr_assert(first_is(&changes, key, 5));
    cr_assert_eq(changes.entries, 2, "the head, too");
    cr_assert_geq(changes.bytes, 10 + 2 * sizeof(uint32_t));
    waiting_change_clear(&changes);
    cr_assert_null(waiting_change_first(&changes, key));
    cr_assert(changes.count == 0 && changes.entries == 0 && changes.bytes == 0);
    add_copy(&changes, key, waiting_park(&waiting, key, 10));
    cr_assert_null(waiting_change_first(&changes, key), "a block has the first one");
    cr_assert(waiting_advance(&waiting, key, 10));
    cr_assert(first_is(&changes, key, 6));
    waiting_change_fini(&changes);
    waiting_fini(&waiting);
}

Test(waiting_change, what_begins_and_ends_between_two_seals_leaves_nothing)
{
    struct waiting waiting = {0};
    struct waiting_changes changes = {0};
    struct waiting_key *keys[3];
    for (uint32_t i = 0; i < 3; i++) {
        keys[i] = add_key(&waiting, i, i + 1);
        add_copy(&changes, keys[i], i + 1);
    }
    waiting_change_note(&changes, keys[1]); /* it failed again */
    cr_assert_eq(changes.count, 3);
    waiting_change_settle(&changes, keys[1]);
    waiting_change_drop(&changes, keys[1]);
    cr_assert_not(waiting_advance(&waiting, keys[1], 10));
    cr_assert_eq(changes.entries, 4);
    cr_assert(first_is(&changes, keys[0], 1) && first_is(&changes, keys[2], 3));
    for (uint32_t i = 0; i < 3; i += 2) {
        waiting_change_settle(&changes, keys[i]);
        waiting_change_drop(&changes, keys[i]);
        cr_assert_not(waiting_advance(&waiting, keys[i], 10));
    }
    cr_assert(changes.count == 0 && changes.entries == 0 && changes.bytes == 0);
    waiting_change_fini(&changes);
    waiting_fini(&waiting);
}

/* Of each key: how many of its records no block has. */
struct model {
    struct waiting_key *key;
    uint64_t copies;
    bool noted;
};

static void settle(struct waiting *waiting, struct waiting_changes *changes, struct model *model)
{
    uint64_t first = model->key->head.first_seq, last = model->key->head.last_seq;
    bool is_copy = last - first + 1 <= model->copies;
    cr_assert_eq(waiting_change_first(changes, model->key) != NULL, is_copy);
    if (is_copy) {
        cr_assert(first_is(changes, model->key, first));
        waiting_change_settle(changes, model->key);
        model->copies--;
    }
    if (first == last) {
        waiting_change_drop(changes, model->key);
    } else {
        waiting_change_note(changes, model->key);
        model->noted = true;
    }
    if (!waiting_advance(waiting, model->key, 10))
        *model = (struct model){0};
}

Test(waiting_change, as_a_plain_model_says)
{
    struct waiting waiting = {0};
    struct waiting_changes changes = {0};
    struct model models[KEYS] = {0};
    struct backoff_random random = {.state = 1};
    uint64_t seq = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t number = (uint32_t)(backoff_random_next(&random) % KEYS);
        struct model *model = &models[number];
        if (step % 97 == 0) {
            waiting_change_clear(&changes);
            for (uint32_t i = 0; i < KEYS; i++)
                models[i].copies = models[i].noted = 0;
        } else if (model->key == NULL) {
            seq += 1000;
            *model = (struct model){.key = add_key(&waiting, number, seq), .copies = 1};
            model->noted = true;
            add_copy(&changes, model->key, seq);
        } else if (backoff_random_next(&random) % 5 < 2) {
            add_copy(&changes, model->key, waiting_park(&waiting, model->key, 10));
            model->copies++;
            model->noted = true;
        } else {
            settle(&waiting, &changes, model);
        }
        uint64_t entries = 0;
        for (uint32_t i = 0; i < KEYS; i++)
            entries += models[i].copies + models[i].noted;
        cr_assert_eq(changes.entries, entries, "step %u", step);
    }
    waiting_change_fini(&changes);
    waiting_fini(&waiting);
}
