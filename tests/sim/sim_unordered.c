#include "sim_unordered.h"

#include "base/memory.h"
#include "runtime/acknowledger.h"
#include "runtime/worker_applied.h"

#include "sim_settled.h"
#include "sim_step.h"
#include "sim_world.h"

enum { WINDOW = 8, AGAIN_RATE = 8 };

static struct sim_unordered *unordered_of(uint32_t p) { return &sim_world->source.unordered[p]; }

static uint32_t count_of(uint32_t p) { return sim_world->input.partitions[p].count; }

static uint32_t told_at(const struct sim_unordered *of, uint32_t at)
{
    uint32_t index;
    memcpy(&index, of->told.data + (size_t)at * sizeof index, sizeof index);
    return index;
}

static uint32_t told_count(const struct sim_unordered *of)
{
    return (uint32_t)(of->told.len / sizeof(uint32_t));
}

/* Some of what was told is taken in by now. */
static void take_in(struct sim_unordered *of)
{
    uint32_t left = told_count(of) - of->taken_in;
    uint32_t more = sim_random_below(&sim_world->random, left + 1);
    for (; more > 0; more--)
        of->deliveries[told_at(of, of->taken_in++)] = SIM_TAKEN_IN;
}

/* Everybody near its place, in some order. */
static void draw_order(struct sim_unordered *of, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        of->order[i] = i;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t last = i + WINDOW < count ? i + WINDOW : count - 1;
        uint32_t with = sim_random_between(&sim_world->random, i, last), swap = of->order[i];
        of->order[i] = of->order[with];
        of->order[with] = swap;
    }
}

static strid_status unordered_assign(strid_source *self, uint32_t p, const strid_resume *resume,
                                     strid_error *err)
{
    struct sim_unordered *of = unordered_of(p);
    (void)self;
    (void)resume;
    (void)err;
    if (of->order == NULL) {
        of->order = memory_alloc((count_of(p) + 1) * sizeof *of->order);
        of->deliveries = memory_alloc_zeroed(count_of(p) + 1);
    }
    sim_unordered_leave(p);
    of->in_hand = 0;
    of->is_over = false;
    draw_order(of, count_of(p));
    sim_world->source.partitions[p].cursor = 0;
    sim_world->source.partitions[p].assigned = true;
    sim_world->source.partitions[p].taken = false;
    sim_world_note("assign", p, 0, 0);
    return STRID_OK;
}

static strid_status deliver(struct sim_unordered *of, uint32_t p, uint32_t index, strid_intake *out)
{
    strid_status status = sim_source_add(p, index, out);
    of->in_hand += status == STRID_OK;
    if (status == STRID_OK && of->deliveries[index] == SIM_TO_COME)
        of->deliveries[index] = SIM_DELIVERED;
    return status;
}

static bool is_gone(const struct sim_unordered *of, uint32_t index)
{
    return of->deliveries[index] == SIM_TAKEN_IN || of->deliveries[index] == SIM_SETTLED_BY_OTHERS;
}

static bool may_come(const struct sim_unordered *of, uint32_t index)
{
    return !is_gone(of, index) && of->deliveries[index] != SIM_OF_OTHERS;
}

static strid_status unordered_poll(strid_source *self, uint32_t p, strid_intake *out,
                                   uint32_t records_max, strid_error *err)
{
    struct sim_unordered *of = unordered_of(p);
    uint32_t *cursor = &sim_world->source.partitions[p].cursor, taken = 0;
    (void)self;
    (void)err;
    sim_source_check_bound(p);
    if (sim_world->crash.dead || sim_world->source.partitions[p].taken ||
        sim_world_strikes(sim_world->knobs.again_rate))
        return STRID_AGAIN;
    take_in(of);
    sim_step_yield();
    if (sim_world->crash.dead)
        return STRID_AGAIN;
    uint32_t wanted = sim_random_between(&sim_world->random, 1, records_max);
    uint32_t bound = sim_world->knobs.unacknowledged, left;
    if (sim_others_step(p, &left) && (bound == 0 || of->in_hand < bound)) {
        if (deliver(of, p, left, out) != STRID_OK)
            return STRID_AGAIN;
        taken++;
    }
    for (; taken < wanted && *cursor < count_of(p); taken++) {
        if (bound > 0 && of->in_hand >= bound)
            return STRID_AGAIN;
        bool again = *cursor > 0 && sim_random_chance(&sim_world->random, AGAIN_RATE);
        uint32_t at = again ? sim_random_below(&sim_world->random, *cursor) : *cursor;
        uint32_t index = of->order[at];
        if (may_come(of, index)) {
            if (deliver(of, p, index, out) != STRID_OK)
                return STRID_AGAIN;
            sim_world->figures.repeated += again;
        }
        *cursor += !again;
    }
    sim_world_note("poll", p, taken, *cursor);
    if (*cursor < count_of(p))
        return STRID_OK;
    return sim_random_chance(&sim_world->random, 2) ? STRID_EOF : STRID_AGAIN;
}

