/* Counting the lines of a JSON file by key, durably: the engine against simdjson alone, which
 * parses the same lines from memory and takes the key of each. One line in a thousand is broken. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_run.h"
#include "raw/keys.h"
#include "raw/simdjson_loop.h"
#include "report.h"
#include "scratch.h"
#include "workload.h"

/* A file lasts as long as a run where the engine reads it at the rate that is wanted of it; one
 * that is held reads some twice as many. Lines repeat after BLOCK_LINES, so that a file of many GiB
 * is written at the speed of the disk. */
enum {
    LINES_PER_SECOND = 3000000,
    LINES_PER_SECOND_HELD = 7000000,
    BLOCK_LINES = 1000000,
    LINE_BYTES_MAX = 128,
    BROKEN_ONE_IN = 1000
};

struct lines {
    const struct workload *workload;
    const struct bench_settings *settings;
    strid_store store;
    char path[MEASURE_PATH_MAX];
    char source[MEASURE_PATH_MAX + 16];
    char dlq_path[MEASURE_PATH_MAX];
    char dlq[MEASURE_PATH_MAX + 16];
    char state_directory[MEASURE_PATH_MAX];
    char state[MEASURE_PATH_MAX + 16];
    uint64_t count;
    uint64_t broken;
    struct simdjson_text *text;
};

/* The lines that the file repeats. Returns their bytes. */
static size_t make_block(char *block, uint64_t key_count)
{
    struct keys keys;
    keys_init(&keys, 3, key_count, false);
    size_t size = 0;
    for (uint64_t i = 0; i < BLOCK_LINES; i++) {
        bool broken = i % BROKEN_ONE_IN == BROKEN_ONE_IN - 1;
        int length =
            snprintf(block + size, LINE_BYTES_MAX,
                     "{\"customer\":\"c%011" PRIu64 "\",\"kind\":\"order\",\"amount\":%" PRIu64
                     ".%02" PRIu64 ",\"n\":%09" PRIu64 "%s",
                     keys_next(&keys), i % 997, i % 100, i + 100000000,
                     broken ? "\n" : ",\"note\":\"leave it at the door\"}\n");
        size += (size_t)length;
    }
    return size;
}

static int write_lines(struct lines *lines, uint64_t key_count)
{
    char *block = malloc((size_t)BLOCK_LINES * LINE_BYTES_MAX);
    FILE *file = fopen(lines->path, "wb");
    bool written = block != NULL && file != NULL;
    size_t size = written ? make_block(block, key_count) : 0;
    for (uint64_t done = 0; written && done < lines->count; done += BLOCK_LINES)
        written = fwrite(block, 1, size, file) == size;
    if (file != NULL && fclose(file) != 0)
        written = false;
    free(block);
    lines->broken = lines->count / BROKEN_ONE_IN;
    return written ? 0 : measure_failed(lines->path, strerror(errno));
}

static strid_outcome count_line(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    const struct lines *lines = user;
    strid_state_put_i64(ctx, lines->store, strid_state_get_i64(ctx, lines->store, 0) + 1);
    return STRID_DONE;
}

/* Every run reads the whole file into a new state directory. */
static int run_engine(struct lines *lines, bool hold, struct bench_run *out)
{
    scratch_remove(lines->state_directory);
    scratch_remove(lines->dlq_path);
    const struct engine_run run = {.name = lines->workload->name,
                                   .source = lines->source,
                                   .state = lines->state,
                                   .directory = lines->state_directory,
                                   .format = "jsonl",
                                   .key = "customer",
                                   .dlq = lines->dlq,
                                   .store = "lines",
                                   .store_out = &lines->store,
                                   .handler = count_line,
                                   .user = lines,
                                   .settings = lines->settings,
                                   .hold = hold};
    strid_pipeline_stats stats;
    if (engine_run(&run, out, &stats) != 0)
        return -1;
    int64_t sum = 0;
    uint64_t keys = 0;
    if (engine_run_sum(lines->state, "lines", &sum, &keys) != 0)
        return -1;
    out->records = lines->count;
    if ((uint64_t)sum == lines->count - lines->broken && stats.dead_lettered == lines->broken)
        return 0;
    fprintf(stderr,
            "strid-bench: %s: %" PRId64 " counted and %" PRIu64 " dead-lettered of %" PRIu64
            " lines, %" PRIu64 " of them broken\n",
            run.name, sum, stats.dead_lettered, lines->count, lines->broken);
    return -1;
}

