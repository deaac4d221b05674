#include "rocksdb_loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000, READERS_MAX = 64 };

/* What a batch works on; too large for a stack frame that is called often. */
struct batch {
    uint64_t numbers[BATCH];
    int64_t counts[BATCH];
    char keys[BATCH][KEYS_BYTES];
    const char *key_list[BATCH];
    size_t key_sizes[BATCH];
    rocksdb_pinnableslice_t *values[BATCH];
    char *errors[BATCH];
    rocksdb_writebatch_t *writes;
};

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* Draws the records of a batch; returns how many keys they have, sorted, each once. */
static size_t draw(struct batch *batch, struct keys *keys)
{
    for (size_t i = 0; i < BATCH; i++)
        batch->numbers[i] = keys_next(keys);
    qsort(batch->numbers, BATCH, sizeof batch->numbers[0], compare_numbers);
    size_t count = 0;
    for (size_t i = 0; i < BATCH; i++) {
        if (count > 0 && batch->numbers[i] == batch->numbers[count - 1]) {
            batch->counts[count - 1]++;
            continue;
        }
        batch->numbers[count] = batch->numbers[i];
        batch->counts[count] = 1;
        keys_write(batch->numbers[count], batch->keys[count]);
        batch->key_list[count] = batch->keys[count];
        batch->key_sizes[count] = KEYS_BYTES;
        count++;
    }
    return count;
}

/* What of the batch is there, with the batch's own counts on top. */
static int read_values(const struct database *database, struct batch *batch, size_t count)
{
    rocksdb_batched_multi_get_cf(database->db, database->read_options, database->family, count,
                                 batch->key_list, batch->key_sizes, batch->values, batch->errors,
                                 false); /* as the engine's */
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t value = 0;
        if (batch->values[i] != NULL) {
            size_t len = 0;
            const char *data = rocksdb_pinnableslice_value(batch->values[i], &len);
            if (len == sizeof value)
                memcpy(&value, data, sizeof value);
            rocksdb_pinnableslice_destroy(batch->values[i]);
        }
        result |= database_failed("multi-get", batch->errors[i]);
        batch->counts[i] += value;
    }
    return result;
}

static int update(const struct database *database, struct batch *batch, size_t count)
{
    int result = read_values(database, batch, count);
    rocksdb_writebatch_clear(batch->writes);
    for (size_t i = 0; i < count; i++)
        rocksdb_writebatch_put(batch->writes, batch->keys[i], KEYS_BYTES,
                               (const char *)&batch->counts[i], sizeof batch->counts[i]);
    char *text = NULL;
    rocksdb_write(database->db, database->write_options, batch->writes, &text);
    return result | database_failed("write", text);
}

static int sync_log(const struct database *database, struct bench_run *out)
{
    char *text = NULL;
    rocksdb_flush_wal(database->db, 1, &text);
    out->syncs++;
    return database_failed("sync", text);
}

/* One record by a get and a put. */
static int count_one(const struct database *database, uint64_t number)
{
    char key[KEYS_BYTES];
    keys_write(number, key);
    char *text = NULL;
    int64_t value = 0;
    rocksdb_pinnableslice_t *found =
        rocksdb_get_pinned(database->db, database->read_options, key, sizeof key, &text);
    if (found != NULL) {
        size_t len = 0;
        const char *data = rocksdb_pinnableslice_value(found, &len);
        if (len == sizeof value)
            memcpy(&value, data, sizeof value);
        rocksdb_pinnableslice_destroy(found);
    }
    value++;
    if (text == NULL)
        rocksdb_put(database->db, database->write_options, key, sizeof key, (const char *)&value,
                    sizeof value, &text);
    return database_failed("get and put", text);
}

/* `batch` NULL: the classic loop. The clock starts when the database is open and ends with the last
 * sync. */
static int run(const struct rocksdb_loop *loop, struct batch *batch, double seconds,
               struct bench_run *out)
{
    struct database database;
    if (database_open(&database, loop->path, loop->memory) != 0)
        return -1;
    double cpu_s = measure_cpu_s();
    double start_s = measure_wall_s();
    double synced_s = start_s;
    double now_s = start_s;
    int result = 0;
    while (result == 0 && now_s - start_s < seconds) {
        if (batch != NULL)
            result = update(&database, batch, draw(batch, loop->keys));
        for (size_t i = 0; batch == NULL && result == 0 && i < BATCH; i++)
            result = count_one(&database, keys_next(loop->keys));
        out->records += BATCH;
        now_s = measure_wall_s();
        if (now_s - synced_s < loop->sync_every_s)
            continue;
        result |= sync_log(&database, out);
        synced_s = now_s;
    }
    result |= sync_log(&database, out);
    out->wall_s = measure_wall_s() - start_s;
    out->cpu_s = measure_cpu_s() - cpu_s;
    database_close(&database);
    return result;
}

int rocksdb_loop_batched(const struct rocksdb_loop *loop, double seconds, struct bench_run *out)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return measure_failed("raw_rocksdb", "out of memory");
    batch->writes = rocksdb_writebatch_create();
    int result = run(loop, batch, seconds, out);
    rocksdb_writebatch_destroy(batch->writes);
    free(batch);
    return result;
}

int rocksdb_loop_classic(const struct rocksdb_loop *loop, double seconds, struct bench_run *out)
{
    return run(loop, NULL, seconds, out);
}

/* One thread that reads. */
struct reading {
    const struct database *database;
    struct batch *batch;
    struct keys keys;
    double until_s;
    uint64_t records;
    int result;
    pthread_t thread;
};

static void *read_main(void *user)
{
    struct reading *reading = user;
    while (reading->result == 0 && measure_wall_s() < reading->until_s) {
        size_t count = draw(reading->batch, &reading->keys);
        reading->result = read_values(reading->database, reading->batch, count);
        reading->records += BATCH;
    }
    return NULL;
}

/* As many as could be started; they draw different keys. */
static uint32_t start_reading(struct reading *readings, uint32_t threads,
                              const struct rocksdb_loop *loop, const struct database *database,
                              double until_s)
{
    uint32_t started = 0;
    for (; started < threads; started++) {
        struct reading *reading = &readings[started];
        *reading = (struct reading){.database = database, .until_s = until_s};
        keys_init(&reading->keys, keys_next(loop->keys), loop->keys->count, loop->keys->zipf);
        reading->batch = calloc(1, sizeof *reading->batch);
        if (reading->batch == NULL ||
            pthread_create(&reading->thread, NULL, read_main, reading) != 0) {
            free(reading->batch);
            break;
        }
    }
    return started;
}

int rocksdb_loop_reads(const struct rocksdb_loop *loop, uint32_t threads, double seconds,
                       struct bench_run *out)
{
    struct reading readings[READERS_MAX];
    struct database database;
    threads = threads < READERS_MAX ? threads : READERS_MAX;
    if (database_open(&database, loop->path, loop->memory) != 0)
        return -1;
    double cpu_s = measure_cpu_s();
    double start_s = measure_wall_s();
    uint32_t started = start_reading(readings, threads, loop, &database, start_s + seconds);
    int result = started == threads ? 0 : measure_failed("raw_rocksdb", "a thread is missing");
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(readings[i].thread, NULL);
        out->records += readings[i].records;
        result |= readings[i].result;
        free(readings[i].batch);
    }
    out->wall_s = measure_wall_s() - start_s;
    out->cpu_s = measure_cpu_s() - cpu_s;
    database_close(&database);
    return result;
}
