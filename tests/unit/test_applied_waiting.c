/* Sources without order: what waits, is parked, or has a dead letter on its way is known, and not
 * acknowledged before it is settled. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/mutant.h"
#include "runtime/delivery.h"
#include "runtime/worker.h"
#include "runtime/worker_applied_waiting.h"
#include "runtime/worker_retry.h"
#include "runtime/worker_retry_store.h"
#include "runtime_case.h"
#include "unordered_source.h"

static struct runtime_case at;
static struct unordered_source source;
static uint32_t firsts; /* first attempts */
static uint32_t dones;
static bool lets_go; /* what waits may be done */

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    (void)user;
    firsts += strid_attempt(ctx) == 0;
    if (record->value.data[0] == 'r')
        return STRID_REJECT;
    if (record->value.data[0] == 'w' && !lets_go)
        return STRID_RETRY;
    dones++;
    return STRID_DONE;
}

static void begin(void) { unordered_source_init(&source, &at, handle); }

static void end(void) { unordered_source_fini(&source, &at); }

TestSuite(applied_waiting, .init = begin, .fini = end);

static strid_position id(uint64_t high, uint64_t low) { return (strid_position){high, low}; }

static void turns(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        (void)runtime_case_turn(&at);
    cr_assert(!run_failed(at.run), "%s", at.run->error.message);
}

/* The dead-letter queue takes nothing. */
static void turns_without_queue(uint32_t count)
{
    struct agent *agents[32];
    const uint32_t agent_count = run_agents(at.run, agents, 32);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t a = 0; a < agent_count; a++)
            if (agents[a] != &at.run->deliveries[1].agent)
                (void)agent_pump(agents[a]);
        at.now_ns += 1000000;
    }
    cr_assert(!run_failed(at.run), "%s", at.run->error.message);
}

static bool was_told(uint64_t high, uint64_t low)
{
    return unordered_source_was_told(&source, 0, id(high, low));
}

/* Positions of what waits in the store, as of the beginning of the run. */
static size_t kept(void) { return runtime_case_entries(&at, WORKER_APPLIED_WAITING_STORE); }

/* One that waits, one that is parked behind it, another one. */
static void lay_three(void)
{
    unordered_source_lay(&source, 0, id(1, 1), "k", "wait");
    unordered_source_lay(&source, 0, id(1, 2), "k", "v");
    unordered_source_lay(&source, 0, id(1, 3), "other", "v");
}

Test(applied_waiting, what_waits_or_is_parked_is_acknowledged_when_it_is_settled)
{
    runtime_case_start(&at);
    lay_three();
    turns(600);
    cr_assert_eq(source.partitions[0].told_count, 1u);
    cr_assert(was_told(1, 3));
    lets_go = true;
    turns(600);
    cr_assert(was_told(1, 1));
    cr_assert(was_told(1, 2));
    cr_assert_eq(source.partitions[0].told_count, 3u);
    cr_assert_eq(dones, 3u);
    runtime_case_start(&at);
    cr_assert_eq(kept(), 0u);
}

/* Known defect: the test before this one has to notice it. */
Test(applied_waiting, acknowledged_while_it_waits)
{
    mutant_active = MUTANT_ACK_WAITING;
    runtime_case_start(&at);
    lay_three();
    turns(600);
    cr_assert_eq(source.partitions[0].told_count, 3u);
}

/* Each connection to a server gives them again, for as long as they wait: they do not fill the
 * bound of what may be in hand. */
Test(applied_waiting, copies_are_not_handled_and_count_as_one)
{
    enum { TIMES = 20 };
    const struct unordered_partition *partition = &source.partitions[0];
    runtime_case_start(&at);
    lay_three();
    turns(300);
    for (uint32_t i = 1; i <= TIMES; i++) {
        lay_three();
        turns(100);
        cr_assert_eq(partition->in_hand, 2);
        cr_assert_eq(partition->told_count, 1 + i); /* the other one's copies */
        cr_assert_eq(partition->released, 2 * i);
    }
    cr_assert_eq(firsts, 2u);
    lets_go = true;
    turns(600);
    cr_assert_eq(firsts, 3u); /* the one that was parked */
    cr_assert_eq(dones, 3u);
    cr_assert_eq(partition->told_count, TIMES + 3u);
    cr_assert_eq(partition->in_hand, 0);
}

