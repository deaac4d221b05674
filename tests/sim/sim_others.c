#include "sim_others.h"

#include "runtime/reader.h"
#include "runtime/worker.h"

#include "sim_world.h"

enum { STEP_RATE = 4 };

static struct sim_unordered *unordered_of(uint32_t p) { return &sim_world->source.unordered[p]; }

static struct sim_record *record_of(uint32_t p, uint32_t index)
{
    return &sim_world->input.partitions[p].records[index];
}

void sim_others_fini(struct sim_others *others) { buffer_fini(&others->entries); }

static uint32_t count_of(const struct sim_others *others)
{
    return (uint32_t)(others->entries.len / sizeof(uint32_t));
}

static uint32_t entry_at(const struct sim_others *others, uint32_t at)
{
    uint32_t index;
    memcpy(&index, others->entries.data + (size_t)at * sizeof index, sizeof index);
    return index;
}

/* The last one takes its place. */
static void drop_entry(struct sim_others *others, uint32_t at)
{
    const uint32_t last = entry_at(others, count_of(others) - 1);
    memcpy(others->entries.data + (size_t)at * sizeof last, &last, sizeof last);
    others->entries.len -= sizeof last;
}

/* The other consumer's own letter of it is outside, and its entry acknowledged. */
static void settle(uint32_t p, uint32_t at)
{
    struct sim_unordered *of = unordered_of(p);
    const uint32_t index = entry_at(&of->others, at);
    of->deliveries[index] = SIM_SETTLED_BY_OTHERS;
    record_of(p, index)->arrived = 1;
    drop_entry(&of->others, at);
}

static void give_back(uint32_t p, uint32_t at)
{
    struct sim_unordered *of = unordered_of(p);
    of->deliveries[entry_at(&of->others, at)] = SIM_TO_COME;
    drop_entry(&of->others, at);
}

void sim_others_leave(uint32_t p)
{
    const struct sim_others *others = &unordered_of(p)->others;
    for (uint32_t at = count_of(others); at-- > 0;) {
        if (sim_world->faults && sim_random_chance(&sim_world->random, 3))
            continue; /* it has that one still */
        if (sim_random_chance(&sim_world->random, 2))
            settle(p, at);
        else
            give_back(p, at);
    }
}

/* This node knows nothing of it any more once it has been told: where it comes again it is handled
 * from the first attempt on. */
static void begin_anew(struct sim_record *record)
{
    record->run = record->handed = record->completed = 0;
    record->called = 0;
    record->returned = record->suspect; /* the engine says whether it still is one */
}

static bool is_free(const struct reader *reader, const struct chunk *chunk)
{
    for (uint32_t i = 0; i < reader->free_count; i++)
        if (reader->free_chunks[i] == chunk)
            return true;
    return false;
}

static bool holds(const struct run *run, const struct chunk *chunk, uint32_t p, uint64_t place)
{
    for (uint32_t i = 0; i < chunk->count; i++)
        if (run->partitions[chunk->partition].origin.partition == p &&
            sim_input_place(&sim_world->input, chunk->slots[i].record.position) == place)
            return true;
    return false;
}

/* Whether a delivery of it is on its way to its worker, or was until a moment ago. */
static bool is_on_its_way(uint32_t p, uint32_t index)
{
    const struct run *run = sim_world->run;
    for (uint32_t r = 0; r < run->reader_count; r++) {
        const struct reader *reader = &run->readers[r];
        for (uint32_t c = 0; c < reader->chunk_count; c++)
            if (!is_free(reader, reader->chunks[c]) &&
                holds(run, reader->chunks[c], p, record_of(p, index)->place))
                return true;
    }
    return false;
}

/* What comes to the worker behind that is a new record to it, though it was delivered before: none
 * is declined then. */
bool sim_others_decline(uint32_t p, uint32_t index)
{
    struct sim_unordered *of = unordered_of(p);
    if (of->deliveries[index] != SIM_OF_OTHERS) {
        if (sim_world->knobs.decline_rate == 0 || is_on_its_way(p, index))
            return false;
        if (!sim_random_chance(&sim_world->random, sim_world->knobs.decline_rate))
            return false;
        of->deliveries[index] = SIM_OF_OTHERS;
        buffer_put(&of->others.entries, &index, sizeof index);
    }
    begin_anew(record_of(p, index));
    sim_world->figures.declined++;
    sim_world_note("decline", p, index, 0);
    return true;
}

/* Whether all workers know of all letters that were declined: nothing is lent. */
static bool is_known(const struct run *run)
{
    for (uint32_t w = 0; w < run->worker_count; w++)
        if (run->workers[w].outbox.delete_at != run->workers[w].outbox.lend_at)
            return false;
    return true;
}

bool sim_others_step(uint32_t p, uint32_t *index)
{
    struct sim_others *others = &unordered_of(p)->others;
    const uint32_t count = count_of(others);
    if (count == 0 || !sim_random_chance(&sim_world->random, STEP_RATE))
        return false;
    const uint32_t at = sim_random_below(&sim_world->random, count);
    *index = entry_at(others, at);
    if (sim_random_chance(&sim_world->random, 3)) {
        settle(p, at);
        return false;
    }
    /* What comes before the worker knows is taken for one more delivery of what it holds. */
    if (!is_known(sim_world->run))
        return false;
    give_back(p, at);
    sim_world->figures.given_back++;
    sim_world_note("given_back", p, *index, 0);
    return true;
}
