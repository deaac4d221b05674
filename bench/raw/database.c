#include "database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

enum { ENTRIES_PER_FILE = 4 << 20 };

int database_failed(const char *what, char *text)
{
    if (text == NULL)
        return 0;
    (void)measure_failed(what, text);
    rocksdb_free(text);
    return -1;
}

int database_open(struct database *database, const char *path, const struct database_memory *memory)
{
    *database = (struct database){0};
    rocksdb_tuning_init(&database->tuning, memory->write_buffer, memory->block_cache);
    rocksdb_options_set_create_if_missing(database->tuning.options, 1);
    const char *const names[] = {"default"};
    const rocksdb_options_t *const options[] = {database->tuning.options};
    char *text = NULL;
    database->db = rocksdb_open_column_families(database->tuning.options, path, 1, names, options,
                                                &database->family, &text);
    if (database_failed("opening the raw database", text) != 0) {
        database->db = NULL;
        database_close(database);
        return -1;
    }
    database->read_options = rocksdb_readoptions_create();
    database->write_options = rocksdb_writeoptions_create();
    return 0;
}

void database_close(struct database *database)
{
    if (database->db != NULL) {
        rocksdb_cancel_all_background_work(database->db, 1);
        rocksdb_column_family_handle_destroy(database->family);
        rocksdb_close(database->db);
        rocksdb_readoptions_destroy(database->read_options);
        rocksdb_writeoptions_destroy(database->write_options);
    }
    rocksdb_tuning_fini(&database->tuning);
    *database = (struct database){0};
}

static int compare_entries(const void *a, const void *b)
{
    const struct database_entry *x = a;
    const struct database_entry *y = b;
    return memcmp(x->key, y->key, sizeof x->key);
}

static int write_sorted_file(const struct database *database, const char *path,
                             const struct database_entry *entries, uint64_t count)
{
    rocksdb_envoptions_t *env = rocksdb_envoptions_create();
    rocksdb_sstfilewriter_t *writer = rocksdb_sstfilewriter_create(env, database->tuning.options);
    char *text = NULL;
    rocksdb_sstfilewriter_open(writer, path, &text);
    for (uint64_t i = 0; text == NULL && i < count; i++)
        rocksdb_sstfilewriter_put(writer, entries[i].key, sizeof entries[i].key,
                                  (const char *)&entries[i].value, sizeof entries[i].value, &text);
    if (text == NULL)
        rocksdb_sstfilewriter_finish(writer, &text);
    rocksdb_sstfilewriter_destroy(writer);
    rocksdb_envoptions_destroy(env);
    return database_failed("writing a sorted file", text);
}

static int load(const struct database *database, const char *path,
                const struct database_entry *entries, uint64_t count)
{
    char file[MEASURE_PATH_MAX];
    const char *const files[] = {file};
    rocksdb_ingestexternalfileoptions_t *options = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(options, 1);
    int result = 0;
    for (uint64_t at = 0; result == 0 && at < count; at += ENTRIES_PER_FILE) {
        uint64_t some = count - at < ENTRIES_PER_FILE ? count - at : ENTRIES_PER_FILE;
        (void)snprintf(file, sizeof file, "%s/load.sst", path);
        result = write_sorted_file(database, file, entries + at, some);
        char *text = NULL;
        if (result == 0) {
            rocksdb_ingest_external_file(database->db, files, 1, options, &text);
            result = database_failed("loading a sorted file", text);
        }
    }
    rocksdb_ingestexternalfileoptions_destroy(options);
    return result;
}

int database_make(const char *path, struct database_entry *entries, uint64_t count,
                  const struct database_memory *memory)
{
    qsort(entries, count, sizeof *entries, compare_entries);
    struct database database;
    if (database_open(&database, path, memory) != 0)
        return -1;
    int result = load(&database, path, entries, count);
    rocksdb_compact_range(database.db, NULL, 0, NULL, 0);
    database_close(&database);
    return result;
}

int database_compact(const char *path, const struct database_memory *memory)
{
    struct database database;
    if (database_open(&database, path, memory) != 0)
        return -1;
    rocksdb_compact_range(database.db, NULL, 0, NULL, 0);
    database_close(&database);
    return 0;
}

int database_sum(const char *path, const struct database_memory *memory, int64_t *sum)
{
    struct database database;
    if (database_open(&database, path, memory) != 0)
        return -1;
    *sum = 0;
    rocksdb_iterator_t *at = rocksdb_create_iterator(database.db, database.read_options);
    for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at)) {
        size_t len = 0;
        int64_t value = 0;
        const char *data = rocksdb_iter_value(at, &len);
        if (len == sizeof value)
            memcpy(&value, data, sizeof value);
        *sum += value;
    }
    char *text = NULL;
    rocksdb_iter_get_error(at, &text);
    rocksdb_iter_destroy(at);
    database_close(&database);
    return database_failed("reading the raw database", text);
}
