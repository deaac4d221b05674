/* The hot path does not allocate: readers and workers make at most one allocation in 10,000 records
 * once they are warm. Counted in the whole process while a pipeline runs. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <strid/strid.h>

#include "allocations.h"
#include "support/support.h"

enum {
    RECORDS_PER_ALLOCATION = 10000,
    TEXT_MAX = SUPPORT_PATH_MAX + 192,
    BROKEN_ONE_IN = 1000,
    ALLOCATIONS_PER_LETTER = 2
};

struct hot_case {
    const char *name;
    const char *source; /* NULL: a file of JSON lines */
    uint64_t keys, warm, counted, memory;
    bool misses;    /* the cache holds a part of the keys */
    bool emits;     /* each record goes to a file sink as well */
    bool allocates; /* the handler allocates: the counting has to see it */
};

struct hot_run {
    const struct hot_case *of;
    strid_store counts;
    _Atomic uint64_t records;
    struct allocations before, after;
};

static const struct hot_case cases[] = {
    {.name = "count, all keys in the cache",
     .source = "generator:?seed=1&keys=10000&size=100&records=2500000",
     .warm = 500000,
     .counted = 1500000},
    {.name = "two partitions",
     .source = "generator:?seed=1&keys=10000&size=100&partitions=2&records=2500000",
     .warm = 500000,
     .counted = 1500000},
    {.name = "JSON lines of a file, some of them broken",
     .keys = 10000,
     .warm = 300000,
     .counted = 500000},
    {.name = "outputs to a file",
     .source = "generator:?seed=1&keys=10000&size=100&records=1000000",
     .warm = 400000,
     .counted = 500000,
     .emits = true},
    {.name = "eviction and misses",
     .source = "generator:?seed=1&keys=300000&size=100&records=1000000",
     .warm = 700000,
     .counted = 200000,
     .memory = UINT64_C(16) << 20,
     .misses = true},
    {.name = "a handler that allocates",
     .source = "generator:?seed=1&keys=10000&size=100&records=300000",
     .warm = 100000,
     .counted = 100000,
     .allocates = true},
};

static void end(const char *what, const char *message)
{
    fprintf(stderr, "test_allocations: %s: %s\n", what, message);
    exit(1);
}

static void check(strid_status status, const char *what, const strid_error *err)
{
    if (status != STRID_OK)
        end(what, err->message);
}

/* By a pointer that the compiler cannot see through: it drops a pair of malloc and free. */
static void *(*volatile allocate)(size_t bytes) = malloc;

static strid_outcome count(strid_context *ctx, const strid_record *record, void *user)
{
    struct hot_run *run = user;
    const struct hot_case *of = run->of;
    strid_state_put_i64(ctx, run->counts, strid_state_get_i64(ctx, run->counts, 0) + 1);
    if (of->emits && strid_emit(ctx, "out", record->key, record->value) != STRID_OK)
        return STRID_REJECT;
    if (of->allocates)
        free(allocate(1 + record->key.len));
    uint64_t n = atomic_fetch_add_explicit(&run->records, 1, memory_order_relaxed) + 1;
    if (n == of->warm)
        allocations_take(&run->before);
    if (n == of->warm + of->counted)
        allocations_take(&run->after);
    return STRID_DONE;
}

static void write_lines(const char *path, const struct hot_case *of)
{
    FILE *file = fopen(path, "wb");
    uint64_t lines = (of->warm + of->counted) / (BROKEN_ONE_IN - 1) * BROKEN_ONE_IN + 100000;
    for (uint64_t i = 0; file != NULL && i < lines; i++)
        (void)fprintf(file,
                      "{\"n\":%" PRIu64 ",\"customer\":\"c%07" PRIu64 "\",\"note\":\"%s\"%s\n", i,
                      i * 7919 % of->keys, i % 3 == 0 ? "left at the \\u0064oor" : "none",
                      i % BROKEN_ONE_IN == 0 ? "" : "}");
    if (file == NULL || fclose(file) != 0)
        end(path, "cannot be written");
}

