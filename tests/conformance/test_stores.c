/* What every store does alike (state/store.h). */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "store_case.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int indexes[STORE_CASES] = {0, 1};

#define STORE_TEST(name)                                                                           \
    static void name(struct store_case *at);                                                       \
    ParameterizedTestParameters(stores, name)                                                      \
    {                                                                                              \
        return cr_make_param_array(int, indexes, STORE_CASES);                                     \
    }                                                                                              \
    ParameterizedTest(int *index, stores, name)                                                    \
    {                                                                                              \
        struct store_case at;                                                                      \
        store_case_open(&at, *index);                                                              \
        name(&at);                                                                                 \
        store_case_close(&at);                                                                     \
    }                                                                                              \
    static void name(struct store_case *at)

STORE_TEST(apply_puts_overwrites_and_deletes)
{
    cr_assert(store_case_has_text(at, "k", NULL));
    store_case_put(at, "k", "one");
    cr_assert(store_case_has_text(at, "k", "one"));
    store_case_put(at, "k", "two");
    cr_assert(store_case_has_text(at, "k", "two"));
    store_case_put(at, "k", NULL);
    cr_assert(store_case_has_text(at, "k", NULL));
    store_case_put(at, "k", NULL); /* deleting what is absent is nothing */
    cr_assert_eq(store_case_count(at), 0);
}

STORE_TEST(later_operations_of_one_apply_win)
{
    strid_error err = STRID_ERROR_INIT;
    struct store_op ops[] = {store_case_op("a", "1"), store_case_op("b", "1"),
                             store_case_op("a", "2"), store_case_op("b", NULL)};
    STRID_CHECK_OK(at->ops->apply(at->store, ops, 4, &err), err);
    cr_assert(store_case_has_text(at, "a", "2"));
    cr_assert(store_case_has_text(at, "b", NULL));
    STRID_CHECK_OK(at->ops->apply(at->store, NULL, 0, &err), err);
}

STORE_TEST(scan_goes_in_the_order_of_unsigned_bytes)
{
    char keys[64];
    store_case_put(at, "b", "");
    store_case_put(at, "\xc3\xa9", "");
    store_case_put(at, "a", "");
    store_case_put(at, "ab", "");
    store_case_put(at, "a!", "");
    store_case_keys(at, NULL, NULL, keys, sizeof keys);
    cr_assert_str_eq(keys, "a,a!,ab,b,\xc3\xa9");
}

STORE_TEST(scan_keeps_to_its_range)
{
    char keys[64];
    for (const char *key = "acegi"; *key != '\0'; key++)
        store_case_put(at, (char[]){*key, '\0'}, "v");
    store_case_keys(at, "c", "g", keys, sizeof keys);
    cr_assert_str_eq(keys, "c,e");
    store_case_keys(at, "d", "h", keys, sizeof keys);
    cr_assert_str_eq(keys, "e,g");
    store_case_keys(at, "e", NULL, keys, sizeof keys);
    cr_assert_str_eq(keys, "e,g,i");
    store_case_keys(at, NULL, "c", keys, sizeof keys);
    cr_assert_str_eq(keys, "a");
    store_case_keys(at, "g", "c", keys, sizeof keys);
    cr_assert_str_eq(keys, "");
    store_case_keys(at, "x", NULL, keys, sizeof keys);
    cr_assert_str_eq(keys, "");
}

static bool stop_at_second(void *user, strid_bytes key, strid_bytes value)
{
    (void)key;
    (void)value;
    return ++*(int *)user < 2;
}

STORE_TEST(scan_ends_when_the_callback_says_so)
{
    strid_error err = STRID_ERROR_INIT;
    for (const char *key = "abcd"; *key != '\0'; key++)
        store_case_put(at, (char[]){*key, '\0'}, "v");
    int calls = 0;
    STRID_CHECK_OK(
        at->ops->scan(at->store, (strid_bytes){0}, (strid_bytes){0}, stop_at_second, &calls, &err),
        err);
    cr_assert_eq(calls, 2);
}

static bool value_is_present(void *user, strid_bytes key, strid_bytes value)
{
    (void)key;
    *(bool *)user = value.data != NULL && value.len == 0;
    return true;
}

