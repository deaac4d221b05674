#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "state/fold.h"

enum { KEYS = 400, LARGE = 20000 };

/* What the blocks say, written down the simple way: newest value per key. */
struct model {
    bool known;
    strid_state_kind kind;
    uint8_t fill;
    size_t len;
};

static uint64_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static char names[KEYS][16];

/* Few vshards, so that each has enough to sort by radix in the longer runs; two keys at each place.
 */
static struct key_state key_of(uint32_t index)
{
    uint32_t place = index / 2;
    (void)snprintf(names[index], sizeof names[index], "k%.*u", (int)(1 + index % 7), index);
    return (struct key_state){.hash = place % 5 * 0x33000000u + (place * 2654435761u >> 8),
                              .store = (uint8_t)(1 + place % 3),
                              .key = strid_bytes_of_text(names[index])};
}

static uint8_t payload[LARGE];

static void put_random(struct buffer *block, struct model *model, uint32_t index, uint64_t *random)
{
    struct key_state key = key_of(index);
    uint64_t choice = random_next(random) % 10;
    model->known = true;
    model->fill = (uint8_t)random_next(random);
    model->kind = choice == 0  ? STRID_STATE_ABSENT
                  : choice < 6 ? STRID_STATE_I64
                  : choice < 7 ? STRID_STATE_F64
                               : STRID_STATE_BYTES;
    model->len = model->kind == STRID_STATE_ABSENT  ? 0
                 : model->kind != STRID_STATE_BYTES ? 8
                 : choice == 9                      ? random_next(random) % LARGE
                                                    : random_next(random) % 40;
    memset(payload, model->fill, model->len);
    struct key_value value = {
        .kind = model->kind,
        .bytes = strid_bytes_of(model->kind == STRID_STATE_ABSENT ? NULL : payload, model->len)};
    block_put_state(block, &key, &value);
}

static void check_value(const struct model *model, const struct key_value *value, uint32_t index)
{
    cr_assert_eq(value->kind, model->kind, "key %u", index);
    cr_assert_eq(value->bytes.len, model->len, "key %u", index);
    for (size_t i = 0; i < model->len; i++)
        cr_assert_eq(value->bytes.data[i], model->fill);
}

static void check_all(struct fold *fold, const struct model *models)
{
    uint8_t last[KEY_STATE_MAX];
    size_t last_len = 0;
    uint64_t expected = 0, met = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        expected += models[i].known;
    fold_sort(fold);
    cr_assert_eq(fold_count(fold), expected);
    for (struct store_op op; fold_next(fold, &op); met++) {
        size_t shorter = op.key.len < last_len ? op.key.len : last_len;
        int order = memcmp(last, op.key.data, shorter);
        cr_assert(met == 0 || order < 0 || (order == 0 && last_len < op.key.len),
                  "keys come in ascending order of their bytes");
        memcpy(last, op.key.data, last_len = op.key.len);
        struct key_state key;
        struct key_value value = {.kind = STRID_STATE_ABSENT};
        cr_assert(key_get_state(op.key, &key));
        uint32_t index = 0;
        for (struct key_state at = key_of(0);
             at.hash != key.hash || at.store != key.store || !strid_bytes_equal(at.key, key.key);
             at = key_of(++index))
            cr_assert_lt(index, KEYS - 1, "a key that nobody put");
        cr_assert(op.value.data == NULL || key_get_value(op.value, &value));
        check_value(&models[index], &value, index);
    }
    cr_assert_eq(met, expected);
}

static void fold_and_check(uint64_t seed, int blocks)
{
    struct model models[KEYS] = {0};
    struct fold *fold = fold_create();
    struct buffer block = {0};
    struct block_view view;
    for (int b = 1; b <= blocks; b++) {
        uint32_t count = (uint32_t)(random_next(&seed) % 100);
        uint8_t used[KEYS] = {0};
        uint32_t put = 0;
        block_begin(&block);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t index = (uint32_t)(random_next(&seed) % KEYS);
            if (used[index]++ > 0)
                continue; /* a block holds each key once */
            put_random(&block, &models[index], index, &seed);
            put++;
        }
        block_end(&block, 1, 0, (uint64_t)b, 0, put);
        block_number(&block, (uint64_t)b, 0);
        cr_assert(fold_add(fold, buffer_bytes(&block), &view));
        cr_assert_eq(view.number, (uint64_t)b);
    }
    check_all(fold, models);
    for (uint32_t i = 0; i < KEYS; i++) {
        struct key_state key = key_of(i);
        struct key_value value;
        cr_assert_eq(fold_get(fold, &key, &value), models[i].known, "key %u", i);
        if (models[i].known)
            check_value(&models[i], &value, i);
    }
    fold_destroy(fold);
    buffer_fini(&block);
}

