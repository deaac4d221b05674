/* Suspects on one thread: the crash slots lie in memory that outlives the runs, a test writes into
 * them what a crash would have left. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "runtime/reader.h"
#include "runtime/storage.h"
#include "runtime/worker.h"
#include "suspect_case.h"
#include "unordered_source.h"

Test(suspect, runs_alone_once_and_is_cleared)
{
    struct suspect_case suspects;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    suspect_case_start(&suspects, 40, 2);
    cr_assert_not_null(strstr(suspects.at.store.last_log,
                              "position 0-40 was in hand when the process ended: alone it ended "
                              "the process 2 of 3 times"),
                       "%s", suspects.at.store.last_log);
    cr_assert(runtime_case_finish(&suspects.at), "%s", suspects.at.run->error.message);
    cr_assert_eq(suspects.alone_at, 40);
    suspect_case_check_once(&suspects, -1);
    cr_assert_eq(suspects.at.run->suspects.gate % (1 << 16), 0, "the gate is open again");
    runtime_case_fini(&suspects.at);
    cr_assert_null(suspect_case_entry(&suspects, 40));
}

Test(suspect, waits_until_the_other_workers_stand_still)
{
    struct suspect_case suspects;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    suspect_case_start(&suspects, 40, 0);
    struct run *run = suspects.at.run;
    struct worker *owner = NULL;
    for (uint32_t w = 0; w < SUSPECT_CASE_WORKERS; w++)
        (void)agent_pump(&run->workers[w].agent); /* looks for what waits */
    (void)agent_pump(&run->readers[0].agent);
    for (uint32_t w = 0; w < SUSPECT_CASE_WORKERS; w++) {
        (void)agent_pump(&run->workers[w].agent);
        if (run->workers[w].has_gate)
            owner = &run->workers[w];
    }
    cr_assert_not_null(owner);
    struct worker *late = &run->workers[(owner->index + 1) % SUSPECT_CASE_WORKERS];
    late->gate_seen = 0; /* as if it were in a chunk all the time */
    for (int i = 0; i < 50; i++)
        for (uint32_t w = 0; w < SUSPECT_CASE_WORKERS; w++)
            if (&run->workers[w] != late)
                (void)agent_pump(&run->workers[w].agent);
    cr_assert_eq(suspects.calls[40], 0);
    cr_assert_eq(agent_pump(&late->agent), 0, "it takes no chunk before the gate");
    cr_assert(runtime_case_finish(&suspects.at), "%s", run->error.message);
    cr_assert_eq(suspects.alone_at, 40);
    suspect_case_check_once(&suspects, -1);
    runtime_case_fini(&suspects.at);
}

Test(suspect, three_crashes_alone_are_a_dead_letter_without_a_call)
{
    struct suspect_case suspects;
    strid_output out;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    suspect_case_start(&suspects, 40, 3);
    cr_assert(runtime_case_finish(&suspects.at), "%s", suspects.at.run->error.message);
    suspect_case_check_once(&suspects, 40);
    cr_assert_eq(runtime_case_take(&suspects.at, 1, &out), STRID_OK);
    const strid_dead_letter *letter = out.dead_letter;
    cr_assert(
        strid_bytes_equal(letter->reason, strid_bytes_of_text("crashed the process 3 times")));
    cr_assert_eq(letter->attempts, 3);
    cr_assert_eq(letter->position.low, 40);
    cr_assert(strid_bytes_equal(out.value, strid_bytes_of_text("value")));
    cr_assert(strid_bytes_equal(out.key, strid_bytes_of_text("k40")));
    cr_assert_eq(runtime_case_take(&suspects.at, 1, &out), STRID_AGAIN);
    runtime_case_fini(&suspects.at);
    cr_assert_null(suspect_case_entry(&suspects, 40));
}

/* What was done is lost with the block: the verdict stands, and a success stays one. */
Test(suspect, stays_until_what_it_did_is_durable)
{
    for (uint32_t crashes = 2; crashes <= 3; crashes++) {
        struct suspect_case suspects;
        suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
        suspect_case_start(&suspects, 40, crashes);
        for (int i = 0; i < 6 && suspects.at.run->suspects.list[0].settled == false; i++)
            for (uint32_t w = 0; w <= SUSPECT_CASE_WORKERS; w++)
                (void)agent_pump(w == 0 ? &suspects.at.run->readers[0].agent
                                        : &suspects.at.run->workers[w - 1].agent);
        cr_assert(suspects.at.run->suspects.list[0].settled);
        runtime_case_fini(&suspects.at); /* nothing was written */
        cr_assert_not_null(suspect_case_entry(&suspects, 40));
        cr_assert_eq(crash_suspect_crashes(suspect_case_entry(&suspects, 40)),
                     crashes == 3 ? 3 : 0);
    }
}