/* Exactly: the source bounds what it delivers by it. */
Test(applied_waiting, what_an_earlier_run_left_counts_as_in_hand_until_it_is_settled)
{
    const struct unordered_partition *partition = &source.partitions[0];
    runtime_case_start(&at);
    lay_three();
    turns(300);
    cr_assert_eq(partition->in_hand, 2);
    runtime_case_start(&at);
    turns(300);
    cr_assert_eq(partition->in_hand, 2); /* the other one is told again, without a delivery */
    lets_go = true;
    turns(600);
    cr_assert_eq(partition->told_count, 3u);
    cr_assert_eq(partition->in_hand, 0);
}

Test(applied_waiting, its_deliveries_count_in_place_of_it)
{
    const struct unordered_partition *partition = &source.partitions[0];
    runtime_case_start(&at);
    lay_three();
    turns(300);
    for (uint32_t workers = 1; workers <= 3; workers++) {
        at.definition->workers = workers;
        runtime_case_start(&at);
        lay_three();
        turns(300);
        cr_assert_eq(partition->in_hand, 2);
    }
    unordered_source_lay(&source, 0, id(1, 2), "k", "v");
    turns(300);
    cr_assert_eq(partition->in_hand, 2);
    lets_go = true;
    turns(600);
    cr_assert_eq(partition->in_hand, 0);
}

/* Of the stores of what waits, in the cache of the only worker. */
static uint32_t count_deleted(void)
{
    const struct cache *cache = &at.run->workers[0].cache;
    uint32_t count = 0;
    for (size_t i = 0; i < cache->slot_count; i++) {
        if (cache->slots[i] == 0)
            continue;
        const struct cache_entry *entry = slab_at(&cache->slab, (uint32_t)cache->slots[i] - 1);
        const uint8_t store = entry->store & KEY_STORE_MAX;
        count += cache_kind(entry) == STRID_STATE_ABSENT &&
                 (store == WORKER_RETRY_STORE || store == WORKER_RETRY_HEAD_STORE ||
                  store == WORKER_APPLIED_WAITING_STORE);
    }
    return count;
}

/* What a step may add to the cache is made room for before. */
Test(applied_waiting, settling_takes_no_more_entries_of_the_cache_than_is_said)
{
    enum { COUNT = 20 };
    char key[8];
    int64_t most = 0; /* of one record */
    at.definition->workers = 1;
    runtime_case_start(&at);
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        unordered_source_lay(&source, 0, id(1, i), key, "wait");
    }
    turns(300);
    runtime_case_start(&at);
    const int64_t reserved = worker_retry_store_entries(&at.run->workers[0]);
    lets_go = true;
    at.now_ns += 1000000000;
    for (uint32_t i = 0; i < 10 * COUNT && dones < COUNT; i++) {
        const int64_t before = count_deleted(), settled_before = dones;
        (void)agent_pump(&at.run->workers[0].agent);
        const int64_t settled = dones - settled_before, more = count_deleted() - before;
        cr_assert_leq(more, settled * reserved);
        if (settled > 0 && more / settled > most)
            most = more / settled;
    }
    cr_assert_eq(dones, (uint32_t)COUNT);
    cr_assert_eq(most, reserved);
}

/* Whatever number of workers comes next. */
Test(applied_waiting, next_run_knows_what_waits)
{
    runtime_case_start(&at);
    lay_three();
    turns(300);
    for (uint32_t workers = 2; workers <= 4; workers++) {
        at.definition->workers = workers;
        runtime_case_start(&at);
        cr_assert_eq(kept(), 2u);
        lay_three();
        turns(600);
        cr_assert_eq(firsts, 2u);
        cr_assert(!was_told(1, 1));
        cr_assert(!was_told(1, 2));
    }
    lets_go = true;
    turns(600);
    cr_assert_eq(dones, 3u);
    cr_assert(was_told(1, 1));
    cr_assert(was_told(1, 2));
    runtime_case_start(&at);
    cr_assert_eq(kept(), 0u);
}

