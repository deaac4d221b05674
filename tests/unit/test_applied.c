/* Sources without order: each record is applied once however often it comes, acknowledged once it
 * is durable, and forgotten when it cannot come again. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/acknowledger.h"
#include "runtime/committer.h"
#include "runtime/reader.h"
#include "runtime/storage.h"
#include "runtime/worker.h"
#include "runtime/worker_applied.h"
#include "runtime_case.h"
#include "unordered_source.h"

static struct runtime_case at;
static struct unordered_source source;
static uint32_t calls;
static bool halts;
static int64_t counted; /* of the key that was counted last */

static strid_outcome count(strid_context *ctx, const strid_record *record, void *user)
{
    (void)user;
    calls++;
    counted = strid_state_get_i64(ctx, at.counts, 0) + 1;
    strid_state_put_i64(ctx, at.counts, counted);
    if (halts)
        atomic_store(&at.run->stop, RUN_HALT);
    return record->value.data[0] == 'r'   ? STRID_REJECT
           : record->value.data[0] == 's' ? STRID_SKIP
                                          : STRID_DONE;
}

static void begin(void) { unordered_source_init(&source, &at, count); }

static void end(void) { unordered_source_fini(&source, &at); }

TestSuite(applied, .init = begin, .fini = end);

static strid_position id(uint64_t high, uint64_t low) { return (strid_position){high, low}; }

static void turns(uint32_t count_of)
{
    for (uint32_t i = 0; i < count_of; i++)
        (void)runtime_case_turn(&at);
    cr_assert(!run_failed(at.run), "%s", at.run->error.message);
}

static void drain(void)
{
    turns(5);
    atomic_store(&at.run->stop, RUN_DRAIN);
    for (int i = 0; i < 50; i++) {
        turns(100);
        unordered_source_confirm(&source);
    }
    cr_assert(atomic_load(&at.run->finished));
}

/* Entries of what was applied in the store, as of the beginning of the run. */
static size_t kept(void) { return runtime_case_entries(&at, APPLIED_STORE); }

static void pump(struct agent *agent, int times)
{
    for (int i = 0; i < times; i++)
        (void)agent_pump(agent);
}

Test(applied, record_that_comes_again_is_not_handled_again)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(7, 9), "k", "v");
    unordered_source_lay(&source, 0, id(7, 10), "k", "v");
    turns(3);
    unordered_source_lay(&source, 0, id(7, 9), "k", "v");
    turns(300);
    unordered_source_lay(&source, 0, id(7, 10), "k", "v");
    turns(300);
    cr_assert_eq(calls, 2u);
    cr_assert_eq(source.partitions[0].told_count, 4u); /* the copies too */
}

Test(applied, positions_come_in_any_order)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(100, 0), "a", "v");
    unordered_source_lay(&source, 0, id(9, 99), "b", "v");
    unordered_source_lay(&source, 0, id(10, 0), "c", "v");
    unordered_source_lay(&source, 1, id(10, 0), "c", "v"); /* another one */
    unordered_source_lay(&source, 0, id(10, 0), "c", "v");
    drain();
    cr_assert_eq(calls, 4u);
    runtime_case_start(&at);
    cr_assert_eq(source.partitions[0].resumed_at.high, 100u); /* behind the highest */
    cr_assert_eq(source.partitions[0].resumed_at.low, 1u);
}

Test(applied, nothing_is_acknowledged_before_it_is_synced)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(1, 1), "k", "v");
    unordered_source_lay(&source, 0, id(1, 2), "k", "v");
    struct agent *committer = committer_agent(at.run->committer);
    pump(&at.run->workers[0].agent, 1); /* looks for what waits, which the reader waits for */
    pump(&at.run->readers[0].agent, 2);
    pump(&at.run->workers[0].agent, 2);
    at.now_ns += 1000000000;
    pump(&at.run->workers[0].agent, 2);
    cr_assert_eq(at.run->workers[0].open_chunks, 0u); /* sealed; storage has not looked at it */
    pump(committer, 5);
    cr_assert_eq(source.partitions[0].told_count, 0u);
    pump(storage_agent(at.run->storage), 2);
    pump(committer, 5);
    cr_assert_eq(source.partitions[0].told_count, 2u);
}

Test(applied, skipped_rejected_and_unrouted_records_are_acknowledged)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(1, 1), "k", "skip");
    unordered_source_lay(&source, 0, id(1, 2), "k", "reject");
    drain();
    cr_assert(unordered_source_was_told(&source, 0, id(1, 1)));
    cr_assert(unordered_source_was_told(&source, 0, id(1, 2)));
    strid_output letter;
    cr_assert_eq(runtime_case_take(&at, 1, &letter), STRID_OK);
}

