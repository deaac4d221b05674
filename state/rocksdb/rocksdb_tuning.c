#include "rocksdb_tuning.h"

enum { INFO_LOG_WARN = 2, METADATA_BLOCK = 4096 };

static void init_table(struct rocksdb_tuning *tuning, uint64_t block_cache)
{
    tuning->cache = rocksdb_cache_create_lru(block_cache);
    tuning->table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(tuning->table, tuning->cache);
    /* Indexes and filters count against the cache, so that memory stays bounded. */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(tuning->table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(tuning->table, 1);
    /* In partitions: where state is larger than the cache a look-up then reads some 4 KiB of filter
     * and index instead of all of a file's, and writing a table keeps no hash per key. */
    rocksdb_block_based_options_set_index_type(
        tuning->table, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(tuning->table, 1);
    rocksdb_block_based_options_set_metadata_block_size(tuning->table, METADATA_BLOCK);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(tuning->table, 1);
    /* The table options own the policy. */
    rocksdb_block_based_options_set_filter_policy(tuning->table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_block_based_options_set_whole_key_filtering(tuning->table, 1);
    rocksdb_options_set_block_based_table_factory(tuning->options, tuning->table);
}

static void init_levels(rocksdb_options_t *options)
{
    rocksdb_options_set_compaction_style(options, rocksdb_level_compaction);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_target_file_size_base(options, UINT64_C(64) << 20);
    rocksdb_options_set_max_bytes_for_level_base(options, UINT64_C(256) << 20);
    /* Each loaded file spans all keys, so that a compaction rewrites everything below: seldom. */
    rocksdb_options_set_level0_file_num_compaction_trigger(options, ROCKSDB_TUNING_LEVEL0_FILES);
    /* RocksDB's own stalls would stop the writing of blocks, that is, durability. The materialiser
     * holds itself back by the number of level-0 files long before these. */
    rocksdb_options_set_level0_slowdown_writes_trigger(options, 64);
    rocksdb_options_set_level0_stop_writes_trigger(options, 128);
    rocksdb_options_set_soft_pending_compaction_bytes_limit(options, 0);
    rocksdb_options_set_hard_pending_compaction_bytes_limit(options, 0);
}

void rocksdb_tuning_init(struct rocksdb_tuning *tuning, uint64_t write_buffer, uint64_t block_cache)
{
    tuning->options = rocksdb_options_create();
    rocksdb_options_t *options = tuning->options;
    /* 0 would turn I/O errors of a flush into no error. */
    rocksdb_options_set_paranoid_checks(options, 1);
    /* A killed process loses nothing: what was written is in the page cache. */
    rocksdb_options_set_manual_wal_flush(options, 0);
    /* Write-out begins before sync() asks for it, so that sync() has little left to do. */
    rocksdb_options_set_wal_bytes_per_sync(options, UINT64_C(512) << 10);
    rocksdb_options_set_bytes_per_sync(options, UINT64_C(1) << 20);
    /* Blocks are to die in the memtable: larger than the bytes of blocks that are ever kept. */
    rocksdb_options_set_write_buffer_size(options, write_buffer == 0 ? ROCKSDB_TUNING_WRITE_BUFFER
                                                                     : write_buffer);
    rocksdb_options_set_max_write_buffer_number(options, 2);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_info_log_level(options, INFO_LOG_WARN);
    rocksdb_options_set_max_log_file_size(options, 4u << 20);
    rocksdb_options_set_keep_log_file_num(options, 4);
    init_levels(options);
    init_table(tuning, block_cache == 0 ? ROCKSDB_TUNING_BLOCK_CACHE : block_cache);
    /* Loaded files do not live long: the first compaction compresses what it keeps. */
    tuning->load_options = rocksdb_options_create_copy(options);
    rocksdb_options_set_compression(tuning->load_options, rocksdb_no_compression);
}

void rocksdb_tuning_fini(struct rocksdb_tuning *tuning)
{
    if (tuning->load_options != NULL)
        rocksdb_options_destroy(tuning->load_options);
    if (tuning->options != NULL)
        rocksdb_options_destroy(tuning->options);
    if (tuning->table != NULL)
        rocksdb_block_based_options_destroy(tuning->table);
    if (tuning->cache != NULL)
        rocksdb_cache_destroy(tuning->cache);
    *tuning = (struct rocksdb_tuning){0};
}
