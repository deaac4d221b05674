#include "sim_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/memory.h"

#include "sim_handler.h"
#include "sim_outcome.h"

struct sim_world *sim_world;

static const int64_t start_wall_ms = 1700000000000;
static const uint64_t hash_seed = UINT64_C(0x5712d);

static int64_t monotonic_ns(void *user) { return ((struct sim_world *)user)->now_ns; }

static int64_t wall_ms(void *user)
{
    struct sim_world *world = user;
    int64_t now_ms = start_wall_ms + world->wall_offset_ms + world->now_ns / 1000000;
    if (world->wall_max_ms < now_ms)
        world->wall_max_ms = now_ms;
    return now_ms;
}

static void print_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)level;
    if (((struct sim_world *)user)->trace)
        printf("  log %s: %s\n", logger, message);
}

void sim_world_note(const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    struct sim_world *world = sim_world;
    uint64_t first = ((uint64_t)(uint8_t)what[0] << 8 | (uint8_t)what[1]) + a;
    world->hash = sim_random_mix(world->hash + first) + sim_random_mix(b) * 3 + c;
    if (world->trace)
        printf("%8llu %-10s %llu %llu %llu\n", (unsigned long long)world->steps, what,
               (unsigned long long)a, (unsigned long long)b, (unsigned long long)c);
}

void sim_world_violated(const char *invariant, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)fflush(stdout);
    fprintf(stderr, "sim: seed %llu, step %llu: %s: %s; replay it with: sim --seed %llu --trace\n",
            (unsigned long long)sim_world->seed, (unsigned long long)sim_world->steps, invariant,
            text, (unsigned long long)sim_world->seed);
    exit(SIM_CAUGHT);
}

bool sim_world_strikes(uint32_t rate)
{
    return sim_world->faults && sim_random_chance(&sim_world->random, rate);
}

static uint32_t pick_rate(struct sim_random *random)
{
    static const uint32_t rates[] = {0, 1000, 200, 50, 20};
    return rates[sim_random_below(random, 5)];
}

static void pick_knobs(struct sim_knobs *knobs, struct sim_random *random)
{
    static const uint32_t vshards[] = {1, 2, 0, 256};
    *knobs = (struct sim_knobs){
        .readers = sim_random_between(random, 1, 3),
        .chunks_per_reader = sim_random_log(random, 2, 16),
        .chunk_records = sim_random_chance(random, 30) ? 0 : sim_random_log(random, 1, 256),
        .vshards_used = vshards[sim_random_below(random, 4)],
        .workers = sim_random_between(random, 2, SIM_WORKERS_MAX), /* later runs: from 1 on */
        .cache_bytes = (uint64_t)sim_random_log(random, 64, 4096) << 10,
        .redo_bytes = sim_random_log(random, 256, 262144),
        .block_bytes = sim_random_log(random, 64, 65536),
        .load_bytes = sim_random_log(random, 1, 65536),
        .seal_interval_ns =
            sim_random_chance(random, 30) ? 0 : (int64_t)sim_random_log(random, 10, 100000) * 1000,
        .ttl_ms = sim_random_chance(random, 2) ? sim_random_log(random, 2, 100000) : 0,
        .clock_step_us = sim_random_log(random, 1, 2000),
        .store_rate = pick_rate(random),
        .read_rate = pick_rate(random) * 2,
        .sink_rate = pick_rate(random),
        .sink_waits = sim_random_chance(random, 4) ? sim_random_log(random, 1, 30) : 1,
        .outbox_entries = sim_random_chance(random, 30) ? 0 : sim_random_log(random, 1, 300),
        .again_rate = sim_random_log(random, 2, 100),
        .repeat_rate = sim_random_chance(random, 3) ? sim_random_log(random, 5, 500) : 0,
        .wall_jumps = sim_random_chance(random, 2),
        .death_rate = sim_random_chance(random, 2) ? sim_random_log(random, 50, 5000) : 0,
        .yield_rate = sim_random_chance(random, 4) ? 0 : sim_random_log(random, 1, 30),
        .subs = sim_random_chance(random, 2),
        .max_parked = sim_random_chance(random, 3) ? sim_random_log(random, 1, 200) : 0,
        .max_parked_bytes = sim_random_chance(random, 5) ? sim_random_log(random, 100, 100000) : 0,
        .crashes_wanted = sim_random_log(random, 1, 20)};
}

/* Drawn apart, so that sources with an order see nothing of it. */
static void pick_unordered(struct sim_knobs *knobs, uint64_t seed)
{
    struct sim_random random = {.state = sim_random_mix(seed + UINT64_C(0x6c6f7373))};
    knobs->moves = sim_random_chance(&random, 2);
    knobs->loses = !sim_random_chance(&random, 4);
    knobs->unacknowledged = sim_random_chance(&random, 2) ? sim_random_log(&random, 50, 1000) : 0;
    knobs->decline_rate = sim_random_chance(&random, 4) ? 0 : sim_random_log(&random, 2, 20);
}

static void make_sink(struct sim_world *world, uint32_t index, struct sink_definition *out)
{
    char url[8] = "sim:0", name[8] = "out0";
    url[4] = name[3] = (char)('0' + index);
    *out =
        (struct sink_definition){.ops = &sim_sink_ops,
                                 .name = memory_copy_text(index == SIM_DEAD_LETTERS ? "dlq" : name),
                                 .url = memory_copy_text(url),
                                 .target = memory_copy_text(url + 4)};
    world->sinks[index] =
        (struct sink_instance){.definition = out, .args = {.pipeline = "sim", .node = "sim"}};
}