Test(applied, crash_before_the_acknowledgement_applies_nothing_twice)
{
    for (uint32_t workers = 1; workers <= 4; workers++) { /* vshards change their owners */
        uint32_t before = calls;
        at.definition->workers = workers;
        runtime_case_start(&at); /* the run before is taken down as it is */
        char key[16];
        for (uint32_t i = 0; i < 20; i++) {
            (void)snprintf(key, sizeof key, "k%u", i);
            unordered_source_lay(&source, i % 2, id(5, i), key, "v");
        }
        turns(600);
        cr_assert_eq(calls - before, workers == 1 ? 20u : 0u, "%u workers", workers);
        cr_assert_eq(source.partitions[0].in_hand, 0);
        cr_assert_eq(source.partitions[1].in_hand, 0);
        cr_assert(unordered_source_was_told(&source, 0, id(5, 0)));
        cr_assert(unordered_source_was_told(&source, 1, id(5, 19)));
    }
}

Test(applied, run_that_was_halted_goes_on_exactly)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(1, 1), "k", "v");
    unordered_source_lay(&source, 0, id(1, 2), "k", "v");
    halts = true;
    turns(300);
    cr_assert_eq(calls, 1u);
    halts = false;
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(1, 1), "k", "v");
    unordered_source_lay(&source, 0, id(1, 2), "k", "v");
    turns(300);
    cr_assert_eq(counted, 2);
}

Test(applied, what_a_crash_left_is_acknowledged_again_and_then_forgotten)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(1, 1), "k", "v");
    turns(300);
    cr_assert_eq(source.partitions[0].told_count, 1u);
    runtime_case_start(&at);
    cr_assert_eq(kept(), 1u);
    turns(300);
    cr_assert_eq(source.partitions[0].told_count, 1u); /* told by this run, though nothing came */
    cr_assert_eq(source.partitions[0].in_hand, 0);
    unordered_source_confirm(&source);
    turns(600);
    runtime_case_start(&at);
    cr_assert_eq(kept(), 0u);
}

/* A copy is on its way to the worker while its acknowledgement is confirmed and its batch comes
 * back. */
static void lay_a_copy(void)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(1, 1), "k", "v");
    turns(300);
    struct agent *reader = &at.run->readers[0].agent;
    struct agent *committer = committer_agent(at.run->committer);
    unordered_source_lay(&source, 0, id(1, 1), "k", "v");
    pump(reader, 2);
    unordered_source_confirm(&source);
    pump(reader, 2);
    pump(committer, 5);
}

/* Known defect: the test behind this one has to notice it. */
Test(applied, what_is_forgotten_early_is_handled_again)
{
    mutant_active = MUTANT_FORGOTTEN_EARLY;
    lay_a_copy();
    struct worker *worker = &at.run->workers[0];
    cr_assert_gt(ring_size(acknowledger_to_worker(at.run->acknowledger, 0)), 0u);
    while (worker->applied.set.count > 0)
        cr_assert(worker_applied_do_work(worker, true) > 0);
    turns(600);
    cr_assert_eq(calls, 2u);
}

Test(applied, nothing_is_forgotten_while_a_chunk_may_hold_a_copy)
{
    lay_a_copy();
    cr_assert_eq(ring_size(acknowledger_to_worker(at.run->acknowledger, 0)), 0u);
    turns(600);
    cr_assert_eq(calls, 1u);
    unordered_source_confirm(&source);
    turns(600);
    cr_assert_eq(at.run->workers[0].applied.set.count, 0u);
}

Test(applied, drain_waits_for_confirmations_but_not_for_ever)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(1, 1), "k", "v");
    turns(300);
    atomic_store(&at.run->stop, RUN_DRAIN);
    turns(1000);
    cr_assert(!atomic_load(&at.run->finished));
    cr_assert_gt(source.partitions[0].last_pumps, 0u);
    turns(2000);
    cr_assert(atomic_load(&at.run->finished));
}

/* All is confirmed, and its worker has not forgotten it yet. */
static void drain_without_workers(void)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, id(1, 1), "k", "v");
    turns(300);
    unordered_source_confirm(&source);
    atomic_store(&at.run->stop, RUN_DRAIN);
    for (uint32_t r = 0; r < at.run->reader_count; r++)
        pump(&at.run->readers[r].agent, 10);
    pump(committer_agent(at.run->committer), 10);
}

/* Known defect: the test behind this one has to notice it. */
Test(applied, what_is_not_forgotten_at_the_end_is_left_to_the_next_run)
{
    mutant_active = MUTANT_APPLIED_LEFT;
    drain_without_workers();
    cr_assert(atomic_load(&at.run->finished));
    runtime_case_start(&at);
    cr_assert_gt(kept(), 0u);
}

Test(applied, drain_waits_until_what_was_acknowledged_is_forgotten)
{
    drain_without_workers();
    cr_assert(!atomic_load(&at.run->finished));
    for (int i = 0; i < 1000 && !atomic_load(&at.run->finished); i++)
        turns(1);
    cr_assert(atomic_load(&at.run->finished));
    runtime_case_start(&at);
    cr_assert_eq(kept(), 0u);
}

