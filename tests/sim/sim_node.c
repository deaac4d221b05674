#include "sim_node.h"

#include "runtime/materialiser.h"
#include "runtime/worker.h"

#include "sim_check.h"
#include "sim_loss.h"
#include "sim_step.h"
#include "sim_store.h"

enum {
    FAULT_STEPS_MAX = 60000,   /* then everything heals */
    HEALED_STEPS_MAX = 400000, /* and the end of the input must be reached within so many */
    SAFETY_STEPS = 40000,
    CRASH_STEPS_MAX = 8000,
    FAILED_OPEN_STEPS = 100,
    REST_STEPS_MAX = 200,
    LEAVE_STEPS_MAX = 4000 /* a run without one of its partitions goes on for so long */
};

/* How a run ends. */
enum ending {
    ENDING_FINISHED = 0, /* all was read, or it was drained */
    ENDING_REOPEN,       /* the store failed: the process goes on with a new run */
    ENDING_KILL,
    ENDING_POWER_LOSS
};

static strid_status open_run(struct sim_world *world, strid_error *err)
{
    struct sim_random *random = &world->random;
    struct run_options options = {.definition = world->definition,
                                  .clock = &world->clock,
                                  .log = &world->log,
                                  .store_ops = &sim_store,
                                  .source = (strid_source *)(void *)&world->source,
                                  .sinks = world->sinks,
                                  .new_seed = UINT64_C(0x5712d),
                                  .readers = world->knobs.readers,
                                  .chunks_per_reader = world->knobs.chunks_per_reader,
                                  .chunk_records = world->knobs.chunk_records,
                                  .vshards_used = world->knobs.vshards_used,
                                  .seal_interval_ns = world->knobs.seal_interval_ns,
                                  .block_bytes = world->knobs.block_bytes,
                                  .redo_bytes = world->knobs.redo_bytes,
                                  .cache_bytes = world->knobs.cache_bytes,
                                  .load_bytes = world->knobs.load_bytes,
                                  .outbox_entries = world->knobs.outbox_entries,
                                  .deferrals = world->deferred.deferrals,
                                  .crash_memory = world->crash.slots};
    if (world->runs > 0 && !sim_random_chance(random, 4))
        world->knobs.workers = sim_random_between(random, 1, SIM_WORKERS_MAX);
    if (world->input.ordering == STRID_ORDERING_PARTITION)
        world->knobs.workers = 1;
    world->workers = world->definition->workers = world->knobs.workers;
    size_t places = (size_t)world->input.partition_count * world->input.key_count;
    memset(world->called, 0, places * sizeof *world->called);
    memset(world->attempted, 0, places * sizeof *world->attempted);
    for (uint32_t p = 0; p < SIM_INPUT_PARTITIONS_MAX; p++)
        world->source.partitions[p].assigned = false;
    world->source.repeated = false;
    sim_audit_begin_run(&world->audit);
    world->run_steps = 0;
    world->fails_in = sim_random_chance(random, 2) ? sim_random_log(random, 1, 200) : 0;
    world->runs++;
    sim_world_note("run", world->runs, world->workers, 0);
    return run_create(&options, &world->run, err);
}

static void add_figures(struct sim_world *world, enum ending ending)
{
    struct sim_figures *figures = &world->figures;
    struct run *run = world->run;
    figures->reopened += ending == ENDING_REOPEN;
    figures->killed += ending == ENDING_KILL;
    figures->power_losses += ending == ENDING_POWER_LOSS;
    figures->failed_opens += run == NULL;
    if (run == NULL)
        return;
    strid_pipeline_stats stats = {0};
    run_add_stats(run, &stats);
    for (uint32_t w = 0; w < run->worker_count; w++)
        figures->evictions += run->workers[w].cache.evictions;
    figures->drained += ending == ENDING_FINISHED && run_stop(run) == RUN_DRAIN;
    figures->halted += run_stop(run) == RUN_HALT;
    figures->materialised += materialiser_through(run->materialiser) - run->directory->through;
    figures->replayed += stats.replayed;
    figures->retried += stats.retried;
    figures->dead_letters += stats.dead_lettered;
    figures->outputs += stats.outputs;
    figures->handed += stats.handed_over;
    figures->backpressure += stats.backpressure;
}