static void make_definition(struct sim_world *world)
{
    static const char *const stores[] = {"chain", "count", "half", "aged", "subs"};
    struct definition *definition = definition_create("sim", NULL);
    strid_status status = STRID_OK;
    uint32_t field;
    STRID_ASSERT(definition != NULL);
    definition->decode.format = DECODE_RAW;
    if (world->input.text) {
        definition->decode.format = DECODE_TEXT;
        definition->decode.pattern = memory_copy_text("(?s)^(?<partition>.{4})(?<type>.)");
    }
    definition->durability = (strid_durability)(STRID_DURABILITY_DURABLE + world->seed % 3);
    definition->max_attempts = world->input.max_attempts;
    definition->retry.min_ms = 1 + (int64_t)(world->seed % 5);
    definition->retry.max_ms = definition->retry.min_ms << world->seed % 4;
    if (world->seed % 7 == 3) { /* fixed pauses */
        definition->retry.step_count = 2;
        definition->retry.steps_ms[0] = definition->retry.min_ms;
        definition->retry.steps_ms[1] = definition->retry.max_ms;
    }
    definition->retry.ordering = world->input.ordering;
    definition->timeout_ms = world->deferred.timeout_ms;
    if (world->input.hands_over)
        definition->retry.hook = sim_outcome_take_over;
    if (world->knobs.max_parked > 0)
        definition->retry.max_parked = world->knobs.max_parked;
    if (world->knobs.max_parked_bytes > 0)
        definition->retry.max_parked_bytes = world->knobs.max_parked_bytes;
    definition->source = (struct source_definition){
        .ops = world->input.unordered ? &sim_unordered_ops : &sim_source_ops,
        .url = memory_copy_text("sim:"),
        .target = memory_copy_text("")};
    for (uint32_t s = 0; s < sizeof stores / sizeof stores[0] && status == STRID_OK; s++) {
        strid_store store;
        status = definition_add_store(definition, stores[s], &store, NULL);
        definition->store_ordered[store] = store == SIM_INPUT_STORE_SUBS;
    }
    if (status == STRID_OK && world->knobs.ttl_ms > 0)
        status = definition_set_ttl(definition, SIM_INPUT_STORE_AGED, world->knobs.ttl_ms, NULL);
    if (status == STRID_OK && world->input.text)
        status = definition_add_field(definition, "partition", &field, NULL);
    if (status == STRID_OK)
        status =
            definition_add_route(definition, "*", "chain", sim_handler_chain, NULL, NULL, NULL);
    if (status == STRID_OK)
        status = definition_add_route(definition, world->input.text ? "*?" : "*", "count",
                                      sim_handler_count, NULL, NULL, NULL);
    STRID_ASSERT(status == STRID_OK);
    definition->sinks = memory_alloc_zeroed(SIM_SINKS * sizeof *definition->sinks);
    definition->sink_count = SIM_SINKS;
    for (uint32_t s = 0; s < SIM_SINKS; s++)
        make_sink(world, s, &definition->sinks[s]);
    make_sink(world, SIM_DEAD_LETTERS, &world->dead_letters);
    world->definition = definition;
}

void sim_world_init(struct sim_world *world, uint64_t seed, enum sim_mode mode, bool trace)
{
    *world = (struct sim_world){.seed = seed, .mode = mode, .trace = trace, .faults = true};
    sim_world = world;
    world->random.state = sim_random_mix(seed + 1);
    world->clock = (struct clock){.monotonic_ns = monotonic_ns, .wall_ms = wall_ms, .user = world};
    log_init(&world->log, print_log, world);
    pick_knobs(&world->knobs, &world->random);
    sim_input_init(&world->input, &world->random, world->knobs.vshards_used, hash_seed);
    if (world->input.unordered)
        pick_unordered(&world->knobs, seed);
    if (world->input.shared && world->input.ordering == STRID_ORDERING_NONE)
        world->knobs.loses = true;
    sim_disk_init(&world->disk);
    sim_audit_init(&world->audit);
    sim_keys_init(&world->keys, &world->input);
    sim_crash_init(&world->crash);
    sim_deferred_init(&world->deferred, &world->input);
    make_definition(world);
    size_t places = (size_t)world->input.partition_count * world->input.key_count;
    world->called = memory_alloc_zeroed(places * sizeof *world->called);
    world->attempted = memory_alloc_zeroed(places * sizeof *world->attempted);
}

void sim_world_fini(struct sim_world *world)
{
    world->faults = false;
    for (uint32_t s = 0; s <= SIM_DEAD_LETTERS; s++) {
        sink_instance_close(&world->sinks[s]);
        buffer_fini(&world->outside[s].waiting);
        buffer_fini(&world->outside[s].declined);
    }
    buffer_fini(&world->source.value);
    for (uint32_t p = 0; p < world->input.partition_count; p++)
        sim_unordered_fini(&world->source.unordered[p]);
    definition_destroy(world->definition);
    definition_free_sink(&world->dead_letters);
    sim_audit_fini(&world->audit);
    sim_keys_fini(&world->keys);
    sim_crash_fini(&world->crash);
    sim_deferred_fini(&world->deferred);
    sim_disk_fini(&world->disk);
    sim_input_fini(&world->input);
    log_fini(&world->log);
    memory_free(world->called);
    memory_free(world->attempted);
    sim_world = NULL;
}
