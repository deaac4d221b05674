#include "sim_crash.h"

#include "base/memory.h"

#include "sim_check.h"
#include "sim_world.h"

enum { REST_RATE = 8 }; /* so many seeds have one in which ends in hand are followed by a drain */

void sim_crash_init(struct sim_crash *crash)
{
    size_t size = sizeof(struct crash_slots_file);
    *crash = (struct sim_crash){.slots = memory_alloc_aligned(64, size),
                                .then = memory_alloc_aligned(64, size)};
}

void sim_crash_fini(struct sim_crash *crash)
{
    memory_free(crash->slots);
    memory_free(crash->then);
}

void sim_crash_enter(struct sim_record *record, uint32_t partition, uint32_t tries)
{
    struct sim_crash *crash = &sim_world->crash;
    /* A later attempt than one that came back, in whatever run: it is one as long as the engine did
     * not see that the earlier one is durable. */
    if (record->suspect && record->returned > 0 && tries + 2 > record->returned)
        record->suspect =
            suspect_find(sim_world->run, partition,
                         sim_input_position(&sim_world->input, record->place)) != NULL;
    for (uint32_t i = 0; i < crash->hand_count; i++)
        SIM_CHECK("suspects_run_alone", !record->suspect && !crash->hands[i]->suspect,
                  "a record that was in hand when the process ended is handled beside another one");
    SIM_CHECK("suspects_run_alone", crash->hand_count < SIM_CRASH_HANDS_MAX, "too many in hand");
    crash->hands[crash->hand_count++] = record;
    sim_world->figures.alone += record->suspect;
}

void sim_crash_leave(bool settled, uint32_t tries)
{
    struct sim_crash *crash = &sim_world->crash;
    struct sim_record *record = crash->hands[--crash->hand_count];
    if (settled && !crash->dead) {
        record->crashes = 0; /* it has proved innocent */
        /* One whose outcome comes later is tried by the next run as often as before. */
        record->returned = tries + (sim_input_defers(record, tries) ? 1 : 2);
    }
}

void sim_crash_now(void)
{
    struct sim_world *world = sim_world;
    struct sim_crash *crash = &world->crash;
    sim_world_note("dies", crash->hand_count, 0, 0);
    crash->rests = world->seed % REST_RATE == REST_RATE - 1 && crash->hand_count > 0;
    for (uint32_t i = 0; i < crash->hand_count; i++) {
        struct sim_record *record = crash->hands[i];
        record->crashes += record->suspect;
        record->condemned = record->condemned || record->crashes >= CRASH_SLOTS_CRASHES_MAX;
        record->suspect = true;
        record->returned = 0; /* what came back before says nothing about this attempt */
    }
    sim_crash_keep();
    for (uint32_t s = 0; s <= SIM_DEAD_LETTERS; s++)
        sim_sink_crash(s);
    world->disk.failed = true;
    crash->dead = true;
    world->figures.deaths++;
    world->figures.deaths_in_hand += crash->hand_count > 0;
}

void sim_crash_perhaps(void)
{
    const struct sim_crash *crash = &sim_world->crash;
    /* One more would condemn an innocent record, and rightly so. */
    for (uint32_t i = 0; i < crash->hand_count; i++)
        if (crash->hands[i]->crashes + 1 >= CRASH_SLOTS_CRASHES_MAX)
            return;
    if (!crash->dead && sim_world_strikes(sim_world->knobs.death_rate))
        sim_crash_now();
}

void sim_crash_keep(void)
{
    struct sim_crash *crash = &sim_world->crash;
    if (!crash->dead)
        memcpy(crash->then, crash->slots, sizeof *crash->then);
}

/* What the file says of the record; 0: it is no suspect. */
static uint32_t suspected(const struct sim_record *record, uint32_t partition)
{
    strid_position position = sim_input_position(&sim_world->input, record->place);
    for (uint32_t i = 0; i < CRASH_SLOTS_SUSPECTS; i++) {
        const struct crash_suspect *entry = &sim_world->crash.slots->suspects[i];
        if (crash_suspect_state(entry) != 0 && entry->partition == partition &&
            strid_position_compare((strid_position){entry->high, entry->low}, position) == 0)
            return crash_suspect_state(entry);
    }
    return 0;
}

static bool waits_suspected(const struct sim_record *record, uint32_t partition)
{
    return (suspected(record, partition) & CRASH_SUSPECT_WAITED) != 0;
}