static void unordered_recall(strid_source *self, uint32_t p, uint32_t count)
{
    (void)self;
    unordered_of(p)->in_hand += count;
}

static void unordered_release(strid_source *self, uint32_t p, uint32_t count)
{
    struct sim_unordered *of = unordered_of(p);
    (void)self;
    if (sim_world->crash.dead)
        return;
    SIM_CHECK("release_is_owed", count > 0 && count <= of->in_hand,
              "partition %u: %u deliveries are released, and %u are in hand", p, count,
              of->in_hand);
    of->in_hand -= count;
    sim_world_note("release", p, count, of->in_hand);
}

static void unordered_ack_many(strid_source *self, uint32_t p, const strid_position *positions,
                               uint32_t count)
{
    const struct sim_input *input = &sim_world->input;
    struct sim_unordered *of = unordered_of(p);
    (void)self;
    for (uint32_t i = 0; i < count && !sim_world->crash.dead; i++) {
        uint64_t place = sim_input_place(input, positions[i]);
        uint32_t index = sim_input_before(&input->partitions[p], place);
        SIM_CHECK("ack_is_a_record",
                  index < count_of(p) && input->partitions[p].records[index].place == place,
                  "partition %u: nothing lies at %llu", p, (unsigned long long)place);
        SIM_CHECK("declined_is_not_told", of->deliveries[index] != SIM_OF_OTHERS,
                  "partition %u: record %u is another consumer's, and acknowledged", p, index);
        sim_settled_check(p, index);
        SIM_CHECK("acks_are_counted", of->in_hand > 0,
                  "partition %u: record %u is told of, and nothing is in hand", p, index);
        of->in_hand--;
        buffer_put(&of->told, &index, sizeof index);
        if (!is_gone(of, index))
            of->deliveries[index] = SIM_TOLD;
    }
}

static uint64_t unordered_acked(strid_source *self, uint32_t p)
{
    (void)self;
    return unordered_of(p)->taken_in;
}

static strid_status unordered_pump(strid_source *self, uint32_t p, bool ending, strid_error *err)
{
    (void)self;
    (void)ending;
    (void)err;
    if (!sim_world->crash.dead)
        take_in(unordered_of(p));
    return STRID_OK;
}

bool sim_unordered_is_done(uint32_t p)
{
    const struct sim_unordered *of = unordered_of(p);
    for (uint32_t i = 0; i < count_of(p); i++)
        if (!is_gone(of, i))
            return false;
    return true;
}

bool sim_unordered_is_gone(uint32_t p, uint32_t index)
{
    const struct sim_unordered *of = unordered_of(p);
    return of->deliveries != NULL && is_gone(of, index);
}

bool sim_unordered_is_taken_in(uint32_t p, uint32_t index)
{
    const struct sim_unordered *of = unordered_of(p);
    return of->deliveries != NULL && of->deliveries[index] == SIM_TAKEN_IN;
}

void sim_unordered_leave(uint32_t p)
{
    struct sim_unordered *of = unordered_of(p);
    take_in(of); /* nobody knows how many got through */
    for (uint32_t i = 0; i < count_of(p) && of->deliveries != NULL; i++)
        if (may_come(of, i))
            of->deliveries[i] = SIM_TO_COME;
    sim_others_leave(p);
    buffer_clear(&of->told);
    of->taken_in = 0;
}

