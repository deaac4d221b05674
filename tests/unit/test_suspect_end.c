/* What the end of a run says of the suspects that are left. */
#include <criterion/criterion.h>

#include "base/error.h"
#include "runtime/delivery.h"
#include "runtime/reader.h"
#include "runtime/worker.h"
#include "suspect_case.h"
#include "unordered_source.h"

enum { MISSED_MAX = 32 }; /* ends of runs without it: docs/internals/crash.md */

/* The run that is on reads nothing more, comes to its end, and another one begins. */
static void drain(struct suspect_case *suspects)
{
    suspects->at.run->stop = RUN_DRAIN;
    cr_assert(runtime_case_finish(&suspects->at), "%s", suspects->at.run->error.message);
    runtime_case_start(&suspects->at);
}

Test(suspect_end, who_does_not_come_again_is_forgotten_unless_it_crashed)
{
    for (uint32_t crashes = 0; crashes <= 1; crashes++) {
        struct suspect_case suspects;
        suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
        suspect_case_start(&suspects, 4000, crashes);
        cr_assert(runtime_case_finish(&suspects.at));
        suspect_case_check_once(&suspects, -1);
        cr_assert_eq(suspects.alone_at, -1);
        runtime_case_fini(&suspects.at);
        cr_assert_eq(suspect_case_entry(&suspects, 4000) == NULL, crashes == 0);
    }
}

/* Its dead letter was durable when the process ended, and its entry was not freed yet. */
Test(suspect_end, that_waited_is_over_once_nothing_waits)
{
    struct suspect_case suspects;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    runtime_case_start(&suspects.at);
    cr_assert(runtime_case_finish(&suspects.at));
    suspect_case_accuse(&suspects, 200, 40, 3);
    suspects.file.suspects[200].state |= CRASH_SUSPECT_WAITED;
    runtime_case_start(&suspects.at);
    cr_assert_eq(suspects.at.run->suspects.count, 1);
    cr_assert(runtime_case_finish(&suspects.at));
    runtime_case_start(&suspects.at);
    cr_assert_eq(suspects.at.run->suspects.count, 0);
    cr_assert_null(suspect_case_entry(&suspects, 40));
    runtime_case_fini(&suspects.at);
}

/* Else a process that is stopped each time before it comes to the record crashes on it for ever. */
Test(suspect_end, a_drain_before_it_is_read_again_keeps_it)
{
    for (uint32_t crashes = 0; crashes <= CRASH_SLOTS_CRASHES_MAX; crashes++) {
        struct suspect_case suspects;
        suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
        suspect_case_start(&suspects, 40, crashes);
        for (uint32_t i = 0; i < 2 * MISSED_MAX; i++) {
            drain(&suspects);
            cr_assert_eq(suspects.at.run->suspects.count, 1);
            cr_assert_eq(suspects.calls[40], 0);
        }
        cr_assert_eq(crash_suspect_crashes(suspect_case_entry(&suspects, 40)), crashes);
        cr_assert(runtime_case_finish(&suspects.at), "%s", suspects.at.run->error.message);
        bool condemned = crashes == CRASH_SLOTS_CRASHES_MAX;
        suspect_case_check_once(&suspects, condemned ? 40 : -1);
        cr_assert_eq(suspects.alone_at, condemned ? -1 : 40);
        runtime_case_fini(&suspects.at);
        cr_assert_null(suspect_case_entry(&suspects, 40));
    }
}

/* It was parked, or failed, and came in hand again, all within one block: no block holds that it
 * waited, and it is read again. */
Test(suspect_end, a_drain_keeps_who_waited_and_is_still_to_be_read)
{
    for (uint32_t crashes = 0; crashes <= CRASH_SLOTS_CRASHES_MAX; crashes++) {
        struct suspect_case suspects;
        suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
        suspect_case_start(&suspects, 40, crashes);
        suspects.file.suspects[200].state |= CRASH_SUSPECT_WAITED;
        drain(&suspects);
        const struct crash_suspect *entry = suspect_case_entry(&suspects, 40);
        cr_assert_not_null(entry);
        cr_assert_eq(crash_suspect_crashes(entry), crashes);
        cr_assert_eq(crash_suspect_state(entry) & CRASH_SUSPECT_WAITED, 0, "nothing waits");
        cr_assert(runtime_case_finish(&suspects.at), "%s", suspects.at.run->error.message);
        cr_assert_eq(suspects.calls[40], crashes == CRASH_SLOTS_CRASHES_MAX ? 0 : 1);
        runtime_case_fini(&suspects.at);
        cr_assert_null(suspect_case_entry(&suspects, 40));
    }
}