Test(applied, set_agrees_with_a_model)
{
    enum { VALUES = 4096, STEPS = 200000 };
    static bool model[VALUES];
    struct applied_set set = {0};
    uint32_t random = 1, in = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        random = random * 1664525 + 1013904223;
        uint32_t value = random >> 20;
        struct applied_item item = {.position = id(value / 64, value % 64), .partition = value % 3};
        cr_assert_eq(applied_set_has(&set, item.partition, item.position), model[value]);
        if ((random >> 8 & 3) != 0) {
            applied_set_add(&set, &item);
            in += !model[value];
            model[value] = true;
        } else {
            applied_set_remove(&set, &item);
            in -= model[value];
            model[value] = false;
        }
        cr_assert_eq(set.count, in);
    }
    applied_set_fini(&set);
}

Test(applied, batch_reads_back_and_damage_is_seen)
{
    runtime_case_start(&at);
    const strid_position positions[] = {{0, 0},          {UINT64_MAX, UINT64_MAX}, {0, 1},
                                        {1 << 20, 1000}, {1 << 20, 999},           {3, UINT64_MAX}};
    struct applied_batch *batch = applied_batch_create(2), *again = applied_batch_create(2);
    for (uint32_t i = 0; i < 6; i++)
        buffer_put(&batch->items,
                   &(struct applied_item){
                       .position = positions[i], .partition = i % 2, .vshard = (uint8_t)(i * 51)},
                   sizeof(struct applied_item));
    struct buffer value = {0};
    applied_encode(at.run, batch, 0, &value);
    cr_assert(applied_decode(at.run, buffer_bytes(&value), again));
    cr_assert_eq(applied_batch_count(again), 6u);
    for (uint32_t i = 0; i < 6; i++) {
        const struct applied_item *item = &applied_batch_items(again)[i];
        cr_assert_eq(strid_position_compare(item->position, positions[i]), 0);
        cr_assert_eq(item->partition, i % 2);
        cr_assert_eq(item->vshard, i * 51);
    }
    value.len--;
    cr_assert(!applied_decode(at.run, buffer_bytes(&value), again));
    buffer_fini(&value);
    applied_batch_destroy(batch);
    applied_batch_destroy(again);
}

/* Of partition 1, from 5-0 on. */
Test(applied, positions_from_a_place_on_are_left_out)
{
    runtime_case_start(&at);
    static const struct {
        uint32_t partition;
        strid_position position;
        bool goes;
    } items[] = {{1, {4, UINT64_MAX}, false}, {1, {5, 0}, true},  {0, {6, 0}, false},
                 {1, {9, 3}, true},           {1, {0, 7}, false}, {0, {5, 1}, false}};
    struct applied_batch *batch = applied_batch_create(2), *again = applied_batch_create(2);
    for (uint32_t i = 0; i < 6; i++)
        buffer_put(&batch->items,
                   &(struct applied_item){.position = items[i].position,
                                          .partition = items[i].partition,
                                          .vshard = (uint8_t)i},
                   sizeof(struct applied_item));
    struct buffer value = {0}, left = {0}, nothing = {0};
    uint32_t gone = 1, number = at.run->partitions[1].stored->number;
    applied_encode(at.run, batch, 0, &value);
    cr_assert(applied_leave_out(buffer_bytes(&value), number, id(5, 0), &left, &gone));
    cr_assert_eq(gone, 3u, "it is added to");
    cr_assert(applied_decode(at.run, buffer_bytes(&left), again));
    cr_assert_eq(applied_batch_count(again), 4u);
    for (uint32_t i = 0, k = 0; i < 6; i++) {
        if (items[i].goes)
            continue;
        const struct applied_item *item = &applied_batch_items(again)[k++];
        cr_assert_eq(strid_position_compare(item->position, items[i].position), 0);
        cr_assert_eq(item->partition, items[i].partition);
        cr_assert_eq(item->vshard, i);
    }
    gone = 0;
    cr_assert(applied_leave_out(buffer_bytes(&value), number + 7, id(0, 0), &nothing, &gone));
    cr_assert_eq(gone, 0u, "there is no such partition");
    cr_assert(strid_bytes_equal(buffer_bytes(&nothing), buffer_bytes(&value)));
    value.len--;
    cr_assert(!applied_leave_out(buffer_bytes(&value), number, id(0, 0), &left, &gone));
    buffer_fini(&value);
    buffer_fini(&left);
    buffer_fini(&nothing);
    applied_batch_destroy(batch);
    applied_batch_destroy(again);
}

/* Without it what was applied would be taken for new. */
Test(applied, what_is_damaged_refuses_the_run)
{
    runtime_case_start(&at); /* the directory is there */
    run_destroy(at.run);
    at.run = NULL;
    const struct key_state name = {.store = APPLIED_STORE, .key = strid_bytes_of_text("no batch")};
    directory_case_put_entry(&name, &(struct key_value){.kind = STRID_STATE_BYTES,
                                                        .bytes = strid_bytes_of_text("\x07")});
    cr_assert_eq(run_create(&at.options, &at.run, &at.store.err), STRID_ECORRUPT);
    cr_assert_not_null(strstr(at.store.err.message, "not yet acknowledged is damaged"), "%s",
                       at.store.err.message);
    cr_assert_null(at.run);
}