Test(suspect, a_failed_attempt_is_no_crash)
{
    struct suspect_case suspects;
    strid_output out;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    suspects.outcome = STRID_REJECT;
    suspect_case_start(&suspects, 40, 1);
    cr_assert(runtime_case_finish(&suspects.at), "%s", suspects.at.run->error.message);
    suspect_case_check_once(&suspects, -1);
    cr_assert_eq(runtime_case_take(&suspects.at, 1, &out), STRID_OK);
    cr_assert(strid_bytes_equal(out.dead_letter->reason, strid_bytes_of_text("rejected")));
    runtime_case_fini(&suspects.at);
    cr_assert_null(suspect_case_entry(&suspects, 40));
}

/* The attempt that came back is durable, in another run than the next attempt: nothing is left to
 * suspect. */
Test(suspect, who_came_back_and_waits_for_another_attempt_is_none_in_the_next_run)
{
    struct suspect_case suspects;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    suspects.outcome = STRID_RETRY;
    suspects.at.definition->retry.min_ms = suspects.at.definition->retry.max_ms =
        SUSPECT_CASE_PAUSE_MS;
    suspect_case_start(&suspects, 40, 2);
    for (int i = 0; i < 500 && suspects.at.run->suspects.count > 0; i++)
        (void)runtime_case_turn(&suspects.at);
    cr_assert_eq(suspects.alone_at, 40);
    cr_assert_eq(suspects.at.run->suspects.count, 0);
    suspect_case_check_once(&suspects, -1);
    suspects.alone_at = -1;
    suspects.outcome = STRID_DONE;
    suspects.at.now_ns +=
        SUSPECT_CASE_PAUSE_MS * INT64_C(2000000); /* with what varies of a pause */
    runtime_case_start(&suspects.at);
    cr_assert_eq(suspects.at.run->suspects.count, 0);
    cr_assert(runtime_case_finish(&suspects.at), "%s", suspects.at.run->error.message);
    for (uint32_t i = 0; i < SUSPECT_CASE_RECORDS; i++)
        cr_assert_eq(suspects.calls[i], 2, "record %u", i);
    cr_assert_eq(suspects.alone_at, -1);
    runtime_case_fini(&suspects.at);
}

Test(suspect, without_a_dead_letter_queue_the_run_says_so_and_the_verdict_stands)
{
    struct suspect_case suspects;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    suspects.at.sinks[1].definition = NULL;
    suspect_case_start(&suspects, 40, 3);
    cr_assert_not(runtime_case_finish(&suspects.at));
    cr_assert_eq(suspects.at.run->error.status, STRID_ECONFIG);
    cr_assert_not_null(strstr(suspects.at.run->error.message, "crashed the process 3 times"));
    cr_assert_eq(suspects.calls[40], 0);
    runtime_case_fini(&suspects.at);
    cr_assert_eq(crash_suspect_crashes(suspect_case_entry(&suspects, 40)), 3);
}

Test(suspect, what_is_behind_the_low_position_is_over)
{
    struct suspect_case suspects;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    runtime_case_start(&suspects.at);
    cr_assert(runtime_case_finish(&suspects.at));
    struct crash_suspect *entries = suspects.file.suspects;
    for (int i = 0; i < 2; i++) {
        entries[i].low = 40;
        entries[i].partition = suspects.at.run->partitions[0].stored->number + (i == 0 ? 0 : 1000);
        entries[i].state = CRASH_SUSPECT_KNOWN;
    }
    runtime_case_start(&suspects.at);
    cr_assert_eq(suspects.at.run->suspects.count, 0);
    cr_assert_eq(entries[0].state, 0);
    cr_assert_eq(entries[1].state, CRASH_SUSPECT_KNOWN, "another source's is not touched");
    runtime_case_fini(&suspects.at);
}

