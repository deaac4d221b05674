/* A worker that meets suspects: it waits for the gate, then handles their chunk, them alone. */
#include "base/assert.h"
#include "runtime/worker_part.h"

static struct suspect *suspect_at(struct worker *worker, const struct chunk *chunk, uint32_t index)
{
    const struct partition *partition = &worker->run->partitions[chunk->partition];
    return suspect_find(worker->run, partition->stored->number,
                        chunk->slots[index].record.position);
}

bool worker_suspect_is_ready(struct worker *worker, struct chunk *chunk)
{
    for (uint32_t i = worker->part.next; i < chunk->count; i++)
        if (suspect_at(worker, chunk, i) != NULL)
            return suspect_take_gate(worker);
    return true;
}

static void handle_suspect(struct worker *worker, struct chunk *chunk, uint32_t index,
                           struct suspect *suspect)
{
    struct chunk_slot *slot = &chunk->slots[index];
    uint64_t replayed = worker->tally.replayed, parks = worker->retry.parks;
    bool condemned = suspect_is_condemned(suspect);
    if (condemned)
        slot->fault = suspect_fault;
    else
        suspect_begin(suspect);
    (void)worker_handle_range(worker, chunk, index, index + 1);
    bool applied = worker->tally.replayed > replayed; /* before, and not handled now */
    bool ours = suspect->settled; /* in this run: a source without order gave it again */
    bool parked = worker->retry.parks > parks; /* it has yet to run */
    suspect_end(worker, suspect, !applied && !parked && !worker->context.failed);
    if (parked)
        suspect_wait(suspect);
    /* What waits for another attempt was applied, too; what this run did may not be durable. */
    if (applied && !ours && (crash_suspect_state(suspect->entry) & CRASH_SUSPECT_WAITED) == 0)
        suspect_drop(worker->run, suspect);
}

void worker_suspect_handle(struct worker *worker, struct chunk *chunk)
{
    uint32_t from = worker->part.next;
    for (uint32_t i = from; i < chunk->count; i++) {
        struct suspect *suspect = suspect_at(worker, chunk, i);
        if (suspect == NULL)
            continue;
        if (!worker_handle_range(worker, chunk, from, i) || worker_part_end(worker, i + 1) <= i)
            return;
        handle_suspect(worker, chunk, i, suspect);
        if (worker->context.failed || run_stop(worker->run) == RUN_HALT)
            return;
        from = i + 1;
    }
    (void)worker_handle_range(worker, chunk, from, chunk->count);
}
