/* strid-bench [--json] [--list] [--hold] [--seconds N] [--runs N] [--keys N] [--memory BYTES]
 *             [--workers N] [--value-bytes N] [--directory DIR] [--rivals DIR] [NAME...]
 *
 * Measures the engine beside the raw library, in turn, in the same process. Runs all workloads
 * whose names begin with one of the NAMEs. Exit 0; 1 where a run failed or did not add up; 2 wrong
 * usage. */
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "scratch.h"
#include "workload.h"

static const struct workload workloads[] = {
    {.name = "engine_noop",
     .summary = "records through the engine, no state",
     .run = engine_noop,
     .keys = 100000},
    {.name = "engine_count_100k",
     .summary = "a durable count per key, uniform keys",
     .run = engine_count,
     .keys = 100000},
    {.name = "engine_count_1m",
     .summary = "a durable count per key, uniform keys",
     .run = engine_count,
     .keys = 1000000},
    {.name = "engine_count_10m",
     .summary = "a durable count per key, uniform keys",
     .run = engine_count,
     .keys = 10000000},
    {.name = "engine_count_10m_zipf",
     .summary = "a durable count per key, Zipf keys",
     .run = engine_count,
     .keys = 10000000,
     .zipf = true},
    {.name = "engine_count_retry1pc",
     .summary = "a count per key, one record in 100 fails once",
     .run = engine_retry,
     .keys = 100000},
    {.name = "engine_count_spill",
     .summary = "a durable count per key, ten times more of them than memory holds",
     .run = engine_spill,
     .memory = UINT64_C(64) << 20},
    {.name = "engine_cost",
     .summary = "a record after 100,000 others and after 100 million",
     .run = engine_cost,
     .keys = 1000},
    {.name = "engine_bytes_1k",
     .summary = "values of 1 KiB rewritten",
     .run = engine_bytes,
     .keys = 1000000},
    {.name = "file_count",
     .summary = "lines of a JSON file, counted by key",
     .run = file_count,
     .keys = 100000},
    {.name = "kafka_noop",
     .summary = "records of a Kafka topic, handled by nothing",
     .run = kafka_noop,
     .keys = 100000},
    {.name = "kafka_count",
     .summary = "records of a Kafka topic, counted by key",
     .run = kafka_count,
     .keys = 100000},
    {.name = "kafka_produce",
     .summary = "records sent to a Kafka topic, acknowledged",
     .run = kafka_produce,
     .keys = 100000},
    {.name = "kafka_sweep_0",
     .summary = "records of a Kafka topic, handled at once",
     .run = kafka_sweep,
     .keys = 1000},
    {.name = "kafka_sweep_100us",
     .summary = "records of a Kafka topic, handled by a wait of 100 us",
     .run = kafka_sweep,
     .keys = 1000,
     .wait_us = 100},
    {.name = "kafka_sweep_1ms",
     .summary = "records of a Kafka topic, handled by a wait of 1 ms",
     .run = kafka_sweep,
     .keys = 1000,
     .wait_us = 1000},
    {.name = "kafka_sweep_10ms",
     .summary = "records of a Kafka topic, handled by a wait of 10 ms",
     .run = kafka_sweep,
     .keys = 1000,
     .wait_us = 10000},
    {.name = "redis_read_ack",
     .summary = "entries of a Redis stream, read and acknowledged",
     .run = redis_read_ack,
     .keys = 100000},
    {.name = "redis_count",
     .summary = "entries of a Redis stream, counted by key",
     .run = redis_count,
     .keys = 100000},
    {.name = "redis_produce",
     .summary = "entries added to a Redis stream by a producer",
     .run = redis_produce,
     .keys = 100000},
    {.name = "redis_latency",
     .summary = "from XADD to the handler, 20,000 entries a second",
     .run = redis_latency,
     .keys = 100000},
};

#define MEMORY_DEFAULT (UINT64_C(4) << 30)

enum {
    WORKLOADS = sizeof workloads / sizeof workloads[0],
    HOLD_SECONDS = 60,
    RUN_SECONDS = 10,
    ARENAS_MAX = 2, /* of the held run */
    MAP_FROM_BYTES = 256 << 10
};

struct arguments {
    struct bench_settings settings;
    const char *base; /* where the scratch directory is made */
    bool list;
    bool hold;
    int names; /* index of the first NAME in argv */
};

static int usage(const char *what)
{
    fprintf(stderr,
            "strid-bench: %s\nusage: strid-bench [--json] [--list] [--hold] [--seconds N] "
            "[--runs N] [--keys N] [--memory BYTES] [--workers N] [--value-bytes N] [--directory "
            "DIR] [--rivals DIR] [NAME...]\n",
            what);
    return 2;
}

