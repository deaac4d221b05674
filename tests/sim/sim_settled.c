#include "sim_settled.h"

#include "runtime/storage.h"

#include "sim_world.h"

static const struct sim_record *record_of(uint32_t p, uint32_t index)
{
    return &sim_world->input.partitions[p].records[index];
}

/* Attempts that lie before the last one. */
static uint32_t tries_of(const struct sim_record *record)
{
    return record->kind == SIM_RETRY ? record->retries : 0;
}

/* Whether somebody else has to say its outcome. */
static bool is_said_later(const struct sim_input *input, const struct sim_record *record)
{
    return sim_input_is_done(input, record) && record->defer != SIM_DEFER_TAKEN &&
           sim_input_defers(record, tries_of(record));
}

void sim_settled_check(uint32_t p, uint32_t index)
{
    const struct sim_input *input = &sim_world->input;
    const struct sim_record *record = record_of(p, index);
    SIM_CHECK("ack_is_settled", !sim_input_is_dead(input, record) || record->arrived == 1,
              "partition %u: record %u is acknowledged, and its dead letter is on its way", p,
              index);
    SIM_CHECK("ack_is_settled", record->kind != SIM_DONE || record->run != 0,
              "partition %u: record %u is acknowledged, and was not handled", p, index);
    SIM_CHECK("ack_is_settled",
              record->kind != SIM_RETRY || !sim_input_is_done(input, record) ||
                  (record->run != 0 && record->called >= record->retries),
              "partition %u: record %u is acknowledged, and waits for another attempt", p, index);
    SIM_CHECK("ack_is_settled",
              !sim_input_is_done(input, record) || record->arrived == (1u << record->outputs) - 1,
              "partition %u: record %u is acknowledged, and an output is on its way", p, index);
    SIM_CHECK("ack_is_settled", !is_said_later(input, record) || record->completed != 0,
              "partition %u: record %u is acknowledged, and nobody has said its outcome", p, index);
    SIM_CHECK("ack_is_settled", record->kind != SIM_HANDED || record->handed != 0,
              "partition %u: record %u is acknowledged, and nobody took it over", p, index);
}

/* What is said of it holds for this run: one that waited when the run began has come to its end
 * since, and what was done in this run is synced. */
static void check_now(uint32_t p, uint32_t index)
{
    const struct sim_world *world = sim_world;
    const struct sim_record *record = record_of(p, index);
    const bool is_now = record->run == world->runs;
    if (sim_input_is_dead(&world->input, record))
        return; /* its letter is outside */
    SIM_CHECK("ack_is_settled", is_now || !record->parked,
              "partition %u: record %u is acknowledged, and waits since an earlier run", p, index);
    SIM_CHECK("ack_is_settled",
              !is_now || !is_said_later(&world->input, record) || record->completed == world->runs,
              "partition %u: record %u is acknowledged, and its outcome is to come", p, index);
    SIM_CHECK("ack_is_settled",
              !is_now ||
                  storage_synced_sequence(world->run->storage, record->worker) >= record->block,
              "partition %u: record %u is acknowledged, and what it did is not synced", p, index);
}

void sim_settled_check_before(uint32_t p, uint64_t place)
{
    const struct sim_source *source = &sim_world->source;
    const struct sim_partition *partition = &sim_world->input.partitions[p];
    const bool any = source->partitions[p].acknowledged;
    uint32_t index = any ? sim_input_before(partition, source->partitions[p].acked) : 0;
    for (; index < partition->count && partition->records[index].place < place; index++) {
        sim_settled_check(p, index);
        check_now(p, index);
    }
}

bool sim_settled_is_before(uint32_t p, uint32_t index)
{
    const struct sim_source *source = &sim_world->source;
    return source->partitions[p].acknowledged &&
           record_of(p, index)->place < source->partitions[p].acked;
}
