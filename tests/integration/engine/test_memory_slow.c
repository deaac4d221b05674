/* test_memory_slow [--long]: `memory` bounds the process also where handlers are slow, so that all
 * that may wait does: small records, records of 1 MiB, outputs. --long: a hundred times the memory
 * in input. */
#include <inttypes.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <strid/strid.h>

#include "support/support.h"

#define MIB (UINT64_C(1) << 20)

enum { URL_MAX = SUPPORT_PATH_MAX + 128, SLEEP_EVERY_BYTES = 256 << 10 };

static const uint64_t memory = 128 * MIB;

struct slow_case {
    const char *name;
    uint64_t size;  /* of a record */
    uint64_t times; /* the memory, in input */
    bool emits;
};

static const struct slow_case cases[] = {
    {"small records", 4096, 4, false},
    {"records of 1 MiB", MIB, 4, false},
    {"outputs of 64 KiB", 64 << 10, 3, true},
};

struct slow_run {
    const struct slow_case *of;
    strid_store counts;
    _Atomic uint64_t records;
};

static void end(const char *what, const char *message)
{
    fprintf(stderr, "test_memory_slow: %s: %s\n", what, message);
    exit(1);
}

/* Slower than the source by far: a millisecond for each 256 KiB. */
static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    static _Thread_local uint64_t bytes;
    struct slow_run *run = user;
    strid_state_put_i64(ctx, run->counts, strid_state_get_i64(ctx, run->counts, 0) + 1);
    for (bytes += record->value.len; bytes >= SLEEP_EVERY_BYTES; bytes -= SLEEP_EVERY_BYTES)
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    atomic_fetch_add_explicit(&run->records, 1, memory_order_relaxed);
    if (run->of->emits && strid_emit(ctx, "out", record->key, record->value) != STRID_OK)
        return STRID_REJECT;
    return STRID_DONE;
}

static uint64_t peak_bytes(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

static void run_case(const struct slow_case *of, uint64_t times)
{
    struct support_directory directory;
    struct slow_run run = {.of = of};
    strid_error err = STRID_ERROR_INIT;
    char source[URL_MAX], state[URL_MAX], out[URL_MAX];
    uint64_t records = times * memory / of->size;
    support_directory_create(&directory);
    (void)snprintf(source, sizeof source,
                   "generator:?seed=9&keys=20000&size=%" PRIu64 "&records=%" PRIu64, of->size,
                   records);
    (void)snprintf(state, sizeof state, "rocksdb:%s/state", directory.path);
    (void)snprintf(out, sizeof out, "file:%s/out", directory.path);
    const strid_pipeline_options options = {STRID_PIPELINE_OPTIONS_INIT,
                                            .name = "slow",
                                            .source = source,
                                            .state = state,
                                            .format = "raw",
                                            .workers = 2,
                                            .memory_bytes = memory};
    strid_pipeline *pipeline = strid_pipeline_create(&options, &err);
    if (pipeline == NULL ||
        strid_pipeline_add_store(pipeline, "counts", &run.counts, &err) != STRID_OK ||
        (of->emits && strid_pipeline_add_sink(pipeline, "out", out, &err) != STRID_OK) ||
        strid_pipeline_on(pipeline, "*", handle, &run, &err) != STRID_OK ||
        strid_pipeline_run(pipeline, &err) != STRID_OK)
        end(of->name, err.message);
    strid_pipeline_destroy(pipeline);
    support_directory_remove(&directory);
    if (atomic_load(&run.records) != records)
        end(of->name, "not all records came");
    printf("%s: %" PRIu64 " times the memory, peak %" PRIu64 " of %" PRIu64 " MiB\n", of->name,
           times, peak_bytes() / MIB, memory / MIB);
    (void)fflush(stdout);
    if (peak_bytes() > memory + memory / 5)
        end(of->name, "more than a fifth over");
}

int main(int argc, char **argv)
{
    bool is_long = argc > 1 && strcmp(argv[1], "--long") == 0;
    /* As the command does; docs/internals/state.md. */
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_case(&cases[i], is_long ? 100 : cases[i].times);
    return 0;
}
