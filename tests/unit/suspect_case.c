#include "suspect_case.h"

#include <criterion/criterion.h>

#include <stdio.h>

#include "runtime/worker.h"

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    struct suspect_case *suspects = user;
    uint64_t position = record->position.low;
    suspects->calls[position]++;
    suspects->owners[position] = ctx->worker->index;
    uint32_t marks = 0;
    for (uint32_t w = 0; w < CRASH_SLOTS_WORKERS; w++)
        marks += suspects->file.slots[w].flags != 0;
    cr_assert_eq(marks, 1, "exactly one record is in hand");
    for (uint32_t i = 0; i < CRASH_SLOTS_SUSPECTS; i++) {
        const struct crash_suspect *entry = &suspects->file.suspects[i];
        if ((entry->state & CRASH_SUSPECT_ALONE) == 0)
            continue;
        cr_assert_eq(entry->low, position, "who is marked as alone is who is handled");
        suspects->alone_at = (int64_t)position;
        const struct worker *worker = ctx->worker;
        for (uint32_t w = 0; w < worker->run->worker_count; w++)
            if (w != worker->index)
                cr_assert_eq(worker->run->workers[w].gate_seen, worker->run->suspects.gate);
    }
    if ((int64_t)position == suspects->fails_at && strid_attempt(ctx) == 0)
        return STRID_RETRY;
    return suspects->outcome;
}

void suspect_case_init_open(struct suspect_case *suspects, uint32_t records)
{
    *suspects = (struct suspect_case){.alone_at = -1, .fails_at = -1, .outcome = STRID_DONE};
    runtime_case_init(&suspects->at, handle, suspects);
    suspects->at.definition->workers = SUSPECT_CASE_WORKERS;
    suspects->at.options.crash_memory = &suspects->file;
    for (uint32_t i = 0; i < records; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%u", i);
        runtime_case_push(&suspects->at, key, "value");
    }
}

void suspect_case_init(struct suspect_case *suspects, uint32_t records)
{
    suspect_case_init_open(suspects, records);
    runtime_case_push_end(&suspects->at);
}

void suspect_case_accuse(struct suspect_case *suspects, uint32_t index, uint64_t position,
                         uint32_t crashes)
{
    struct crash_suspect *entry = &suspects->file.suspects[index];
    entry->low = position;
    entry->partition = suspects->at.run->partitions[0].stored->number;
    entry->state = CRASH_SUSPECT_KNOWN + crashes * CRASH_SUSPECT_CRASH;
}

void suspect_case_start(struct suspect_case *suspects, uint64_t position, uint32_t crashes)
{
    runtime_case_start(&suspects->at);
    suspect_case_accuse(suspects, 200, position, crashes);
    runtime_case_start(&suspects->at);
    cr_assert_eq(suspects->at.run->suspects.count, 1);
}

const struct crash_suspect *suspect_case_entry(const struct suspect_case *suspects,
                                               uint64_t position)
{
    for (uint32_t i = 0; i < CRASH_SLOTS_SUSPECTS; i++)
        if (suspects->file.suspects[i].state != 0 && suspects->file.suspects[i].low == position)
            return &suspects->file.suspects[i];
    return NULL;
}

void suspect_case_check_once(const struct suspect_case *suspects, int64_t except)
{
    for (int64_t i = 0; i < SUSPECT_CASE_RECORDS; i++)
        cr_assert_eq(suspects->calls[i], i == except ? 0 : 1, "record %ld", (long)i);
}