Test(fold, newest_value_of_each_key_as_the_simple_model_has_it)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        fold_and_check(seed, (int)(seed % 30));
}

Test(fold, nothing_in_nothing_out)
{
    struct fold *fold = fold_create();
    struct store_op op;
    fold_sort(fold);
    cr_assert_eq(fold_count(fold), 0);
    cr_assert_not(fold_next(fold, &op));
    cr_assert_eq(fold_progress_count(fold), 0);
    fold_destroy(fold);
    fold_destroy(NULL);
}

static void add(struct fold *fold, uint64_t run, uint32_t worker, uint64_t low, const char *key)
{
    struct buffer block = {0};
    struct block_view view;
    block_begin(&block);
    block_put_progress(&block, &(struct block_progress){.partition = 4, .position = {0, low}});
    block_put_state(
        &block, &(struct key_state){.store = 1, .key = strid_bytes_of_text(key)},
        &(struct key_value){.kind = STRID_STATE_BYTES, .bytes = strid_bytes_of_text("v")});
    block_end(&block, run, worker, 1, 1, 1);
    block_number(&block, low, 0);
    cr_assert(fold_add(fold, buffer_bytes(&block), &view));
    buffer_fini(&block);
}

Test(fold, progress_is_the_highest_per_run_worker_and_partition)
{
    struct fold *fold = fold_create();
    add(fold, 1, 0, 10, "a");
    add(fold, 1, 1, 7, "b");
    add(fold, 1, 0, 12, "a");
    add(fold, 2, 0, 3, "a");
    cr_assert_eq(fold_progress_count(fold), 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct fold_progress *progress = fold_progress_at(fold, i);
        cr_assert_eq(progress->partition, 4);
        cr_assert_eq(progress->position.low, progress->run == 2      ? 3
                                             : progress->worker == 1 ? 7
                                                                     : 12);
    }
    fold_destroy(fold);
}

Test(fold, cleared_it_is_as_new)
{
    struct fold *fold = fold_create();
    struct store_op op;
    add(fold, 1, 0, 10, "old");
    fold_sort(fold);
    fold_clear(fold);
    add(fold, 1, 0, 11, "new");
    fold_sort(fold);
    cr_assert_eq(fold_count(fold), 1);
    cr_assert_eq(fold_progress_count(fold), 1);
    cr_assert(fold_next(fold, &op));
    struct key_state key;
    cr_assert(key_get_state(op.key, &key));
    cr_assert(strid_bytes_equal(key.key, strid_bytes_of_text("new")));
    cr_assert_not(fold_next(fold, &op));
    fold_sort(fold);
    cr_assert(fold_next(fold, &op), "sorting again starts from the first");
    fold_destroy(fold);
}

Test(fold, damaged_block_is_refused)
{
    struct fold *fold = fold_create();
    struct block_view view;
    cr_assert_not(fold_add(fold, strid_bytes_of_text("no block at all"), &view));
    fold_sort(fold);
    cr_assert_eq(fold_count(fold), 0);
    fold_destroy(fold);
}

Test(fold, what_has_expired_comes_as_a_deletion)
{
    struct fold *fold = fold_create();
    struct buffer block = {0};
    struct block_view view;
    block_begin(&block);
    for (uint32_t i = 0; i < 3; i++)
        block_put_state(&block,
                        &(struct key_state){.hash = i, .store = 1, .key = strid_bytes_of_text("k")},
                        &(struct key_value){.kind = STRID_STATE_BYTES,
                                            .bytes = strid_bytes_of_text("v"),
                                            .expiry_ms = i * 100});
    block_end(&block, 1, 0, 1, 0, 3);
    block_number(&block, 1, 0);
    cr_assert(fold_add(fold, buffer_bytes(&block), &view));
    for (int64_t now = 0; now <= 300; now += 50) {
        struct store_op op;
        struct key_value value;
        fold_set_now(fold, now);
        fold_sort(fold);
        for (uint32_t i = 0; i < 3; i++) {
            cr_assert(fold_next(fold, &op));
            cr_assert_eq(op.value.data == NULL, i > 0 && now >= i * 100, "%u at %lld", i,
                         (long long)now);
            if (op.value.data != NULL)
                cr_assert(key_get_value(op.value, &value) && value.expiry_ms == i * 100);
        }
        cr_assert_not(fold_next(fold, &op));
    }
    buffer_fini(&block);
    fold_destroy(fold);
}