/* Blocks are written, but nobody moves the low position. */
Test(suspect, what_was_applied_is_dropped_when_it_is_read_again)
{
    struct suspect_case suspects;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    runtime_case_start(&suspects.at);
    struct run *run = suspects.at.run;
    for (int i = 0; i < 500; i++) {
        (void)agent_pump(&run->readers[0].agent);
        for (uint32_t w = 0; w < SUSPECT_CASE_WORKERS; w++)
            (void)agent_pump(&run->workers[w].agent);
        (void)agent_pump(storage_agent(run->storage));
        suspects.at.now_ns += 1000000;
    }
    suspect_case_start(&suspects, 40, 3);
    cr_assert(runtime_case_finish(&suspects.at), "%s", suspects.at.run->error.message);
    suspect_case_check_once(&suspects, -1);
    cr_assert_eq(suspects.at.run->suspects.count, 0);
    runtime_case_fini(&suspects.at);
    cr_assert_null(suspect_case_entry(&suspects, 40));
}

/* A source without order gives the record again before what it did is durable: it may yet have to
 * be handled once more. */
Test(suspect, who_is_given_again_before_it_is_durable_stays_one)
{
    static struct unordered_source source;
    struct suspect_case suspects;
    suspect_case_init(&suspects, 0);
    const strid_source_ops **ops = &suspects.at.definition->source.ops, *usual = *ops;
    *ops = &unordered_source_ops;
    suspects.at.options.source = (strid_source *)(void *)&source;
    for (int i = 0; i < 2; i++)
        unordered_source_lay(&source, 0, (strid_position){0, 40}, "key", "value");
    suspect_case_start(&suspects, 40, 0);
    struct run *run = suspects.at.run;
    uint64_t replayed = 0;
    for (int i = 0; i < 100 && replayed == 0; i++) {
        (void)agent_pump(&run->readers[0].agent);
        for (uint32_t w = 0; w < SUSPECT_CASE_WORKERS; w++) {
            (void)agent_pump(&run->workers[w].agent);
            replayed += atomic_load(&run->workers[w].counters.replayed);
        }
    }
    cr_assert_eq(replayed, 1);
    cr_assert_eq(suspects.calls[40], 1);
    cr_assert_not_null(suspect_case_entry(&suspects, 40), "its block was not written");
    for (int i = 0; i < 500 && run->suspects.count > 0; i++)
        (void)runtime_case_turn(&suspects.at);
    cr_assert_null(suspect_case_entry(&suspects, 40));
    cr_assert_eq(suspects.calls[40], 1);
    *ops = usual;
    runtime_case_fini(&suspects.at);
}

Test(suspect, several_in_one_chunk_run_one_by_one)
{
    struct suspect_case suspects;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    runtime_case_start(&suspects.at);
    uint32_t partition = suspects.at.run->partitions[0].stored->number;
    for (uint64_t i = 0; i < SUSPECT_CASE_RECORDS; i++)
        suspects.file.suspects[i] =
            (struct crash_suspect){.low = i, .partition = partition, .state = CRASH_SUSPECT_KNOWN};
    runtime_case_start(&suspects.at);
    cr_assert_eq(suspects.at.run->suspects.count, SUSPECT_CASE_RECORDS);
    cr_assert(runtime_case_finish(&suspects.at), "%s", suspects.at.run->error.message);
    suspect_case_check_once(&suspects, -1);
    runtime_case_fini(&suspects.at);
    for (uint64_t i = 0; i < SUSPECT_CASE_RECORDS; i++)
        cr_assert_null(suspect_case_entry(&suspects, i));
}

/* The suspect was handled once, alone, and waits for its next attempt; that is due, and its worker,
 * which is returned, has the gate while the others do not stand still. One more suspect, which does
 * not come, keeps the gate in use. */
static struct worker *start_waiting(struct suspect_case *suspects, uint64_t position)
{
    struct retry_definition *retry = &suspects->at.definition->retry;
    retry->step_count = 1;
    retry->steps_ms[0] = 50;
    suspects->fails_at = (int64_t)position;
    runtime_case_start(&suspects->at);
    suspect_case_accuse(suspects, 200, position, 0);
    suspect_case_accuse(suspects, 201, 4000, 0);
    runtime_case_start(&suspects->at);
    struct run *run = suspects->at.run;
    for (int i = 0; i < 50; i++)
        for (uint32_t w = 0; w <= SUSPECT_CASE_WORKERS; w++)
            (void)agent_pump(w == 0 ? &run->readers[0].agent : &run->workers[w - 1].agent);
    cr_assert_eq(suspects->calls[position], 1);
    cr_assert_eq(suspects->alone_at, position);
    cr_assert_eq(run->suspects.gate % (1 << 16), 0, "nobody waits for it yet");
    suspects->at.now_ns += INT64_C(100000000);
    struct worker *owner = &run->workers[suspects->owners[position]];
    (void)agent_pump(&owner->agent);
    cr_assert(owner->has_gate);
    return owner;
}

