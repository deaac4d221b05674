#include "sim_store.h"

#include "base/error.h"

#include "sim_step.h"
#include "sim_world.h"

static struct sim_disk *disk_of(struct store *store) { return (struct sim_disk *)(void *)store; }

static strid_status fail(struct sim_disk *disk, const char *what, strid_error *err)
{
    disk->failed = true;
    return error_set(err, STRID_ESTORE, "sim", "%s failed", what);
}

/* A failure may come before the effect or behind it: the caller cannot know. */
enum failure { FAIL_NOT = 0, FAIL_BEFORE, FAIL_BEHIND };

static enum failure draw(const struct sim_disk *disk)
{
    SIM_CHECK("read_only", !disk->read_only, "a tool that only reads changes the store");
    if (disk->failed)
        return FAIL_BEFORE;
    bool picked = sim_world->faults && sim_world->fails_in > 0 && --sim_world->fails_in == 0;
    if (!sim_world_strikes(sim_world->knobs.store_rate) && !picked)
        return FAIL_NOT;
    return sim_random_chance(&sim_world->random, 2) ? FAIL_BEFORE : FAIL_BEHIND;
}

static strid_status store_open(const struct store_config *config, struct store **out,
                               strid_error *err)
{
    struct sim_disk *disk = &sim_world->disk;
    SIM_CHECK("one_owner", !disk->open, "the store is opened though a run holds it");
    if (sim_world_strikes(sim_world->knobs.store_rate))
        return error_set(err, STRID_EIO, "sim", "open failed");
    disk->open = true;
    disk->failed = false;
    disk->read_only = config->read_only;
    *out = (struct store *)(void *)disk;
    return STRID_OK;
}

static void store_close(struct store *store) { disk_of(store)->open = false; }

static strid_status store_apply(struct store *store, const struct store_op *ops, size_t count,
                                strid_error *err)
{
    struct sim_disk *disk = disk_of(store);
    sim_step_yield();
    enum failure failure = draw(disk);
    sim_world_note("apply", count, failure, 0);
    if (failure == FAIL_BEFORE)
        return fail(disk, "apply", err);
    sim_audit_write(&sim_world->audit, ops, count);
    sim_disk_write(disk, ops, count);
    sim_step_yield();
    return failure == FAIL_NOT ? STRID_OK : fail(disk, "apply", err);
}

static strid_status store_sync(struct store *store, strid_error *err)
{
    struct sim_disk *disk = disk_of(store);
    uint32_t writes = disk->log_writes; /* what comes while it waits is not covered */
    sim_step_yield();
    enum failure failure = draw(disk);
    sim_world_note("sync", disk->log_writes, failure, 0);
    if (failure == FAIL_BEFORE)
        return fail(disk, "sync", err);
    sim_disk_sync(disk, writes);
    sim_audit_durable(&sim_world->audit, writes);
    sim_step_yield();
    return failure == FAIL_NOT ? STRID_OK : fail(disk, "sync", err);
}

static strid_status store_get_many(struct store *store, const strid_bytes *keys, size_t count,
                                   store_value_fn fn, void *user, strid_error *err)
{
    struct sim_disk *disk = disk_of(store);
    sim_step_yield();
    sim_world_note("get_many", count, 0, 0);
    if (sim_world_strikes(sim_world->knobs.read_rate))
        return error_set(err, STRID_EIO, "sim", "get_many failed");
    bool more = true;
    for (size_t i = 0; i < count && more; i++) {
        const struct skip_list *list = sim_disk_of(disk, keys[i].data[0]);
        const struct skip_node *node = skip_list_find(list, keys[i]);
        more = fn(user, i, node == NULL ? strid_bytes_of(NULL, 0) : skip_node_value(node));
    }
    return STRID_OK;
}

static strid_status store_scan(struct store *store, strid_bytes from, strid_bytes to,
                               store_scan_fn fn, void *user, strid_error *err)
{
    struct sim_disk *disk = disk_of(store);
    sim_step_yield();
    sim_world_note("scan", from.data[0], 0, 0);
    if (sim_world_strikes(sim_world->knobs.read_rate))
        return error_set(err, STRID_EIO, "sim", "scan failed");
    const struct skip_node *node = skip_list_seek(sim_disk_of(disk, from.data[0]), from);
    for (; node != NULL; node = skip_list_next(node)) {
        strid_bytes key = skip_node_key(node);
        if (to.data != NULL && skip_list_compare(key, to) >= 0)
            break;
        if (!fn(user, key, skip_node_value(node)))
            break;
    }
    return STRID_OK;
}

static strid_status store_bulk_load(struct store *store, store_next_fn next, void *user,
                                    strid_error *err)
{
    struct sim_disk *disk = disk_of(store);
    sim_step_yield();
    enum failure failure = draw(disk);
    sim_world_note("bulk_load", failure, 0, 0);
    if (failure == FAIL_BEFORE)
        return fail(disk, "bulk_load", err);
    struct store_op op = {0};
    static struct buffer before; /* one thread: kept from call to call */
    buffer_clear(&before);
    while (next(user, &op)) {
        SIM_CHECK("ingest_ascends", skip_list_compare(buffer_bytes(&before), op.key) < 0,
                  "a key that is not above the one before it");
        buffer_clear(&before);
        buffer_put_bytes(&before, op.key);
        sim_audit_load(&sim_world->audit, &op);
        sim_keys_loaded(&sim_world->keys, op.key, sim_disk_load(disk, &op));
    }
    sim_step_yield();
    return failure == FAIL_NOT ? STRID_OK : fail(disk, "bulk_load", err);
}

static void store_figures(struct store *store, struct store_figures *out)
{
    *out = (struct store_figures){.estimated_keys = skip_list_count(disk_of(store)->live) +
                                                    skip_list_count(disk_of(store)->states)};
    if (sim_world_strikes(sim_world->knobs.again_rate))
        out->level_files[0] = UINT32_MAX; /* compaction lags behind */
}

/* A process that has ended writes nothing any more. */
static void store_note_synced(struct store *store, uint64_t number)
{
    struct sim_disk *disk = disk_of(store);
    sim_world_note("note_synced", number, disk->failed, 0);
    if (!disk->failed)
        sim_disk_note(disk, number);
}

static uint64_t store_noted_synced(struct store *store) { return disk_of(store)->noted; }

const struct store_ops sim_store = {
    .abi_version = STORE_ABI_VERSION,
    .flags = STORE_DURABLE,
    .scheme = "sim",
    .open = store_open,
    .close = store_close,
    .apply = store_apply,
    .sync = store_sync,
    .get_many = store_get_many,
    .scan = store_scan,
    .bulk_load = store_bulk_load,
    .figures = store_figures,
    .note_synced = store_note_synced,
    .noted_synced = store_noted_synced,
};