static strid_pipeline *create(struct hot_run *run, const char *directory)
{
    const struct hot_case *of = run->of;
    char path[SUPPORT_PATH_MAX + 64], source[TEXT_MAX], state[TEXT_MAX], dlq[TEXT_MAX],
        out[TEXT_MAX];
    strid_error err = STRID_ERROR_INIT;
    (void)snprintf(path, sizeof path, "%s/lines", directory);
    (void)snprintf(source, sizeof source, "file:%s", path);
    (void)snprintf(state, sizeof state, "rocksdb:%s/state", directory);
    (void)snprintf(dlq, sizeof dlq, "file:%s/dlq", directory);
    (void)snprintf(out, sizeof out, "file:%s/out", directory);
    if (of->source == NULL)
        write_lines(path, of);
    const strid_pipeline_options options = {
        STRID_PIPELINE_OPTIONS_INIT, .name = "hot",
        .source = of->source == NULL ? source : of->source, .state = state,
        .format = of->source == NULL ? "jsonl" : "raw",
        .key = of->source == NULL ? "customer" : NULL, .dlq = dlq,
        /* alone it counts between two calls, to the record */
        .workers = of->allocates ? 1 : 2, .memory_bytes = of->memory};
    strid_pipeline *pipeline = strid_pipeline_create(&options, &err);
    if (pipeline == NULL)
        end("create", err.message);
    check(strid_pipeline_add_store(pipeline, "counts", &run->counts, &err), "store", &err);
    if (of->emits)
        check(strid_pipeline_add_sink(pipeline, "out", out, &err), "sink", &err);
    check(strid_pipeline_on(pipeline, "*", count, run, &err), "handler", &err);
    return pipeline;
}

/* What RocksDB allocates within a read that misses the cache is its own affair, and told. */
static bool is_few(const struct hot_run *run, const char *thread)
{
    const struct hot_case *of = run->of;
    uint64_t rocksdb = 0;
    uint64_t all = allocations_between(&run->before, &run->after, thread, &rocksdb);
    uint64_t allowed = of->counted / RECORDS_PER_ALLOCATION;
    if (of->source == NULL) /* a dead letter takes its place in the order of its key's subkeys */
        allowed += of->counted / BROKEN_ONE_IN * ALLOCATIONS_PER_LETTER;
    uint64_t counted = of->misses ? all - rocksdb : all;
    bool right = of->allocates && strcmp(thread, "strid-worker") == 0 ? counted >= of->counted
                                                                      : counted <= allowed;
    if (of->misses && strcmp(thread, "strid-worker") == 0)
        right = right && rocksdb > 0; /* or nothing was missed */
    printf("%s: %s: %" PRIu64 " allocations over %" PRIu64 " records, %" PRIu64
           " of them within RocksDB; %" PRIu64 " may be%s\n",
           of->name, thread, all, of->counted, rocksdb, allowed, right ? "" : ": WRONG");
    return right;
}

static bool run_case(const struct hot_case *of)
{
    struct support_directory directory;
    struct hot_run *run = calloc(1, sizeof *run);
    strid_error err = STRID_ERROR_INIT;
    if (run == NULL)
        end(of->name, "out of memory");
    run->of = of;
    support_directory_create(&directory);
    strid_pipeline *pipeline = create(run, directory.path);
    check(strid_pipeline_run(pipeline, &err), of->name, &err);
    strid_pipeline_destroy(pipeline);
    support_directory_remove(&directory);
    if (atomic_load(&run->records) < of->warm + of->counted)
        end(of->name, "too few records came");
    bool right = is_few(run, "strid-reader");
    right = is_few(run, "strid-worker") && right;
    free(run);
    return right;
}

int main(void)
{
    bool right = true;
    allocations_init();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        right = run_case(&cases[i]) && right;
    return right ? 0 : 1;
}
