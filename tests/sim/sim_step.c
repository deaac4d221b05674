#include "sim_step.h"

#include "base/assert.h"

#include "sim_check.h"

enum {
    WEIGHT_MAX = 8,
    NESTED_STEPS_MAX = 6,
    IDLE_JUMP_US = 100000,
    LEAP_US = 1000000000, /* the machine slept */
    LEAP_RATE = 20000,
    WALL_JUMP_RATE = 3000,
    WALL_JUMP_MS = 100000000 /* somebody sets the clock, by up to a day */
};

void sim_step_begin(struct sim_world *world)
{
    world->agent_count = run_agents(world->run, world->agents, SIM_AGENTS_MAX);
    STRID_ASSERT(world->agent_count <= SIM_AGENTS_MAX);
    bool skewed = sim_random_chance(&world->random, 2);
    for (uint32_t a = 0; a < world->agent_count; a++)
        world->weights[a] =
            skewed ? (uint8_t)sim_random_between(&world->random, 1, WEIGHT_MAX) : WEIGHT_MAX;
    world->busy = 0;
    world->idle = 0;
}

void sim_step_end(struct sim_world *world) { world->agent_count = 0; }

/* Some agents run less often than others; one that waits in a call does not run at all. */
static uint32_t pick_agent(struct sim_world *world)
{
    for (;;) {
        uint32_t at = sim_random_below(&world->random, world->agent_count);
        if ((world->busy >> at & 1) == 0 &&
            sim_random_below(&world->random, WEIGHT_MAX) < world->weights[at])
            return at;
    }
}

void sim_step_pass(int64_t ns)
{
    sim_deferred_before(sim_world->now_ns + ns);
    sim_world->now_ns += ns;
}

static void move_clock(struct sim_world *world)
{
    uint32_t most = world->knobs.clock_step_us;
    if (world->idle > 2 * world->agent_count)
        most = IDLE_JUMP_US;
    if (sim_random_chance(&world->random, LEAP_RATE))
        most = LEAP_US;
    sim_step_pass((int64_t)sim_random_between(&world->random, 0, most) * 1000);
    if (world->knobs.wall_jumps && world->faults &&
        sim_random_chance(&world->random, WALL_JUMP_RATE)) {
        world->wall_offset_ms = sim_random_between(&world->random, 0, 2 * WALL_JUMP_MS);
        world->wall_offset_ms -= WALL_JUMP_MS;
        world->figures.clock_sets++;
    }
}

int sim_step(struct sim_world *world)
{
    uint32_t at = pick_agent(world);
    world->busy |= 1u << at;
    int work = agent_pump(world->agents[at]);
    world->busy &= ~(1u << at);
    sim_world_note(world->agents[at]->name + sizeof "strid-" - 1, at, (uint64_t)work,
                   (uint64_t)world->now_ns);
    world->idle = work > 0 ? 0 : world->idle + 1;
    move_clock(world);
    sim_deferred_step();
    world->steps++;
    if (!world->crash.dead)
        sim_check_step(world, work > 0);
    return work;
}

void sim_step_yield(void)
{
    struct sim_world *world = sim_world;
    /* At least two agents stay free, so that one can be picked. */
    uint32_t waiting = (uint32_t)__builtin_popcount(world->busy);
    if (world->agent_count > 0 && waiting > 0)
        sim_crash_perhaps();
    if (world->crash.dead || world->agent_count == 0 || waiting == 0 ||
        waiting + 2 > world->agent_count ||
        !sim_random_chance(&world->random, world->knobs.yield_rate))
        return;
    uint32_t left = sim_random_between(&world->random, 1, NESTED_STEPS_MAX);
    for (; left > 0 && !world->crash.dead; left--) {
        world->figures.nested++;
        (void)sim_step(world);
    }
}
