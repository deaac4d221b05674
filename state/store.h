/* The store contract: what holds blocks, progress, meta and materialised state (DESIGN: rocksdb,
 * memory, later sqlite).
 *
 * Keys and values are bytes; keys are ordered as unsigned bytes. The first byte of a key is its
 * kind: m meta   w blocks   p progress   s state     (t timers, r retries, o outbox, l local
 * topics, d local dead letters)
 *
 * Durability: what apply() wrote survives a kill of the process at once, and a power loss after the
 * next sync(). The writes that a power loss leaves are a prefix of those that were applied. What
 * bulk_load() loaded is durable when it returns, although earlier unsynced writes may still be
 * lost: sync() first.
 *
 * Threads: apply and sync from storage; apply and bulk_load from the materialiser; get_many from
 * workers; all of them at the same time. After STRID_ESTORE from apply, sync or bulk_load the
 * outcome is unknown: close, open again, read. */
#ifndef STATE_STORE_H
#define STATE_STORE_H

#include <strid/error.h>
#include <strid/record.h>

#define STORE_ABI_VERSION 1u

#define STORE_DURABLE 1u /* survives the process */

struct store; /* opaque, each store's own */

struct store_op {
    strid_bytes key;
    strid_bytes value; /* data NULL: delete the key */
};

struct store_config {
    const char *path; /* what stands behind the scheme, as given */
    bool create;      /* make it where it is missing; false: STRID_ENOTFOUND */
    bool read_only;   /* tools: nothing is changed; several may read, but not while one writes */
    uint64_t write_buffer; /* bytes of blocks that are kept before they are written into tables; 0:
                              192 MiB */
    uint64_t block_cache;  /* bytes; 0: 64 MiB */
    const void *log;       /* const struct log * (engine/base/log.h); may be NULL */
    /* Where a store that is not durable stays when it is closed, and is found when it is opened
     * again; NULL: it is gone with its closing. What lies there is the owner's, who closes it once
     * more to be rid of it. */
    struct store **kept;
};

struct store_figures {
    uint64_t disk_bytes;
    uint64_t level_files[7]; /* zero where there are no levels */
    uint64_t level_bytes[7];
    uint64_t estimated_keys;
    uint64_t memory_bytes; /* memtables, caches, indexes */
};

/* `value.data` is NULL where the key is absent; lives until the call returns. Keys are answered in
 * their order. Returns false where no more are wanted: those that were read already may yet come.
 */
typedef bool (*store_value_fn)(void *user, size_t index, strid_bytes value);
/* Returns false to end the scan. Key and value live until the call returns. */
typedef bool (*store_scan_fn)(void *user, strid_bytes key, strid_bytes value);
/* Gives the next operation in strictly ascending key order; false: no more. What it points to lives
 * until the next call. */
typedef bool (*store_next_fn)(void *user, struct store_op *op);

struct store_ops {
    uint32_t abi_version;
    uint32_t flags;
    const char *scheme;

    /* STRID_EBUSY: another process holds it (says which, where that can be found); STRID_ENOTFOUND;
     * STRID_ECORRUPT; STRID_EIO. Nothing is left behind on failure. */
    strid_status (*open)(const struct store_config *config, struct store **out, strid_error *err);
    void (*close)(struct store *store);
    strid_status (*apply)(struct store *store, const struct store_op *ops, size_t count,
                          strid_error *err);
    strid_status (*sync)(struct store *store, strid_error *err);
    strid_status (*get_many)(struct store *store, const strid_bytes *keys, size_t count,
                             store_value_fn fn, void *user, strid_error *err);
    /* from <= key < to in ascending order; an absent `to`: to the end. */
    strid_status (*scan)(struct store *store, strid_bytes from, strid_bytes to, store_scan_fn fn,
                         void *user, strid_error *err);
    /* Puts and deletions, all at once; newer than everything applied before for the same keys. */
    strid_status (*bulk_load)(struct store *store, store_next_fn next, void *user,
                              strid_error *err);
    void (*figures)(struct store *store, struct store_figures *out);
    /* Both NULL: the store knows by itself when it lost something that was synced. Notes, beside
     * the data, that a sync covers blocks up to `number` (@thread storage); gives the last number
     * noted, perhaps an earlier one, 0: none. */
    void (*note_synced)(struct store *store, uint64_t number);
    uint64_t (*noted_synced)(struct store *store);
};

extern const struct store_ops store_rocksdb;
extern const struct store_ops store_memory;

/* The store of a URL ("rocksdb:DIR", "memory:"); *path is what stands behind the scheme. NULL: no
 * such scheme. */
const struct store_ops *store_find(const char *url, const char **path);

#endif