/* A run in which the record at 40 waited, or was passed, and then a crash while it was tried. */
static void start_behind_a_suspect_that_waited(struct suspect_case *suspects)
{
    runtime_case_start(&suspects->at);
    for (int i = 0; i < 100; i++)
        (void)runtime_case_turn(&suspects->at);
    drain(suspects);
    suspect_case_check_once(suspects, -1);
    suspect_case_accuse(suspects, 200, 40, 2);
    suspects->file.suspects[200].state |= CRASH_SUSPECT_WAITED;
    runtime_case_start(&suspects->at);
}

Test(suspect_end, who_waited_and_was_passed_is_gone_behind_a_drain)
{
    struct suspect_case suspects;
    suspect_case_init_open(&suspects, SUSPECT_CASE_RECORDS);
    start_behind_a_suspect_that_waited(&suspects);
    cr_assert_eq(suspects.at.run->suspects.count, 1, "it may wait");
    drain(&suspects);
    cr_assert_eq(suspects.at.run->suspects.count, 0);
    cr_assert_null(suspect_case_entry(&suspects, 40));
    runtime_case_fini(&suspects.at);
}

Test(suspect_end, a_drain_keeps_who_waits)
{
    struct suspect_case suspects;
    suspect_case_init_open(&suspects, SUSPECT_CASE_RECORDS);
    struct retry_definition *retry = &suspects.at.definition->retry;
    retry->min_ms = retry->max_ms = SUSPECT_CASE_PAUSE_MS;
    suspects.fails_at = 40;
    start_behind_a_suspect_that_waited(&suspects);
    drain(&suspects);
    cr_assert_eq(crash_suspect_state(suspect_case_entry(&suspects, 40)),
                 CRASH_SUSPECT_KNOWN + CRASH_SUSPECT_WAITED + 2 * CRASH_SUSPECT_CRASH);
    suspects.at.now_ns += SUSPECT_CASE_PAUSE_MS * INT64_C(2000000);
    runtime_case_push_end(&suspects.at);
    cr_assert(runtime_case_finish(&suspects.at), "%s", suspects.at.run->error.message);
    cr_assert_eq(suspects.calls[40], 2);
    cr_assert_eq(suspects.alone_at, 40);
    runtime_case_fini(&suspects.at);
    cr_assert_null(suspect_case_entry(&suspects, 40));
}

/* What lies behind the gap has not been read. */
Test(suspect_end, a_run_with_a_gap_keeps_it)
{
    struct suspect_case suspects;
    strid_error gap = STRID_ERROR_INIT;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    suspect_case_start(&suspects, 4000, 0);
    (void)error_set(&gap, STRID_EGAP, "case", "records are missing");
    run_stop_partition(suspects.at.run, &suspects.at.run->partitions[0], &gap);
    cr_assert(runtime_case_finish(&suspects.at), "%s", suspects.at.run->error.message);
    runtime_case_fini(&suspects.at);
    cr_assert_not_null(suspect_case_entry(&suspects, 4000));
}

/* No position says that it is over, and another node may have it by now. */
Test(suspect_end, of_a_source_without_order_it_is_forgotten_after_so_many)
{
    static struct unordered_source source;
    for (uint32_t crashes = 0; crashes <= 1; crashes++) {
        struct suspect_case suspects;
        suspect_case_init(&suspects, 0);
        const strid_source_ops **ops = &suspects.at.definition->source.ops, *usual = *ops;
        *ops = &unordered_source_ops;
        suspects.at.options.source = (strid_source *)(void *)&source;
        suspect_case_start(&suspects, 40, crashes);
        for (uint32_t i = 0; i <= MISSED_MAX; i++) {
            cr_assert_eq(suspects.at.run->suspects.count, 1);
            drain(&suspects);
        }
        cr_assert_eq(suspects.at.run->suspects.count, 0);
        cr_assert_null(suspect_case_entry(&suspects, 40));
        *ops = usual;
        runtime_case_fini(&suspects.at);
    }
}

