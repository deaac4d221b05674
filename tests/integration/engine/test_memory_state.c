/* test_memory_state [--long] [CASE]: `memory` bounds the process also where the state of a few
 * records is as large as all of it: values of 512 KiB that are read, or written again, by every
 * record of a chunk, and subkeys. All state together is far larger than the memory. Each value says
 * how often it was written, so that a record that came twice or never shows. CASE: the beginning of
 * the names of those to run. */
#include <inttypes.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <strid/strid.h>

#include "support/support.h"

#define MIB (UINT64_C(1) << 20)

enum { URL_MAX = SUPPORT_PATH_MAX + 128, KEYS_MAX = 4096, KEY_DIGITS_AT = 4, SUBKEYS = 16 };

static const uint64_t memory = 128 * MIB;

struct state_case {
    const char *name;
    uint64_t size; /* of a value */
    uint64_t keys;
    uint64_t written, read; /* records, one after the other */
    bool in_runs;           /* of their own */
    bool in_subkeys;        /* of SUBKEYS parts */
    bool by_hand;           /* with --long only */
};

static const struct state_case cases[] = {
    {"values of 512 KiB", MIB / 2, 600, 800, 800, false, false, false},
    {"values of 100 KiB", 100 << 10, 2500, 3000, 2500, true, false, false},
    {"values of 512 KiB in 16 subkeys", MIB / 2, 600, 600, 0, false, true, false},
    {"values of 1 MiB", MIB, 300, 400, 400, false, false, true},
    {"start with values of 1 MiB", MIB, 300, 400, 400, true, false, true},
};

struct state_run {
    const struct state_case *of;
    strid_store store;
    uint64_t times;
    uint32_t counts[KEYS_MAX]; /* @thread the worker that owns the key */
    _Atomic uint64_t records, wrong;
};

static void end(const char *what, const char *message)
{
    fprintf(stderr, "test_memory_state: %s: %s\n", what, message);
    exit(1);
}

static uint64_t key_of(const strid_record *record)
{
    uint64_t key = 0;
    for (size_t i = KEY_DIGITS_AT; i < record->key.len; i++)
        key = 10 * key + (uint64_t)(record->key.data[i] - '0');
    return key % KEYS_MAX;
}

static uint8_t *value_of(void)
{
    static _Thread_local uint8_t value[MIB];
    return value;
}