/* A positive number that is all of `text`; 0: it is none. */
static double parse_number(const char *text)
{
    char *end = NULL;
    double number = strtod(text, &end);
    return end != text && *end == '\0' && number > 0 ? number : 0;
}

static int parse_value(struct arguments *out, const char *name, const char *text)
{
    struct bench_settings *settings = &out->settings;
    if (strcmp(name, "--directory") == 0) {
        out->base = text;
        return 0;
    }
    if (strcmp(name, "--rivals") == 0) {
        settings->rivals = text;
        return 0;
    }
    double number = parse_number(text);
    if (number <= 0 || number > 1e15)
        return usage("a value has to be a positive number");
    if (strcmp(name, "--seconds") == 0)
        settings->seconds = number;
    else if (strcmp(name, "--runs") == 0 && number <= MEASURE_RUNS_MAX)
        settings->runs = (uint32_t)number;
    else if (strcmp(name, "--keys") == 0)
        settings->keys = (uint64_t)number;
    else if (strcmp(name, "--memory") == 0)
        settings->memory = (uint64_t)number;
    else if (strcmp(name, "--workers") == 0 && number <= 64)
        settings->workers = (uint32_t)number;
    else if (strcmp(name, "--value-bytes") == 0 && number <= 1 << 20)
        settings->value_bytes = (uint32_t)number;
    else
        return usage("an option is unknown or its value out of range");
    return 0;
}

static int parse(int argc, char **argv, struct arguments *out)
{
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            out->settings.json = true;
        } else if (strcmp(argv[i], "--list") == 0) {
            out->list = true;
        } else if (strcmp(argv[i], "--hold") == 0) {
            out->hold = true;
        } else {
            if (i + 1 == argc)
                return usage("an option is unknown or without a value");
            int result = parse_value(out, argv[i], argv[i + 1]);
            if (result != 0)
                return result;
            i++;
        }
    }
    out->names = i;
    return 0;
}

static bool is_wanted(const struct workload *workload, int count, char **names)
{
    for (int i = 0; i < count; i++)
        if (strncmp(workload->name, names[i], strlen(names[i])) == 0)
            return true;
    return count == 0;
}

/* As the command does, whose memory a held run is to show: with an arena for each thread RocksDB's
 * threads keep what they freed. */
static void bound_allocator(void)
{
#ifdef M_ARENA_MAX
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX);
    (void)mallopt(M_MMAP_THRESHOLD, MAP_FROM_BYTES);
#endif
}

static int run_workload(const struct workload *workload, const struct arguments *arguments)
{
    char directory[MEASURE_PATH_MAX / 2];
    if (scratch_create(arguments->base, directory, sizeof directory) != 0)
        return -1;
    struct bench_settings settings = arguments->settings;
    settings.directory = directory;
    if (settings.memory == 0)
        settings.memory = workload->memory != 0 ? workload->memory : MEMORY_DEFAULT;
    if (arguments->hold)
        settings.hold_seconds = (uint32_t)(settings.seconds + 0.999);
    int result = workload->run(workload, &settings);
    scratch_remove(directory);
    return result;
}

int main(int argc, char **argv)
{
    const char *base = getenv("TMPDIR");
    struct arguments arguments = {.settings = {.runs = 5, .value_bytes = 100},
                                  .base = base == NULL || base[0] == '\0' ? "/tmp" : base};
    int result = parse(argc, argv, &arguments);
    if (result != 0)
        return result;
    if (arguments.settings.seconds <= 0)
        arguments.settings.seconds = arguments.hold ? HOLD_SECONDS : RUN_SECONDS;
    int count = argc - arguments.names;
    char **names = argv + arguments.names;
    int wanted = 0;
    for (int i = 0; i < WORKLOADS; i++)
        wanted += is_wanted(&workloads[i], count, names);
    if (wanted == 0)
        return usage("no workload begins with that name (see --list)");
    if (!arguments.list)
        report_begin(&arguments.settings);
    if (arguments.hold)
        bound_allocator();
    int failed = 0;
    for (int i = 0; i < WORKLOADS; i++) {
        if (!is_wanted(&workloads[i], count, names))
            continue;
        if (arguments.list)
            printf("%-24s %s\n", workloads[i].name, workloads[i].summary);
        else if (run_workload(&workloads[i], &arguments) != 0)
            failed++;
    }
    return failed == 0 ? 0 : 1;
}