Test(suspect_end, runs_without_it_count_anew_when_it_came)
{
    static struct unordered_source source;
    struct suspect_case suspects;
    suspect_case_init(&suspects, 0);
    const strid_source_ops **ops = &suspects.at.definition->source.ops, *usual = *ops;
    *ops = &unordered_source_ops;
    suspects.at.options.source = (strid_source *)(void *)&source;
    unordered_source_lay(&source, 0, (strid_position){0, 40}, "key", "value");
    suspect_case_start(&suspects, 40, 1);
    suspects.file.suspects[200].missed = MISSED_MAX;
    struct run *run = suspects.at.run;
    for (int i = 0; i < 100 && !run->suspects.list[0].settled; i++) { /* no block is written */
        (void)agent_pump(&run->readers[0].agent);
        for (uint32_t w = 0; w < SUSPECT_CASE_WORKERS; w++)
            (void)agent_pump(&run->workers[w].agent);
    }
    cr_assert_eq(suspects.calls[40], 1);
    runtime_case_start(&suspects.at);
    cr_assert_eq(suspect_case_entry(&suspects, 40)->missed, 0);
    *ops = usual;
    runtime_case_fini(&suspects.at);
}

struct letter {
    struct key_state key;
    uint32_t count;
};

static bool see_letter(void *user, strid_bytes encoded_key, strid_bytes value)
{
    struct letter *letter = user;
    struct key_state key;
    (void)value;
    if (key_get_state(encoded_key, &key) && key.sub_len > 0) { /* else it is a count */
        letter->key = key;
        letter->count++;
    }
    return true;
}

/* As any other: a run with more workers looks for a copy of its record where its key belongs. */
Test(suspect_end, letter_of_one_that_was_parked_with_its_partition_lies_under_its_own_key)
{
    struct suspect_case suspects;
    struct letter letter = {.count = 0};
    struct agent *agents[32];
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    suspects.at.definition->retry.ordering = STRID_ORDERING_PARTITION;
    suspects.at.definition->retry.min_ms = suspects.at.definition->retry.max_ms = 10;
    suspects.at.definition->workers = 1;
    suspects.fails_at = 10;
    suspect_case_start(&suspects, 40, 3);
    const uint32_t agent_count = run_agents(suspects.at.run, agents, 32);
    for (int i = 0; i < 1000; i++) {
        for (uint32_t a = 0; a < agent_count; a++)
            if (agents[a] != &suspects.at.run->deliveries[1].agent) /* the queue takes nothing */
                (void)agent_pump(agents[a]);
        suspects.at.now_ns += 1000000;
    }
    cr_assert_eq(suspects.calls[10], 2u); /* all behind it were parked */
    cr_assert_eq(suspects.calls[40], 0u);
    cr_assert_eq(suspects.calls[89], 1u);
    runtime_case_start(&suspects.at);
    const struct directory *directory = suspects.at.run->directory;
    const uint64_t hash = run_hash_key(suspects.at.run, strid_bytes_of_text("k40"));
    for (uint32_t v = 0; v < KEY_VSHARDS; v++) {
        const uint8_t from[] = {'s', (uint8_t)v, OUTBOX_STORE};
        const uint8_t to[] = {'s', (uint8_t)v, OUTBOX_STORE + 1};
        cr_assert_eq(directory->ops->scan(directory->store, strid_bytes_of(from, sizeof from),
                                          strid_bytes_of(to, sizeof to), see_letter, &letter, NULL),
                     STRID_OK);
    }
    cr_assert_eq(letter.count, 1u);
    cr_assert_eq(letter.key.hash, (uint32_t)(hash >> 32));
    runtime_case_fini(&suspects.at);
}
