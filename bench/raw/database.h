/* A plain RocksDB database for the raw loops, with the options of the engine's state directory.
 * @thread one */
#ifndef RAW_DATABASE_H
#define RAW_DATABASE_H

#include <rocksdb/c.h>

#include "state/rocksdb/rocksdb_tuning.h"

/* Of a raw database. */
struct database_memory {
    uint64_t write_buffer; /* of one memtable; there are two */
    uint64_t block_cache;
};

struct database {
    struct rocksdb_tuning tuning;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *family; /* the default one, which batched reads want named */
    rocksdb_readoptions_t *read_options;
    rocksdb_writeoptions_t *write_options;
};

/* Each returns 0, or -1 with a message on stderr. */
int database_open(struct database *database, const char *path,
                  const struct database_memory *memory);
void database_close(struct database *database);

struct database_entry {
    char key[16];
    int64_t value;
};

/* Makes a database that holds `entries`, sorted here, bulk-loaded as sorted files, compacted. */
int database_make(const char *path, struct database_entry *entries, uint64_t count,
                  const struct database_memory *memory);

/* Compacts a whole database that nobody has open, the engine's as well as a raw one. */
int database_compact(const char *path, const struct database_memory *memory);

/* Adds up all values of 8 bytes. */
int database_sum(const char *path, const struct database_memory *memory, int64_t *sum);

/* Prints and frees what RocksDB said; 0 if it said nothing. */
int database_failed(const char *what, char *text);

#endif