STORE_TEST(an_empty_value_and_an_empty_key_are_there)
{
    strid_error err = STRID_ERROR_INIT;
    store_case_put(at, "k", "");
    cr_assert(store_case_has_text(at, "k", ""));
    bool present = false;
    STRID_CHECK_OK(at->ops->scan(at->store, (strid_bytes){0}, (strid_bytes){0}, value_is_present,
                                 &present, &err),
                   err);
    cr_assert(present);
    store_case_put(at, "", "empty key");
    cr_assert(store_case_has_text(at, "", "empty key"));
    char keys[16];
    store_case_keys(at, NULL, NULL, keys, sizeof keys);
    cr_assert_str_eq(keys, "k"); /* "" and "k": the first has no text */
    cr_assert_eq(store_case_count(at), 2);
    struct store_op ops[] = {store_case_op("", NULL), store_case_op("k2", "")};
    store_case_load(at, ops, 2);
    cr_assert(store_case_has_text(at, "", NULL));
    cr_assert(store_case_has_text(at, "k2", ""));
}

STORE_TEST(keys_and_values_are_any_bytes)
{
    strid_error err = STRID_ERROR_INIT;
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof bytes; i++) {
        struct store_op op = {strid_bytes_of(bytes + i, 1), strid_bytes_of(bytes, i)};
        STRID_CHECK_OK(at->ops->apply(at->store, &op, 1, &err), err);
    }
    struct store_op whole = {strid_bytes_of(bytes, 256), strid_bytes_of(bytes, 256)};
    STRID_CHECK_OK(at->ops->apply(at->store, &whole, 1, &err), err);
    for (size_t i = 0; i < sizeof bytes; i++)
        cr_assert(store_case_has(at, strid_bytes_of(bytes + i, 1), strid_bytes_of(bytes, i)));
    cr_assert(store_case_has(at, whole.key, whole.value));
    cr_assert_eq(store_case_count(at), 257);
}

static void check_large(struct store_case *at, const char *key, size_t len)
{
    strid_error err = STRID_ERROR_INIT;
    uint8_t *value = malloc(len);
    cr_assert_not_null(value);
    uint64_t seed = len;
    for (size_t i = 0; i < len; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        value[i] = (uint8_t)(seed >> 56);
    }
    struct store_op op = {strid_bytes_of_text(key), strid_bytes_of(value, len)};
    STRID_CHECK_OK(at->ops->apply(at->store, &op, 1, &err), err);
    cr_assert(store_case_has(at, op.key, op.value));
    op.key = strid_bytes_of_text("loaded");
    store_case_load(at, &op, 1);
    cr_assert(store_case_has(at, op.key, op.value));
    if ((at->ops->flags & STORE_DURABLE) != 0) {
        store_case_reopen(at);
        cr_assert(store_case_has(at, op.key, op.value));
        cr_assert(store_case_has(at, strid_bytes_of_text(key), op.value));
    }
    free(value);
}

STORE_TEST(a_value_of_1_mib_is_kept_whole) { check_large(at, "w1", (size_t)1 << 20); }
STORE_TEST(a_value_of_32_mib_is_kept_whole) { check_large(at, "w32", (size_t)32 << 20); }

struct answers {
    int64_t numbers[1024]; /* -1: absent */
    uint8_t calls[1024];
};

static bool take_answer(void *user, size_t index, strid_bytes value)
{
    struct answers *answers = user;
    answers->calls[index]++;
    answers->numbers[index] = -1;
    if (value.data != NULL)
        memcpy(&answers->numbers[index], value.data, sizeof(int64_t));
    return true;
}

STORE_TEST(get_many_answers_hits_misses_and_duplicates_in_place)
{
    enum { KEYS = 1000, RANGE = 600 };
    static uint32_t names[KEYS];
    static strid_bytes keys[KEYS];
    static struct answers answers;
    strid_error err = STRID_ERROR_INIT;
    for (uint32_t name = 0; name < RANGE; name += 2) {
        int64_t number = name * 10;
        struct store_op op = {strid_bytes_of(&name, 4), strid_bytes_of(&number, 8)};
        if (name % 4 == 0)
            STRID_CHECK_OK(at->ops->apply(at->store, &op, 1, &err), err);
        else
            store_case_load(at, &op, 1);
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        names[i] = (i * 7919) % RANGE;
        keys[i] = strid_bytes_of(&names[i], 4);
    }
    STRID_CHECK_OK(at->ops->get_many(at->store, keys, KEYS, take_answer, &answers, &err), err);
    for (uint32_t i = 0; i < KEYS; i++) {
        cr_assert_eq(answers.calls[i], 1);
        cr_assert_eq(answers.numbers[i], names[i] % 2 == 0 ? (int64_t)names[i] * 10 : -1);
    }
    STRID_CHECK_OK(at->ops->get_many(at->store, keys, 0, take_answer, &answers, &err), err);
}

struct few {
    size_t answered, wanted;
};

static bool take_few(void *user, size_t index, strid_bytes value)
{
    struct few *few = user;
    cr_assert_eq(index, few->answered++, "in the order of the keys");
    cr_assert_not_null(value.data);
    return few->answered < few->wanted;
}