/* Not to be compressed. */
static uint64_t word_of(uint32_t count, uint64_t i)
{
    uint64_t word = (i + 1 + ((uint64_t)count << 32)) * UINT64_C(0x9e3779b97f4a7c15);
    return (word ^ word >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

/* Whether the state says that the key was written `count` times. */
static bool is_right(strid_state_kind kind, strid_bytes value, uint64_t size, uint32_t count)
{
    uint64_t first, last;
    if (count == 0)
        return kind == STRID_STATE_ABSENT;
    if (kind != STRID_STATE_BYTES || value.len != size)
        return false;
    memcpy(&first, value.data, sizeof first);
    memcpy(&last, value.data + value.len - sizeof last, sizeof last);
    return first == word_of(count, 0) && last == word_of(count, size / sizeof last - 1);
}

static bool put(strid_context *ctx, const struct state_run *run, const uint8_t *subkey,
                uint32_t count)
{
    uint64_t size = run->of->in_subkeys ? run->of->size / SUBKEYS : run->of->size;
    uint8_t *bytes = value_of();
    for (uint64_t i = 0; i < size / sizeof(uint64_t); i++) {
        uint64_t word = word_of(count, i);
        memcpy(bytes + i * sizeof word, &word, sizeof word);
    }
    strid_bytes value = strid_bytes_of(bytes, size);
    return (subkey == NULL ? strid_state_put(ctx, run->store, value)
                           : strid_state_put_sub(ctx, run->store, strid_bytes_of(subkey, 1),
                                                 value)) == STRID_OK;
}

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    struct state_run *run = user;
    uint32_t *count = &run->counts[key_of(record)];
    bool right = true;
    uint8_t parts = run->of->in_subkeys ? SUBKEYS : 1;
    bool writes = record->position.low < run->of->written * run->times;
    for (uint8_t i = 0; i < parts; i++) {
        strid_bytes value = {0};
        strid_state_kind kind =
            run->of->in_subkeys
                ? strid_state_get_sub(ctx, run->store, strid_bytes_of(&i, 1), &value)
                : strid_state_get(ctx, run->store, &value);
        right = right && is_right(kind, value, run->of->size / parts, *count);
        if (writes)
            right = put(ctx, run, run->of->in_subkeys ? &i : NULL, *count + 1) && right;
    }
    *count += writes;
    atomic_fetch_add_explicit(&run->wrong, !right, memory_order_relaxed);
    atomic_fetch_add_explicit(&run->records, 1, memory_order_relaxed);
    return STRID_DONE;
}

static uint64_t peak_bytes(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

static void run_once(struct state_run *run, const char *state, uint64_t records)
{
    strid_error err = STRID_ERROR_INIT;
    char source[URL_MAX];
    uint64_t before = atomic_load(&run->records);
    (void)snprintf(source, sizeof source,
                   "generator:?seed=9&keys=%" PRIu64 "&size=32&records=%" PRIu64, run->of->keys,
                   before + records);
    const strid_pipeline_options options = {STRID_PIPELINE_OPTIONS_INIT,
                                            .name = "large",
                                            .source = source,
                                            .state = state,
                                            .format = "raw",
                                            .workers = 2,
                                            .memory_bytes = memory};
    const strid_store_options store = {STRID_STORE_OPTIONS_INIT, .ordered = run->of->in_subkeys};
    strid_pipeline *pipeline = strid_pipeline_create(&options, &err);
    if (pipeline == NULL ||
        strid_pipeline_add_store_with(pipeline, "large", &store, &run->store, &err) != STRID_OK ||
        strid_pipeline_on(pipeline, "*", handle, run, &err) != STRID_OK ||
        strid_pipeline_run(pipeline, &err) != STRID_OK)
        end(run->of->name, err.message);
    strid_pipeline_destroy(pipeline);
    if (atomic_load(&run->records) != before + records)
        end(run->of->name, "not all records came");
    if (atomic_load(&run->wrong) != 0)
        end(run->of->name, "a value is not what was written last");
    printf("%s: peak %" PRIu64 " of %" PRIu64 " MiB\n", run->of->name, peak_bytes() / MIB,
           memory / MIB);
    (void)fflush(stdout);
    if (peak_bytes() > memory + memory / 5)
        end(run->of->name, "more than a fifth over");
}

/* In a process of its own, so that its peak is that of no other. */
static void run_apart(struct state_run *run, const char *state, uint64_t records)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        run_once(run, state, records);
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        end(run->of->name, "the run did not end well");
}

static void run_case(const struct state_case *of, uint64_t times)
{
    struct support_directory directory;
    char state[URL_MAX];
    struct state_run *run =
        mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run == MAP_FAILED)
        end(of->name, "no memory");
    run->of = of;
    support_directory_create(&directory);
    (void)snprintf(state, sizeof state, "rocksdb:%s/state", directory.path);
    run->times = times;
    run_apart(run, state, (of->written + (of->in_runs ? 0 : of->read)) * times);
    if (of->in_runs)
        run_apart(run, state, of->read * times);
    support_directory_remove(&directory);
    (void)munmap(run, sizeof *run);
}

int main(int argc, char **argv)
{
    bool is_long = argc > 1 && strcmp(argv[1], "--long") == 0;
    const char *wanted = argc > 1 + is_long ? argv[1 + is_long] : "";
    /* As the command does; docs/internals/state.md. */
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if ((is_long || !cases[i].by_hand || wanted[0] != '\0') &&
            strncmp(cases[i].name, wanted, strlen(wanted)) == 0)
            run_case(&cases[i], is_long ? 10 : 1);
    return 0;
}