/* Side 0 is the engine, the others are the forms of simdjson. All read the whole input. */
static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    (void)seconds;
    struct lines *lines = user;
    if (side == 0)
        return run_engine(lines, false, out);
    enum simdjson_form form = (enum simdjson_form)(side - 1);
    double cpu_s = measure_cpu_s();
    double wall_s = measure_wall_s();
    uint64_t good = simdjson_loop(lines->text, form, "customer");
    out->wall_s = measure_wall_s() - wall_s;
    out->cpu_s = measure_cpu_s() - cpu_s;
    out->records = lines->count;
    if (good < lines->count - lines->broken)
        return measure_failed(simdjson_form_name(form), "passed over whole lines");
    if (simdjson_form_checks(form) && good != lines->count - lines->broken)
        return measure_failed(simdjson_form_name(form), "took broken lines for whole ones");
    return 0;
}

/* The fastest form that yields what the engine yields, each broken line found, is the baseline; the
 * others follow for information, each under a name of its own. */
static void report_forms(const struct lines *lines, const struct measure_figures *figures)
{
    uint32_t fastest = 0;
    for (uint32_t side = 1; side <= SIMDJSON_FORMS; side++)
        if (simdjson_form_checks((enum simdjson_form)(side - 1)) &&
            (fastest == 0 || figures[side].median > figures[fastest].median))
            fastest = side;
    struct report_line line = {.name = lines->workload->name,
                               .baseline_name =
                                   simdjson_form_name((enum simdjson_form)(fastest - 1)),
                               .unit = "records/s",
                               .engine = figures[0],
                               .baseline = figures[fastest]};
    report_line(lines->settings, &line);
    for (uint32_t side = 1; side <= SIMDJSON_FORMS; side++) {
        if (side == fastest)
            continue;
        char name[96];
        line.baseline_name = simdjson_form_name((enum simdjson_form)(side - 1));
        (void)snprintf(name, sizeof name, "%s_vs_%s", lines->workload->name, line.baseline_name);
        line.name = name;
        line.baseline = figures[side];
        report_line(lines->settings, &line);
    }
}

static void init(struct lines *lines)
{
    const char *directory = lines->settings->directory;
    bool hold = lines->settings->hold_seconds != 0;
    double count = hold ? lines->settings->hold_seconds * LINES_PER_SECOND_HELD
                        : lines->settings->seconds * LINES_PER_SECOND;
    lines->count = ((uint64_t)count / BLOCK_LINES + 1) * BLOCK_LINES;
    (void)snprintf(lines->path, sizeof lines->path, "%s/lines.jsonl", directory);
    (void)snprintf(lines->source, sizeof lines->source, "file:%s", lines->path);
    (void)snprintf(lines->dlq_path, sizeof lines->dlq_path, "%s/lines.dlq", directory);
    (void)snprintf(lines->dlq, sizeof lines->dlq, "file:%s", lines->dlq_path);
    (void)snprintf(lines->state_directory, sizeof lines->state_directory, "%s/lines.state",
                   directory);
    (void)snprintf(lines->state, sizeof lines->state, "rocksdb:%s", lines->state_directory);
}

int file_count(const struct workload *workload, const struct bench_settings *settings)
{
    struct lines lines = {.workload = workload, .settings = settings};
    init(&lines);
    if (write_lines(&lines, settings->keys != 0 ? settings->keys : workload->keys) != 0)
        return -1;
    struct bench_run run;
    if (settings->hold_seconds != 0)
        return run_engine(&lines, true, &run);
    lines.text = simdjson_text_load(lines.path);
    if (lines.text == NULL)
        return -1;
    const struct measure_plan plan = {
        .user = &lines, .run = run_side, .side_count = 1 + SIMDJSON_FORMS};
    struct measure_figures figures[MEASURE_SIDES_MAX];
    int result = measure(&plan, settings, figures);
    simdjson_text_free(lines.text);
    if (result == 0)
        report_forms(&lines, figures);
    return result;
}