static void close_run(struct sim_world *world, enum ending ending)
{
    bool ends = ending == ENDING_KILL || ending == ENDING_POWER_LOSS;
    add_figures(world, ending);
    sim_step_end(world);
    if (ending == ENDING_FINISHED)
        run_note_figures(world->run);
    sim_deferred_end_run(ending == ENDING_FINISHED);
    if (ends)
        sim_crash_keep();
    run_destroy(world->run);
    world->run = NULL;
    sim_world_note("end", ending, 0, 0);
    if (ends)
        for (uint32_t s = 0; s <= SIM_DEAD_LETTERS; s++)
            sink_instance_close(&world->sinks[s]);
    if (ends)
        sim_crash_restore(ending == ENDING_POWER_LOSS);
    if (ending == ENDING_FINISHED)
        sim_crash_finished();
    if (ending == ENDING_POWER_LOSS) {
        uint32_t kept = sim_random_chance(&world->random, 2)
                            ? 0
                            : sim_random_below(&world->random, world->disk.log_writes + 1);
        world->figures.unsynced += world->disk.log_writes - kept;
        sim_disk_lose_power(&world->disk, kept);
        sim_audit_durable(&world->audit, kept);
    }
    if (ending != ENDING_FINISHED)
        world->crashes++;
    if (sim_random_chance(&world->random, 2))
        sim_check_stopped(world);
    if (ends && world->knobs.loses && world->faults && !sim_random_chance(&world->random, 4))
        sim_loss_strike(world);
}

static enum ending draw_ending(struct sim_random *random, bool failed)
{
    static const enum ending of_failure[] = {ENDING_REOPEN, ENDING_KILL, ENDING_POWER_LOSS,
                                             ENDING_POWER_LOSS};
    if (failed)
        return of_failure[sim_random_below(random, 4)];
    return sim_random_chance(random, 2) ? ENDING_KILL : ENDING_POWER_LOSS;
}

/* Only what was injected may fail. */
static void check_failure(const struct sim_world *world, const strid_error *error)
{
    SIM_CHECK("fails_for_a_reason",
              world->faults && (error->status == STRID_ESTORE || error->status == STRID_EIO ||
                                (error->status == STRID_EGAP && world->source.repeated)),
              "%s: %s", strid_status_name(error->status), error->message);
}

static bool is_over(const struct sim_world *world)
{
    return world->mode == SIM_SAFETY && world->steps >= SAFETY_STEPS;
}

/* Everything heals once there were enough crashes; from then on the end must come. */
static void heal(struct sim_world *world, uint64_t *healed_at)
{
    if (world->mode == SIM_LIVENESS && world->faults &&
        (world->crashes >= world->knobs.crashes_wanted || world->steps >= FAULT_STEPS_MAX)) {
        world->faults = false;
        *healed_at = world->steps;
        sim_world_note("heal", 0, 0, 0);
    }
    SIM_CHECK("the_end_comes", world->faults || world->steps - *healed_at < HEALED_STEPS_MAX,
              "%d steps after everything healed there is still work", HEALED_STEPS_MAX);
}

/* Another node gets the partition: what was read of it and not yet handled is void. The source
 * gives no more of it, and this run ends before long. */
static void take_partition(struct sim_world *world)
{
    uint32_t index = sim_random_below(&world->random, world->run->partition_count);
    struct partition *partition = &world->run->partitions[index];
    world->source.partitions[partition->origin.partition].taken = true;
    (void)atomic_fetch_add_explicit(&partition->epoch, 1, memory_order_release);
    world->figures.taken++;
    sim_world_note("take", partition->origin.partition, 0, 0);
}