/* Known defect: the test before this one has to notice it. */
Test(applied_waiting, next_run_that_does_not_know_parks_it_twice)
{
    runtime_case_start(&at);
    lay_three();
    turns(300);
    mutant_active = MUTANT_WAITING_UNKNOWN;
    runtime_case_start(&at);
    lay_three();
    turns(300);
    lets_go = true;
    turns(600);
    cr_assert_gt(dones, 3u);
}

/* What waits then lies under its partition's key, its position too. */
Test(applied_waiting, next_run_knows_what_waits_in_the_order_of_its_partition)
{
    at.definition->retry.ordering = STRID_ORDERING_PARTITION;
    at.definition->workers = 1;
    runtime_case_start(&at);
    lay_three();
    turns(300);
    cr_assert_eq(source.partitions[0].told_count, 0u);
    runtime_case_start(&at);
    cr_assert_eq(kept(), 3u);
    lay_three();
    turns(300);
    cr_assert_eq(firsts, 1u); /* the others are parked */
    cr_assert_eq(source.partitions[0].told_count, 0u);
    lets_go = true;
    turns(600);
    cr_assert_eq(dones, 3u);
    cr_assert_eq(source.partitions[0].told_count, 3u);
    runtime_case_start(&at);
    cr_assert_eq(kept(), 0u);
}

/* A record that the host makes attempts of is settled with that; one that it leaves waits. */
static bool take_over(void *user, const strid_record *record, uint32_t attempt, const char *reason)
{
    (void)user;
    (void)attempt;
    (void)reason;
    return record->key.data[0] == 'h';
}

Test(applied_waiting, what_the_host_took_over_is_acknowledged)
{
    at.definition->retry.hook = take_over;
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(1, 1), "host", "wait");
    unordered_source_lay(&source, 0, id(1, 2), "k", "wait");
    turns(300);
    cr_assert_eq(source.partitions[0].told_count, 1u);
    cr_assert(was_told(1, 1));
    runtime_case_start(&at);
    cr_assert_eq(kept(), 1u);
}

/* By one that acknowledged what waited: what it applied is told again, and is no longer known then,
 * while the record still waits. It is settled all the same. */
Test(applied_waiting, directory_of_an_older_version_is_settled)
{
    mutant_active = MUTANT_ACK_WAITING;
    runtime_case_start(&at);
    for (uint32_t w = 0; w < at.run->worker_count; w++)
        at.run->workers[w].retry.changes.has_positions = false;
    lay_three();
    turns(300);
    mutant_active = 0;
    runtime_case_start(&at);
    cr_assert_eq(kept(), 0u);
    turns(300);
    unordered_source_confirm(&source);
    turns(300);
    lets_go = true;
    turns(600);
    cr_assert_eq(dones, 3u);
    cr_assert(was_told(1, 1));
    cr_assert(was_told(1, 2));
    cr_assert_eq(source.partitions[0].in_hand, 0);
    runtime_case_start(&at);
    cr_assert_eq(kept(), 0u);
}

/* Known to the next run by the outbox. */
static void expect_one_letter(const char *value)
{
    strid_output letter;
    unordered_source_lay(&source, 0, id(7, 9), "k", value);
    turns_without_queue(600);
    cr_assert_eq(source.partitions[0].told_count, 0u);
    runtime_case_start(&at);
    turns_without_queue(300);
    cr_assert_eq(source.partitions[0].in_hand, 1);
    unordered_source_lay(&source, 0, id(7, 9), "k", value);
    turns_without_queue(300);
    cr_assert_eq(firsts, 1u);
    cr_assert_eq(source.partitions[0].told_count, 0u);
    cr_assert_eq(source.partitions[0].in_hand, 1);
    turns(600);
    cr_assert_eq(source.partitions[0].in_hand, 0);
    cr_assert(was_told(7, 9));
    cr_assert_eq(firsts, 1u);
    cr_assert_eq(runtime_case_take(&at, 1, &letter), STRID_OK);
    cr_assert_eq(runtime_case_take(&at, 1, &letter), STRID_AGAIN);
}