enum sim_moved sim_unordered_move(uint32_t p, uint32_t index)
{
    struct sim_unordered *of = unordered_of(p);
    const struct sim_record *record = &sim_world->input.partitions[p].records[index];
    if (is_gone(of, index)) {
        SIM_CHECK("letter_is_moved", record->arrived == 1,
                  "partition %u: record %u was acknowledged, and the queue has no letter of it", p,
                  index);
        return SIM_MOVED_BEFORE;
    }
    if (sim_others_decline(p, index))
        return SIM_DECLINED;
    of->deliveries[index] = SIM_TAKEN_IN;
    sim_world->figures.moved++;
    return SIM_MOVED;
}

/* What an earlier run has left, and a worker that came to its first step at the end of this one has
 * found: the source was told that it is in hand, and not yet that it is settled. */
static bool is_on_its_way(const struct run *run)
{
    for (uint32_t w = 0; w < run->worker_count; w++)
        if (run->workers[w].applied.ready != NULL ||
            ring_size(acknowledger_from_worker(run->acknowledger, w)) > 0)
            return true;
    return false;
}

/* What was delivered and nobody was told of waits, and is in hand once, however often it came. What
 * an earlier run has left, and has not come, may wait. */
static void check_in_hand(uint32_t p, bool may_be_more)
{
    const struct sim_unordered *of = unordered_of(p);
    uint32_t waiting = 0, left = 0;
    for (uint32_t i = 0; i < count_of(p); i++) {
        waiting += of->deliveries[i] == SIM_DELIVERED;
        left += of->deliveries[i] == SIM_TO_COME;
    }
    SIM_CHECK("in_hand_is_exact",
              waiting <= of->in_hand && (may_be_more || of->in_hand <= waiting + left),
              "partition %u: %u are in hand, %u wait, and %u of an earlier run may wait", p,
              of->in_hand, waiting, left);
}

/* Who waited for too long for the other side leaves what it has told to the next run. */
static void check_forgotten(const struct run *run)
{
    for (uint32_t w = 0; w < run->worker_count && !acknowledger_gave_up(run->acknowledger); w++)
        SIM_CHECK("acknowledged_is_forgotten", worker_applied_is_forgotten(&run->workers[w]),
                  "worker %u: the run has ended, and knows batches as applied", w);
}

void sim_unordered_check_told(void)
{
    struct run *run = sim_world->run;
    check_forgotten(run);
    const bool may_be_more = is_on_its_way(run);
    for (uint32_t i = 0; i < run->partition_count && run_stop(run) != RUN_HALT; i++) {
        const struct partition *partition = &run->partitions[i];
        uint32_t p = partition->origin.partition;
        if (atomic_load_explicit(&partition->epoch, memory_order_relaxed) != 0)
            continue; /* what was read of it may have been dropped */
        check_in_hand(p, may_be_more);
        unordered_of(p)->is_over = true;
    }
}

void sim_unordered_check_kept(void)
{
    for (uint32_t p = 0; p < sim_world->input.partition_count; p++) {
        const struct sim_unordered *of = unordered_of(p);
        for (uint32_t i = 0; i < count_of(p) && of->is_over; i++)
            SIM_CHECK("delivery_is_kept",
                      of->deliveries[i] != SIM_DELIVERED ||
                          sim_world->input.partitions[p].records[i].parked,
                      "partition %u: record %u was delivered, is not acknowledged, and does not "
                      "wait",
                      p, i);
    }
}

void sim_unordered_fini(struct sim_unordered *of)
{
    memory_free(of->order);
    memory_free(of->deliveries);
    buffer_fini(&of->told);
    sim_others_fini(&of->others);
}

const strid_source_ops sim_unordered_ops = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .flags = STRID_SOURCE_BOUNDED | STRID_SOURCE_UNORDERED,
    .name = "sim",
    .summary = "the simulated input, in no order",
    .options = sim_source_no_options,
    .instance_size = sizeof(struct sim_source),
    .open = sim_source_open,
    .partition_count = sim_source_partition_count,
    .describe = sim_source_describe,
    .assign = unordered_assign,
    .fingerprint = sim_source_fingerprint,
    .poll = unordered_poll,
    .close = sim_source_close,
    .ack_many = unordered_ack_many,
    .acked = unordered_acked,
    .pump = unordered_pump,
    .release = unordered_release,
    .recall = unordered_recall,
};