/* What was read together with the last key wanted may yet come, the rest is not read. */
STORE_TEST(get_many_ends_where_no_more_are_wanted)
{
    enum { KEYS = 1000 };
    static strid_bytes keys[KEYS];
    strid_error err = STRID_ERROR_INIT;
    store_case_put(at, "s1", "value");
    for (uint32_t i = 0; i < KEYS; i++)
        keys[i] = strid_bytes_of_text("s1");
    for (size_t wanted = 1; wanted < 500; wanted += 83) {
        struct few few = {.wanted = wanted};
        STRID_CHECK_OK(at->ops->get_many(at->store, keys, KEYS, take_few, &few, &err), err);
        cr_assert(few.answered >= wanted && few.answered < KEYS, "%zu of %zu", few.answered,
                  wanted);
    }
}

STORE_TEST(bulk_load_is_newer_than_what_was_applied)
{
    store_case_put(at, "s1", "old");
    store_case_put(at, "s2", "old");
    store_case_put(at, "s3", "old");
    struct store_op ops[] = {store_case_op("p0", "progress"), store_case_op("s1", "new"),
                             store_case_op("s2", NULL), store_case_op("s4", "new"),
                             store_case_op("s5", NULL)};
    store_case_load(at, ops, 5);
    char keys[64];
    store_case_keys(at, NULL, NULL, keys, sizeof keys);
    cr_assert_str_eq(keys, "p0,s1,s3,s4");
    cr_assert(store_case_has_text(at, "s1", "new"));
    cr_assert(store_case_has_text(at, "s2", NULL));
    cr_assert(store_case_has_text(at, "s3", "old"));
    store_case_put(at, "s1", "newest");
    cr_assert(store_case_has_text(at, "s1", "newest"));
    struct store_op again[] = {store_case_op("s1", NULL)};
    store_case_load(at, again, 1);
    cr_assert(store_case_has_text(at, "s1", NULL));
    store_case_load(at, NULL, 0);
    cr_assert_eq(store_case_count(at), 3);
}

STORE_TEST(bulk_load_in_a_wrong_order_changes_nothing_and_closes_the_store_for_writes)
{
    strid_error err = STRID_ERROR_INIT;
    store_case_put(at, "s1", "old");
    struct store_op ops[] = {store_case_op("s1", "new"), store_case_op("s9", "new"),
                             store_case_op("s5", "new")};
    struct store_case_list list = {ops, 3, 0};
    cr_assert_eq(at->ops->bulk_load(at->store, store_case_next, &list, &err), STRID_ESTORE);
    cr_assert_neq(err.message[0], '\0');
    cr_assert(store_case_has_text(at, "s1", "old"));
    cr_assert(store_case_has_text(at, "s9", NULL));
    cr_assert_eq(at->ops->apply(at->store, ops, 1, &err), STRID_ESTORE);
    cr_assert_eq(at->ops->sync(at->store, &err), STRID_ESTORE);
    list.at = list.count;
    cr_assert_eq(at->ops->bulk_load(at->store, store_case_next, &list, &err), STRID_ESTORE);
    cr_assert(store_case_has_text(at, "s1", "old"), "reading goes on");
}

/* Readers see pairs: an apply or a load writes the same number to both keys of a pair. */
enum { ROUNDS = 60, PAIRS = 64 };

struct traffic {
    struct store_case *at;
    atomic_bool done;
    atomic_int torn;
    atomic_int failures;
};

static void pair_key(char *key, char kind, char half, int pair)
{
    (void)snprintf(key, 8, "%c%c%03d", kind, half, pair);
}

static void *apply_pairs(void *user)
{
    struct traffic *traffic = user;
    for (int64_t round = 1; round <= ROUNDS * 10; round++) {
        char keys[2][8];
        pair_key(keys[0], 'w', 'a', (int)(round % PAIRS));
        pair_key(keys[1], 'w', 'b', (int)(round % PAIRS));
        struct store_op ops[2] = {{strid_bytes_of_text(keys[0]), strid_bytes_of(&round, 8)},
                                  {strid_bytes_of_text(keys[1]), strid_bytes_of(&round, 8)}};
        if (traffic->at->ops->apply(traffic->at->store, ops, 2, NULL) != STRID_OK ||
            traffic->at->ops->sync(traffic->at->store, NULL) != STRID_OK)
            atomic_fetch_add(&traffic->failures, 1);
    }
    return NULL;
}

