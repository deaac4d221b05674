/* The RocksDB options of a state directory: one set for the database, its sorted files and the raw
 * loops of the bench. Why each is as it is stands beside it in the .c file.
 * @thread any, one at a time @locks none */
#ifndef ROCKSDB_TUNING_H
#define ROCKSDB_TUNING_H

#include <rocksdb/c.h>

#include <stdint.h>

#define ROCKSDB_TUNING_WRITE_BUFFER (UINT64_C(192) << 20)
#define ROCKSDB_TUNING_BLOCK_CACHE (UINT64_C(64) << 20)
#define ROCKSDB_TUNING_LEVEL0_FILES 12

struct rocksdb_tuning {
    rocksdb_options_t *options;
    rocksdb_options_t *load_options; /* of the sorted files that are loaded */
    rocksdb_cache_t *cache;
    rocksdb_block_based_table_options_t *table;
};

/* 0: the defaults above. */
void rocksdb_tuning_init(struct rocksdb_tuning *tuning, uint64_t write_buffer,
                         uint64_t block_cache);
void rocksdb_tuning_fini(struct rocksdb_tuning *tuning); /* after rocksdb_close */

#endif
