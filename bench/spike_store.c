/* strid-spike-store DIR: the figures on which the layout of a state directory rests, measured
 * through the store contract: blocks put and synced, sorted files, reads before and after
 * compaction, growth of level 0. Works in a new directory below DIR, which is removed.
 * docs/internals/state.md holds the numbers. */
#include "scratch.h"
#include "state/rocksdb/rocksdb_tuning.h"
#include "state/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    RUNS = 5,
    SYNCS = 200,
    BLOCK_BYTES_RUN = 48 << 20, /* written in one run of one block size */
    KEYS = 1000000,
    KEY_BYTES = 16,
    READS = 200000,
    READS_AT_ONCE = 256,
    LOADS = 10
};

struct spike {
    char path[512];
    struct store *store;
    uint64_t random;
    uint64_t hits;
};

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void need(bool condition, const char *what, const char *why)
{
    if (condition)
        return;
    fprintf(stderr, "strid-spike-store: cannot %s: %s\n", what, why);
    exit(1);
}

static uint64_t next_random(struct spike *spike)
{
    spike->random ^= spike->random << 13;
    spike->random ^= spike->random >> 7;
    spike->random ^= spike->random << 17;
    return spike->random;
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

static void open_store(struct spike *spike)
{
    strid_error err = STRID_ERROR_INIT;
    struct store_config config = {.path = spike->path, .create = true};
    need(store_rocksdb.open(&config, &spike->store, &err) == STRID_OK, "open", err.message);
}

static void measure_fdatasync(const struct spike *spike)
{
    static double times[SYNCS];
    static const uint8_t page[4096];
    char path[560];
    (void)snprintf(path, sizeof path, "%s/fdatasync", spike->path);
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    need(fd >= 0, "write", path);
    for (size_t i = 0; i < SYNCS; i++) {
        need(write(fd, page, sizeof page) == (ssize_t)sizeof page, "write", path);
        double start = now_s();
        need(fdatasync(fd) == 0, "sync", path);
        times[i] = now_s() - start;
    }
    (void)close(fd);
    (void)unlink(path);
    double middle = median(times, SYNCS);
    printf("fdatasync of 4 KiB          %8.3f ms median, %.3f ms at 99 %%\n", middle * 1e3,
           times[SYNCS * 99 / 100] * 1e3);
}

static void block_key(uint8_t key[9], uint64_t number)
{
    key[0] = 'w';
    for (int i = 0; i < 8; i++)
        key[1 + i] = (uint8_t)(number >> (56 - 8 * i));
}

static double blocks_once(struct spike *spike, const uint8_t *value, size_t bytes)
{
    static uint64_t number;
    size_t count = BLOCK_BYTES_RUN / bytes;
    uint8_t key[9];
    double start = now_s();
    for (size_t i = 0; i < count; i++) {
        block_key(key, number + i);
        struct store_op op = {strid_bytes_of(key, sizeof key), strid_bytes_of(value, bytes)};
        need(store_rocksdb.apply(spike->store, &op, 1, NULL) == STRID_OK &&
                 store_rocksdb.sync(spike->store, NULL) == STRID_OK,
             "write", "a block");
    }
    double rate = (double)(count * bytes) / 1e6 / (now_s() - start);
    for (size_t i = 0; i < count; i++) {
        block_key(key, number++);
        struct store_op op = {strid_bytes_of(key, sizeof key), {0}};
        need(store_rocksdb.apply(spike->store, &op, 1, NULL) == STRID_OK, "delete", "a block");
    }
    return rate;
}

static void measure_blocks(struct spike *spike)
{
    uint8_t *value = malloc((size_t)8 << 20);
    need(value != NULL, "allocate", "a block");
    for (size_t i = 0; i < (size_t)8 << 20; i += 8) {
        uint64_t word = next_random(spike);
        memcpy(value + i, &word, 8);
    }
    for (size_t bytes = (size_t)64 << 10; bytes <= (size_t)8 << 20; bytes *= 2) {
        double rates[RUNS];
        (void)blocks_once(spike, value, bytes);
        for (size_t run = 0; run < RUNS; run++)
            rates[run] = blocks_once(spike, value, bytes);
        double middle = median(rates, RUNS);
        printf("put + sync, %5zu KiB blocks %8.0f MB/s (%.0f to %.0f), %.2f ms a block\n",
               bytes >> 10, middle, rates[0], rates[RUNS - 1], (double)bytes / 1e3 / middle);
    }
    free(value);
}

static void state_key(uint8_t key[KEY_BYTES], uint64_t index)
{
    memset(key, 0, KEY_BYTES);
    key[0] = 's';
    for (int i = 0; i < 8; i++)
        key[8 + i] = (uint8_t)(index >> (56 - 8 * i));
}

struct load {
    uint64_t index, end, step;
    uint64_t round; /* of loading: values differ between rounds and keys */
    uint64_t value;
    uint8_t key[KEY_BYTES];
    double written_s; /* when the last key was taken */
};

static bool load_next(void *user, struct store_op *op)
{
    struct load *load = user;
    if (load->index >= load->end) {
        load->written_s = now_s();
        return false;
    }
    state_key(load->key, load->index);
    load->value = (load->index + load->round) * UINT64_C(0x9e3779b97f4a7c15);
    load->index += load->step;
    *op = (struct store_op){strid_bytes_of(load->key, KEY_BYTES), strid_bytes_of(&load->value, 8)};
    return true;
}

static bool count_hit(void *user, size_t index, strid_bytes value)
{
    (void)index;
    *(uint64_t *)user += value.data != NULL;
    return true;
}

/* Reads/s of random keys; every second index exists, so `odd` asks for what does not. */
static double read_rate(struct spike *spike, bool odd)
{
    static uint8_t keys[READS_AT_ONCE][KEY_BYTES];
    strid_bytes views[READS_AT_ONCE];
    spike->hits = 0;
    double start = now_s();
    for (size_t done = 0; done < READS; done += READS_AT_ONCE) {
        for (size_t i = 0; i < READS_AT_ONCE; i++) {
            state_key(keys[i], next_random(spike) % KEYS * 2 + odd);
            views[i] = strid_bytes_of(keys[i], KEY_BYTES);
        }
        need(store_rocksdb.get_many(spike->store, views, READS_AT_ONCE, count_hit, &spike->hits,
                                    NULL) == STRID_OK,
             "read", "state");
    }
    need(odd ? spike->hits == 0 : spike->hits >= READS, "find", "just the keys that were loaded");
    return READS / (now_s() - start);
}

static void print_reads(struct spike *spike, const char *when)
{
    struct store_figures figures;
    (void)read_rate(spike, false);
    double hits = read_rate(spike, false), misses = read_rate(spike, true);
    store_rocksdb.figures(spike->store, &figures);
    printf("reads %-22s %6.2f M hits/s, %.2f M misses/s; level 0: %llu files, all: %.0f MB\n", when,
           hits / 1e6, misses / 1e6, (unsigned long long)figures.level_files[0],
           (double)figures.disk_bytes / 1e6);
}

/* Each file spans all keys: the worst case for level 0, and what a hot pipeline does. */
static void measure_loads(struct spike *spike)
{
    double rates[LOADS], ends[LOADS];
    char when[32];
    for (uint64_t i = 0; i < LOADS; i++) {
        struct load load = {.end = UINT64_C(2) * KEYS, .step = 2, .round = i};
        double start = now_s();
        need(store_rocksdb.bulk_load(spike->store, load_next, &load, NULL) == STRID_OK, "load",
             "state");
        rates[i] = KEYS / (load.written_s - start);
        ends[i] = now_s() - load.written_s;
        (void)snprintf(when, sizeof when, "after load %u", (unsigned)i + 1);
        print_reads(spike, when);
    }
    double rate = median(rates, LOADS), end = median(ends, LOADS);
    printf("sorted file of 1 M keys     %8.2f M keys/s (%.2f to %.2f); its end, sync and ingest "
           "%.1f ms (%.1f to %.1f)\n",
           rate / 1e6, rates[0] / 1e6, rates[LOADS - 1] / 1e6, end * 1e3, ends[0] * 1e3,
           ends[LOADS - 1] * 1e3);
}

/* Small files, each over all keys, as fast as they come: how far level 0 grows. */
static void measure_growth(struct spike *spike)
{
    enum { FILES = 60, STEP = 100 };
    struct store_figures figures;
    uint64_t most = 0;
    double start = now_s(), ends = 0;
    for (uint64_t i = 0; i < FILES; i++) {
        struct load load = {.end = UINT64_C(2) * KEYS, .step = STEP, .round = i};
        need(store_rocksdb.bulk_load(spike->store, load_next, &load, NULL) == STRID_OK, "load",
             "state");
        ends += now_s() - load.written_s;
        store_rocksdb.figures(spike->store, &figures);
        most = figures.level_files[0] > most ? figures.level_files[0] : most;
    }
    printf("%d files of %d keys at once: %.2f s, end + ingest %.1f ms each, level 0 up to %llu "
           "files\n",
           FILES, 2 * KEYS / STEP, now_s() - start, ends / FILES * 1e3, (unsigned long long)most);
    store_rocksdb.figures(spike->store, &figures);
    uint64_t before = figures.level_files[0];
    double rate = read_rate(spike, false);
    store_rocksdb.figures(spike->store, &figures);
    printf(
        "reads at once after that    %8.2f M hits/s while level 0 goes from %llu to %llu files\n",
        rate / 1e6, (unsigned long long)before, (unsigned long long)figures.level_files[0]);
}

static void compact(struct spike *spike)
{
    struct rocksdb_tuning tuning;
    char *text = NULL;
    store_rocksdb.close(spike->store);
    rocksdb_tuning_init(&tuning, 0, 0);
    rocksdb_t *db = rocksdb_open(tuning.options, spike->path, &text);
    need(text == NULL, "open", text);
    double start = now_s();
    rocksdb_compact_range(db, NULL, 0, NULL, 0);
    printf("compaction of everything    %8.2f s\n", now_s() - start);
    rocksdb_close(db);
    rocksdb_tuning_fini(&tuning);
    open_store(spike);
}

int main(int argc, char **argv)
{
    struct spike spike = {.random = UINT64_C(0x9e3779b97f4a7c15)};
    if (argc != 2) {
        fprintf(stderr, "usage: strid-spike-store DIR\n");
        return 2;
    }
    if (scratch_create(argv[1], spike.path, sizeof spike.path) != 0)
        return 1;
    open_store(&spike);
    measure_fdatasync(&spike);
    measure_blocks(&spike);
    measure_loads(&spike);
    compact(&spike);
    print_reads(&spike, "compacted");
    measure_growth(&spike);
    print_reads(&spike, "after the small files");
    compact(&spike);
    print_reads(&spike, "compacted again");
    store_rocksdb.close(spike.store);
    scratch_remove(spike.path);
    return 0;
}
