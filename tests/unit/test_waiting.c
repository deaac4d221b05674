#include <criterion/criterion.h>

#include "runtime/backoff.h"
#include "runtime/waiting.h"

enum { KEYS = 300, STEPS = 200000, MANY = 200000 };

/* What the table must say, kept the plain way. */
struct model {
    bool there;
    struct waiting_key *key;
    uint64_t first_seq, last_seq, bytes, order;
    int64_t due_ms;
};

static struct model model[KEYS];
static uint64_t scheduled;

static strid_bytes key_of(const uint32_t *number) { return strid_bytes_of(number, sizeof *number); }
/* Few hashes, so that keys collide, and runs of slots wrap around the end of the table. */
static uint64_t hash_of(uint32_t number) { return (uint64_t)(number % 40) * 61 + 40; }

static void add(struct waiting *waiting, uint32_t number, int64_t due_ms)
{
    struct retry_head head = {.first_seq = number,
                              .last_seq = number,
                              .bytes = 10,
                              .due_ms = due_ms,
                              .flags = number % 3 == 0 ? RETRY_HEAD_KEYLESS : 0};
    model[number] = (struct model){.there = true,
                                   .first_seq = number,
                                   .last_seq = number,
                                   .bytes = 10,
                                   .order = scheduled++,
                                   .due_ms = due_ms};
    model[number].key = waiting_add(waiting, hash_of(number), key_of(&number), &head);
}

static void step(struct waiting *waiting, struct backoff_random *random)
{
    uint32_t number = (uint32_t)(backoff_random_next(random) % KEYS);
    int64_t due_ms = (int64_t)(backoff_random_next(random) % 1000);
    struct model *expected = &model[number];
    struct waiting_key *found =
        waiting_find(waiting, hash_of(number), number % 3 == 0, key_of(&number));
    cr_assert_eq(found, expected->there ? expected->key : NULL);
    cr_assert_null(waiting_find(waiting, hash_of(number), number % 3 != 0, key_of(&number)));
    if (found == NULL) {
        add(waiting, number, due_ms);
        return;
    }
    uint64_t action = backoff_random_next(random) % 4;
    if (action == 0) {
        cr_assert_eq(waiting_park(waiting, found, 10), ++expected->last_seq);
        expected->bytes += 10;
    } else if (action == 1) {
        waiting_schedule(waiting, found, due_ms);
        expected->due_ms = due_ms;
        expected->order = scheduled++;
    } else {
        expected->bytes -= 10;
        expected->there = expected->first_seq != expected->last_seq;
        cr_assert_eq(waiting_advance(waiting, found, 10), expected->there);
        if (expected->there)
            cr_assert_eq(found->head.first_seq, ++expected->first_seq);
    }
}

static void check(const struct waiting *waiting)
{
    const struct model *earliest = NULL;
    uint64_t records = 0, bytes = 0;
    size_t count = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct model *m = &model[i];
        if (!m->there)
            continue;
        count++;
        records += m->last_seq - m->first_seq + 1;
        bytes += m->bytes;
        if (earliest == NULL || m->due_ms < earliest->due_ms ||
            (m->due_ms == earliest->due_ms && m->order < earliest->order))
            earliest = m;
    }
    cr_assert_eq(waiting->count, count);
    cr_assert_eq(waiting->records, records);
    cr_assert_eq(waiting->bytes, bytes);
    cr_assert_eq(waiting_next_ms(waiting), earliest == NULL ? INT64_MAX : earliest->due_ms);
    if (earliest != NULL) {
        cr_assert_eq(waiting_due(waiting, earliest->due_ms), earliest->key);
        cr_assert_null(waiting_due(waiting, earliest->due_ms - 1));
    }
}

Test(waiting, agrees_with_a_plain_model)
{
    struct waiting waiting = {0};
    struct backoff_random random = {.state = 4};
    check(&waiting);
    for (int i = 0; i < STEPS; i++) {
        step(&waiting, &random);
        check(&waiting);
    }
    waiting_fini(&waiting);
    cr_assert_eq(waiting.count, 0);
}

Test(waiting, an_empty_table_knows_nothing_and_owns_nothing)
{
    struct waiting waiting = {0};
    uint32_t number = 1;
    cr_assert_null(waiting_find(&waiting, 1, false, key_of(&number)));
    cr_assert_null(waiting_due(&waiting, INT64_MAX));
    cr_assert_eq(waiting_next_ms(&waiting), INT64_MAX);
    waiting_fini(&waiting);
}

Test(waiting, the_next_record_of_a_key_begins_anew)
{
    struct waiting waiting = {0};
    struct retry_head head = {
        .first_seq = 1, .last_seq = 1, .bytes = 5, .attempt = 2, .first_ms = 77, .due_ms = 10};
    struct waiting_key *key = waiting_add(&waiting, 1, strid_bytes_of_text("a"), &head);
    cr_assert_eq(waiting_park(&waiting, key, 7), 2);
    cr_assert(waiting_advance(&waiting, key, 5));
    cr_assert(key->head.attempt == 0 && key->head.first_ms == 0 && key->head.first_seq == 2);
    cr_assert_not(waiting_advance(&waiting, key, 7));
    cr_assert(waiting.count == 0 && waiting.bytes == 0 && waiting.records == 0);
    waiting_fini(&waiting);
}

Test(waiting, the_filter_never_denies_a_key_that_waits)
{
    enum { SAME = UINT8_MAX + 40 };
    struct waiting waiting = {0};
    const uint64_t hash = UINT64_C(0x123) << 40, other = UINT64_C(0x124) << 40;
    cr_assert_not(waiting_may_have(&waiting, hash));
    for (uint32_t i = 0; i < SAME; i++)
        (void)waiting_add(&waiting, hash, key_of(&i), &(struct retry_head){.bytes = 1});
    uint32_t number = SAME;
    struct waiting_key *last =
        waiting_add(&waiting, other, key_of(&number), &(struct retry_head){.bytes = 1});
    cr_assert(waiting_may_have(&waiting, other));
    cr_assert_not(waiting_advance(&waiting, last, 1));
    cr_assert_not(waiting_may_have(&waiting, other));
    while (waiting.count > 0) {
        cr_assert(waiting_may_have(&waiting, hash));
        (void)waiting_advance(&waiting, waiting.heap[0], 1);
    }
    cr_assert_not(waiting_may_have(&waiting, hash), "and it begins anew");
    waiting_fini(&waiting);
}

Test(waiting, many_keys_come_in_the_order_of_their_time)
{
    struct waiting waiting = {0};
    struct backoff_random random = {.state = 5};
    for (uint32_t i = 0; i < MANY; i++) {
        struct retry_head head = {.bytes = 1,
                                  .due_ms = (int64_t)(backoff_random_next(&random) % 100000)};
        (void)waiting_add(&waiting, backoff_random_next(&random), key_of(&i), &head);
    }
    int64_t last = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        struct waiting_key *key = waiting_due(&waiting, INT64_MAX);
        cr_assert(key != NULL && key->head.due_ms >= last);
        last = key->head.due_ms;
        cr_assert_not(waiting_advance(&waiting, key, 1));
    }
    cr_assert_eq(waiting.count, 0);
    waiting_fini(&waiting);
}
