/* Sources without order of which a partition goes away for some runs, as a stream does that is
 * taken out of the URL: what was applied of it, before or meanwhile, is known when it is back. */
#include <criterion/criterion.h>

#include "runtime/worker.h"
#include "runtime/worker_applied_waiting.h"
#include "runtime_case.h"
#include "unordered_source.h"

static struct runtime_case at;
static struct unordered_source source;
static uint32_t dones;
static bool lets_go; /* what waits may be done */

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx;
    (void)user;
    if (record->value.data[0] == 'w' && !lets_go)
        return STRID_RETRY;
    dones++;
    return STRID_DONE;
}

static void begin(void) { unordered_source_init(&source, &at, handle); }

static void end(void) { unordered_source_fini(&source, &at); }

TestSuite(applied_away, .init = begin, .fini = end);

static const strid_position here = {1, 1}, there = {2, 1};

static void turns(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        (void)runtime_case_turn(&at);
    cr_assert(!run_failed(at.run), "%s", at.run->error.message);
}

/* A run in which all is told and taken in. */
static void run_whole(uint32_t partitions_away)
{
    source.away = partitions_away;
    runtime_case_start(&at);
    turns(600);
    unordered_source_confirm(&source);
    turns(300);
}

/* The second partition is back, and the server gives its record again. */
static void expect_known(const char *value)
{
    const struct unordered_partition *partition = &source.partitions[1];
    const uint32_t dones_before = dones;
    source.away = 0;
    runtime_case_start(&at);
    unordered_source_lay(&source, 1, there, "k", value);
    turns(300);
    cr_assert_eq(dones, dones_before);
    cr_assert(unordered_source_was_told(&source, 1, there));
    cr_assert_eq(partition->in_hand, 0);
    unordered_source_confirm(&source);
    turns(300);
    runtime_case_start(&at);
    cr_assert_eq(runtime_case_entries(&at, APPLIED_STORE), 0u);
    cr_assert_eq(runtime_case_entries(&at, WORKER_APPLIED_WAITING_STORE), 0u);
}

/* In one batch with what is not away. */
Test(applied_away, what_was_applied_before_is_known)
{
    at.definition->workers = 1;
    runtime_case_start(&at);
    unordered_source_lay(&source, 0, here, "k", "v");
    unordered_source_lay(&source, 1, there, "k", "v");
    turns(300);
    cr_assert_eq(dones, 2u);
    for (uint32_t workers = 1; workers <= 3; workers++) {
        at.definition->workers = workers;
        run_whole(1);
        cr_assert_eq(source.partitions[0].in_hand, 0);
    }
    cr_assert_eq(source.partitions[0].told_count, 0u); /* not any more */
    expect_known("v");
}

Test(applied_away, what_waited_and_is_done_meanwhile_is_known)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 1, there, "k", "wait");
    turns(300);
    lets_go = true;
    run_whole(1);
    cr_assert_eq(dones, 1u);
    run_whole(1);
    expect_known("wait");
    cr_assert_eq(dones, 1u);
}

Test(applied_away, what_waited_and_waits_on_is_known)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 1, there, "k", "wait");
    turns(300);
    run_whole(1);
    source.away = 0;
    runtime_case_start(&at);
    unordered_source_lay(&source, 1, there, "k", "wait");
    turns(300);
    cr_assert_eq(source.partitions[1].told_count, 0u);
    lets_go = true;
    turns(300);
    cr_assert_eq(dones, 1u);
    cr_assert_eq(source.partitions[1].in_hand, 0);
}

/* The queue takes its letter meanwhile, and does not acknowledge. */
Test(applied_away, what_was_dead_lettered_meanwhile_is_known)
{
    runtime_case_start(&at);
    unordered_source_lay(&source, 1, there, "k", "wait");
    turns(300);
    at.definition->max_attempts = 2;
    run_whole(1);
    strid_output letter;
    cr_assert_eq(runtime_case_take(&at, 1, &letter), STRID_OK);
    cr_assert(strid_bytes_equal(letter.dead_letter->topic, strid_bytes_of_text("b")));
    expect_known("wait");
    cr_assert_eq(runtime_case_take(&at, 1, &letter), STRID_AGAIN);
}