/* How many records of the partition the durable low position covers. */
static uint32_t covered(uint32_t p)
{
    strid_position low;
    const struct sim_input *input = &sim_world->input;
    if (!sim_disk_low(sim_world->disk.durable, p, &low.high, &low.low))
        return 0;
    return sim_input_before(&input->partitions[p], sim_input_place(input, low));
}

/* Whether a record comes again, as seen when a run has come to its end. */
static bool is_unread(uint32_t p, uint32_t index, uint32_t before)
{
    if (sim_world->input.unordered)
        return sim_world->source.unordered[p].deliveries[index] == SIM_TO_COME;
    return index >= before;
}

/* A run came to its end, and what waits is marked. Who was in hand and waits now, or comes again,
 * and has not come back since, must still be a suspect: a run that was asked to end may not have
 * come to it. Where nothing waits, nobody is one for having waited. */
static void check_suspects(const struct sim_input *input)
{
    bool any = false;
    for (uint32_t p = 0; p < input->partition_count; p++) {
        uint32_t before = covered(p);
        for (uint32_t i = 0; i < input->partitions[p].count; i++) {
            const struct sim_record *record = &input->partitions[p].records[i];
            any = any || record->parked;
            if (!record->suspect || record->returned > 0)
                continue;
            SIM_CHECK("suspect_is_kept", !record->parked || waits_suspected(record, p),
                      "partition %u, record %u was in hand when the process ended, waits, and is "
                      "no suspect any more",
                      p, i);
            SIM_CHECK("suspect_is_kept",
                      record->parked || !is_unread(p, i, before) ||
                          record->crashes >= CRASH_SLOTS_CRASHES_MAX || suspected(record, p) != 0,
                      "partition %u, record %u was in hand when the process ended, is still to be "
                      "read, and is no suspect any more",
                      p, i);
        }
    }
    for (uint32_t i = 0; !any && i < CRASH_SLOTS_SUSPECTS; i++)
        SIM_CHECK(
            "suspect_is_kept",
            (crash_suspect_state(&sim_world->crash.slots->suspects[i]) & CRASH_SUSPECT_WAITED) == 0,
            "nothing waits, and one that waited is still a suspect");
}

static bool any_suspect(const struct sim_input *input)
{
    for (uint32_t p = 0; p < input->partition_count; p++)
        for (uint32_t i = 0; i < input->partitions[p].count; i++)
            if (input->partitions[p].records[i].suspect)
                return true;
    return false;
}

/* Nothing of the file is left. */
static void forget_all(void)
{
    struct sim_input *input = &sim_world->input;
    for (uint32_t p = 0; p < input->partition_count; p++)
        for (uint32_t i = 0; i < input->partitions[p].count; i++) {
            input->partitions[p].records[i].suspect = false;
            input->partitions[p].records[i].crashes = 0;
        }
}

/* Who neither waits nor comes again; those with a crash of their own stay. */
static void forget_passed(void)
{
    struct sim_input *input = &sim_world->input;
    for (uint32_t p = 0; p < input->partition_count; p++) {
        uint32_t before = covered(p);
        for (uint32_t i = 0; i < input->partitions[p].count; i++) {
            struct sim_record *record = &input->partitions[p].records[i];
            if (record->suspect && record->crashes == 0 && !is_unread(p, i, before) &&
                !waits_suspected(record, p))
                record->suspect = false;
        }
    }
}

void sim_crash_restore(bool power_lost)
{
    struct sim_crash *crash = &sim_world->crash;
    memcpy(crash->slots, crash->then, sizeof *crash->slots);
    crash->dead = false;
    crash->hand_count = 0;
    if (!power_lost || !sim_random_chance(&sim_world->random, 2))
        return;
    sim_crash_lose(); /* nothing of the file was written yet */
}

void sim_crash_lose(void)
{
    memset(sim_world->crash.slots, 0, sizeof *sim_world->crash.slots);
    forget_all();
}

void sim_crash_finished(void)
{
    if (any_suspect(&sim_world->input)) {
        sim_check_stopped(sim_world); /* marks what waits */
        check_suspects(&sim_world->input);
    }
    forget_passed();
}

bool sim_crash_is_enough(const struct sim_record *record)
{
    return record->kind == SIM_POISON && record->condemned;
}