static enum ending step_through(struct sim_world *world, uint64_t *healed_at)
{
    struct sim_random *random = &world->random;
    struct run *run = world->run;
    sim_step_begin(world);
    uint64_t crash_at = sim_random_log(random, 1, CRASH_STEPS_MAX);
    if (world->knobs.loses) /* with something to lose */
        crash_at = sim_random_between(random, 1, CRASH_STEPS_MAX);
    /* With outcomes that come later there is more to be waited for. */
    uint32_t stops = world->input.defer_rate > 0 ? 2 : 4;
    uint64_t stop_at =
        sim_random_chance(random, stops) ? sim_random_log(random, 1, 4000) : UINT64_MAX;
    if (stop_at != UINT64_MAX && sim_random_chance(random, 2))
        stop_at = sim_random_between(random, 1, 2000); /* by then it has something to do */
    if (stop_at != UINT64_MAX && sim_random_chance(random, stops / 2))
        crash_at = UINT64_MAX; /* it is left to end so */
    uint64_t take_at = sim_random_chance(random, 4) ? sim_random_log(random, 1, 4000) : UINT64_MAX;
    uint64_t leave_at = UINT64_MAX; /* for other partitions than it has now */
    for (uint32_t p = 0; p < world->input.partition_count; p++)
        if (world->source.partitions[p].taken) { /* what waits of it is not this run's either */
            (void)atomic_fetch_add_explicit(&run->partitions[p].epoch, 1, memory_order_release);
            leave_at = sim_random_log(random, 1, LEAVE_STEPS_MAX);
        }
    uint32_t stop = sim_random_chance(random, 3) ? RUN_HALT : RUN_DRAIN;
    bool rests = world->crash.rests;
    if (rests) { /* what was in hand and waits is left to a run after this one */
        stop = RUN_DRAIN;
        stop_at = sim_random_log(random, 1, REST_STEPS_MAX);
        crash_at = UINT64_MAX;
        world->crash.rests = false;
    }
    while (!is_over(world)) {
        (void)sim_step(world);
        if (world->crash.dead) /* a record may end the process when everything has healed, too */
            return world->faults ? draw_ending(random, false) : ENDING_KILL;
        if (run_failed(run)) {
            check_failure(world, &run->error);
            return draw_ending(random, true);
        }
        if (atomic_load_explicit(&run->finished, memory_order_acquire)) {
            sim_check_finished(world);
            return world->crash.dead ? ENDING_KILL : ENDING_FINISHED;
        }
        if (world->faults && world->run_steps >= crash_at)
            return draw_ending(random, false);
        if ((world->faults || rests) && world->run_steps == stop_at)
            atomic_store_explicit(&run->stop, stop, memory_order_release);
        if (world->faults && world->run_steps == take_at) {
            take_partition(world);
            leave_at = take_at + sim_random_log(random, 1, LEAVE_STEPS_MAX);
        }
        if (world->run_steps >= leave_at)
            return ENDING_REOPEN;
        if (run_stop(run) == RUN_HALT && world->idle > 2 * world->agent_count)
            return ENDING_KILL; /* as the host would: nothing moves any more */
        world->run_steps++;
        heal(world, healed_at);
    }
    return ENDING_KILL;
}

static bool all_is_read(const struct sim_world *world)
{
    for (uint32_t p = 0; p < world->input.partition_count; p++)
        if (world->input.unordered
                ? !sim_unordered_is_done(p)
                : world->source.partitions[p].cursor < world->input.partitions[p].count)
            return false;
    return true;
}

/* One run, from opening to its end. Returns whether all is read, settled and durable. */
static bool live_once(struct sim_world *world, uint64_t *healed_at)
{
    strid_error err = STRID_ERROR_INIT;
    if (open_run(world, &err) != STRID_OK) {
        check_failure(world, &err);
        world->run = NULL;
        /* Where reads fail all the time, one with many of them may never succeed. */
        world->steps += FAILED_OPEN_STEPS;
        close_run(world, draw_ending(&world->random, true));
        return false;
    }
    sim_check_recovered(world, false);
    enum ending ending = step_through(world, healed_at);
    /* One that was asked to end leaves what waits. */
    bool read =
        ending == ENDING_FINISHED && all_is_read(world) && run_stop(world->run) == RUN_CONTINUE;
    if (read && world->crashes == 0) {
        ending = ENDING_POWER_LOSS; /* no seed without a crash */
        read = false;
    }
    close_run(world, ending);
    return read;
}

void sim_node_live(struct sim_world *world)
{
    uint64_t healed_at = 0;
    while (!live_once(world, &healed_at)) {
        if (is_over(world))
            return;
        heal(world, &healed_at);
    }
    /* At the end the power goes: everything must be there, and nothing twice. */
    strid_error err = STRID_ERROR_INIT;
    world->faults = false;
    healed_at = world->steps;
    sim_disk_lose_power(&world->disk, 0);
    sim_audit_durable(&world->audit, 0);
    strid_status status = open_run(world, &err);
    SIM_CHECK("fails_for_a_reason", status == STRID_OK, "%s", err.message);
    sim_check_recovered(world, true);
    /* Nothing is left to be read, but the source may not have heard of all. */
    (void)step_through(world, &healed_at);
    sim_check_acknowledged(world);
    close_run(world, ENDING_FINISHED);
}