Test(suspect, that_waits_opens_the_gate_when_it_became_durable_meanwhile)
{
    struct suspect_case suspects;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    struct worker *owner = start_waiting(&suspects, 40);
    struct run *run = suspects.at.run;
    for (int i = 0; i < 20; i++) { /* of its first attempt: it is no suspect any more */
        (void)agent_pump(storage_agent(run->storage));
        (void)agent_pump(&owner->agent);
        suspects.at.now_ns += 1000000;
    }
    cr_assert_eq(suspects.calls[40], 2);
    cr_assert_not(owner->has_gate);
    cr_assert_eq(run->suspects.gate % (1 << 16), 0);
    cr_assert(runtime_case_finish(&suspects.at), "%s", run->error.message);
    runtime_case_fini(&suspects.at);
}

/* What waits is left to the next run, so nothing comes for which its worker needs the gate. */
Test(suspect, that_waits_opens_the_gate_in_a_drain)
{
    struct suspect_case suspects;
    suspect_case_init_open(&suspects, SUSPECT_CASE_RECORDS - 1);
    struct worker *owner = start_waiting(&suspects, 40);
    struct run *run = suspects.at.run;
    uint32_t other = 0; /* a record of another worker, which has to handle one more of its key */
    while (suspects.owners[other] == owner->index)
        other++;
    char key[16];
    (void)snprintf(key, sizeof key, "k%u", other);
    runtime_case_push(&suspects.at, key, "value");
    (void)agent_pump(&run->readers[0].agent);
    run->stop = RUN_DRAIN;
    cr_assert(runtime_case_finish(&suspects.at), "%s", run->error.message);
    cr_assert_eq(suspects.calls[40], 1);
    cr_assert_eq(suspects.calls[SUSPECT_CASE_RECORDS - 1], 1);
    cr_assert_eq(run->suspects.gate % (1 << 16), 0);
    runtime_case_fini(&suspects.at);
}

/* It is left to the partition's next owner. */
Test(suspect, that_waits_opens_the_gate_when_its_partition_is_taken)
{
    struct suspect_case suspects;
    suspect_case_init(&suspects, SUSPECT_CASE_RECORDS);
    struct worker *owner = start_waiting(&suspects, 40);
    struct run *run = suspects.at.run;
    (void)atomic_fetch_add(&run->partitions[0].epoch, 1);
    (void)agent_pump(&owner->agent);
    cr_assert_not(owner->has_gate);
    cr_assert_eq(run->suspects.gate % (1 << 16), 0);
    runtime_case_fini(&suspects.at);
}

/* Chunks that come all the time do not take the gate away from it. */
Test(suspect, that_waits_keeps_the_gate_over_a_chunk)
{
    struct suspect_case suspects;
    suspect_case_init_open(&suspects, SUSPECT_CASE_RECORDS - 1);
    struct worker *owner = start_waiting(&suspects, 40);
    struct run *run = suspects.at.run;
    uint64_t gate = run->suspects.gate;
    uint32_t own = 0; /* another record of its worker */
    while (suspects.owners[own] != owner->index || own == 40)
        own++;
    char key[16];
    (void)snprintf(key, sizeof key, "k%u", own);
    runtime_case_push(&suspects.at, key, "value");
    (void)agent_pump(&run->readers[0].agent);
    (void)agent_pump(&owner->agent);
    cr_assert_eq(suspects.calls[SUSPECT_CASE_RECORDS - 1], 1);
    cr_assert_eq(run->suspects.gate, gate);
    runtime_case_push_end(&suspects.at);
    cr_assert(runtime_case_finish(&suspects.at), "%s", run->error.message);
    cr_assert_eq(suspects.calls[40], 2);
    cr_assert_eq(suspects.alone_at, 40);
    runtime_case_fini(&suspects.at);
}