static void *load_pairs(void *user)
{
    struct traffic *traffic = user;
    static char keys[2 * PAIRS][8];
    static struct store_op ops[2 * PAIRS];
    for (int64_t round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < 2 * PAIRS; i++) {
            pair_key(keys[i], 's', i < PAIRS ? 'a' : 'b', i % PAIRS);
            ops[i] = (struct store_op){strid_bytes_of_text(keys[i]), strid_bytes_of(&round, 8)};
        }
        struct store_case_list list = {ops, 2 * PAIRS, 0};
        if (traffic->at->ops->bulk_load(traffic->at->store, store_case_next, &list, NULL) !=
            STRID_OK)
            atomic_fetch_add(&traffic->failures, 1);
    }
    return NULL;
}

static void *read_pairs(void *user)
{
    struct traffic *traffic = user;
    int pair = 0;
    while (!atomic_load(&traffic->done)) {
        char names[4][8];
        strid_bytes keys[4];
        struct answers answers;
        pair = (pair + 1) % PAIRS;
        for (int i = 0; i < 4; i++) {
            pair_key(names[i], i < 2 ? 's' : 'w', i % 2 == 0 ? 'a' : 'b', pair);
            keys[i] = strid_bytes_of_text(names[i]);
        }
        if (traffic->at->ops->get_many(traffic->at->store, keys, 4, take_answer, &answers, NULL) !=
            STRID_OK)
            atomic_fetch_add(&traffic->failures, 1);
        else if (answers.numbers[0] != answers.numbers[1] ||
                 answers.numbers[2] != answers.numbers[3])
            atomic_fetch_add(&traffic->torn, 1);
    }
    return NULL;
}

STORE_TEST(applies_loads_and_reads_at_the_same_time_are_each_whole)
{
    struct traffic traffic = {.at = at};
    pthread_t threads[4];
    void *(*const bodies[])(void *) = {apply_pairs, load_pairs, read_pairs, read_pairs};
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, bodies[i], &traffic), 0);
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
    atomic_store(&traffic.done, true);
    (void)pthread_join(threads[2], NULL);
    (void)pthread_join(threads[3], NULL);
    cr_assert_eq(atomic_load(&traffic.failures), 0);
    cr_assert_eq(atomic_load(&traffic.torn), 0);
    int64_t last = ROUNDS;
    cr_assert(store_case_has(at, strid_bytes_of_text("sa000"), strid_bytes_of(&last, 8)));
}

STORE_TEST(figures_count_what_is_held)
{
    struct store_figures figures;
    for (int i = 0; i < 100; i++) {
        char key[8];
        pair_key(key, 's', 'a', i);
        store_case_put(at, key, "value");
    }
    at->ops->figures(at->store, &figures);
    cr_assert_eq(figures.estimated_keys, 100);
    cr_assert_gt(figures.memory_bytes, 0);
    cr_assert_eq(figures.disk_bytes > 0, (at->ops->flags & STORE_DURABLE) != 0);
}

Test(store, find_knows_the_schemes)
{
    const char *path = NULL;
    cr_assert_eq(store_find("rocksdb:./state", &path), &store_rocksdb);
    cr_assert_str_eq(path, "./state");
    cr_assert_eq(store_find("memory:", &path), &store_memory);
    cr_assert_str_eq(path, "");
    cr_assert_eq(store_find("memory:x", NULL), &store_memory);
    cr_assert_null(store_find("rocks:./state", &path));
    cr_assert_null(store_find("rocksdb", &path));
    cr_assert_null(store_find("", &path));
    cr_assert_null(store_find(NULL, &path));
}

/* A store that is not durable stays with who keeps it, and is gone when that closes it. */
Test(store, store_in_memory_is_kept_by_who_wants_it)
{
    strid_error err = STRID_ERROR_INIT;
    struct store *kept = NULL;
    struct store_case at = {.ops = &store_memory};
    struct store_config config = {.create = true, .kept = &kept};
    struct store_op op = store_case_op("k", "v");
    STRID_CHECK_OK(at.ops->open(&config, &at.store, &err), err);
    cr_assert_null(kept, "it is open");
    store_case_put(&at, "k", "v");
    struct store_case_list backwards = {(struct store_op[]){store_case_op("s2", "v"), op}, 2, 0};
    cr_assert_eq(at.ops->bulk_load(at.store, store_case_next, &backwards, &err), STRID_ESTORE);
    for (int i = 0; i < 2; i++) {
        at.ops->close(at.store);
        cr_assert_eq(kept, at.store);
        STRID_CHECK_OK(at.ops->open(&config, &at.store, &err), err);
        cr_assert_null(kept);
        cr_assert(store_case_has_text(&at, "k", "v"));
        store_case_put(&at, "k", "v"); /* and it takes writes again */
    }
    at.ops->close(at.store);
    at.ops->close(kept);
}