Test(applied_waiting, rejected_record_is_acknowledged_when_the_queue_has_its_letter)
{
    runtime_case_start(&at);
    expect_one_letter("reject");
}

Test(applied_waiting, so_is_one_whose_attempts_are_exhausted)
{
    at.definition->max_attempts = 3;
    runtime_case_start(&at);
    expect_one_letter("wait");
    runtime_case_start(&at);
    cr_assert_eq(kept(), 0u);
}

/* The end waits until the source was told of the last letters. */
Test(applied_waiting, drain_tells_of_letters_that_were_delivered_last)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(1, 1), "k", "reject");
    turns(3);
    atomic_store(&at.run->stop, RUN_DRAIN);
    for (int i = 0; i < 20 && !atomic_load(&at.run->finished); i++) {
        turns(50);
        unordered_source_confirm(&source);
    }
    cr_assert(atomic_load(&at.run->finished));
    cr_assert(was_told(1, 1));
}

/* A queue that declines the letters of some records: those whose `position.low` is odd. */
static const strid_sink_ops *queue_ops;
static uint32_t declined[UNORDERED_RECORDS_MAX], declined_count, written;
static bool is_flushed, declines;

static strid_status declining_write(strid_sink *self, const strid_output *outputs, uint32_t count,
                                    strid_error *err)
{
    if (is_flushed)
        declined_count = written = 0;
    is_flushed = false;
    for (uint32_t i = 0; i < count; i++, written++)
        if (declines && outputs[i].dead_letter->position.low % 2 == 1)
            declined[declined_count++] = written;
    return queue_ops->write(self, outputs, count, err);
}

static strid_status declining_flush(strid_sink *self, strid_error *err)
{
    is_flushed = true;
    return queue_ops->flush(self, err);
}

static const uint32_t *declining_declined(strid_sink *self, uint32_t *count)
{
    (void)self;
    *count = declined_count;
    return declined;
}

/* Letters of several workers in one flush. Those that are declined are another node's: nobody is
 * told of them, and what comes again is a new record. */
Test(applied_waiting, what_the_queue_declines_is_not_acknowledged_and_handled_when_it_comes_again)
{
    enum { LETTERS = 40, KEYS = 8 };
    static strid_sink_ops ops;
    char key[8];
    queue_ops = at.dlq.ops;
    ops = *queue_ops;
    ops.write = declining_write;
    ops.flush = declining_flush;
    ops.declined = declining_declined;
    at.dlq.ops = &ops;
    at.definition->workers = 2;
    declines = true;
    runtime_case_start(&at);
    for (uint32_t i = 0; i < LETTERS; i++) {
        (void)snprintf(key, sizeof key, "k%u", i % KEYS);
        unordered_source_lay(&source, 0, id(9, i), key, "reject");
    }
    unordered_source_lay(&source, 0, id(9, 1), "k1", "reject"); /* twice: both are released */
    turns_without_queue(600);
    turns(600);
    for (uint32_t i = 0; i < LETTERS; i++)
        cr_assert_eq(was_told(9, i), i % 2 == 0, "%u", i);
    cr_assert_eq(source.partitions[0].released, LETTERS / 2 + 1u);
    cr_assert_eq(source.partitions[0].told_count, LETTERS / 2u);
    cr_assert_eq(source.partitions[0].in_hand, 0);
    cr_assert_eq(firsts, (uint32_t)LETTERS);
    declines = false;
    unordered_source_lay(&source, 0, id(9, 1), "k1", "reject");
    unordered_source_lay(&source, 0, id(9, 2), "k2", "reject");
    turns(600);
    cr_assert_eq(firsts, LETTERS + 1u);
    cr_assert(was_told(9, 1));
    cr_assert_eq(source.partitions[0].released, LETTERS / 2 + 1u);
    runtime_case_start(&at); /* nothing is left of it */
    turns(300);
    cr_assert_eq(firsts, LETTERS + 1u);
    at.dlq.ops = queue_ops;
}
