#include "state/directory_load.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"
#include "state/meta.h"

/* Damage found while scanning; the scan's callback cannot return it. */
struct load {
    struct directory *directory;
    strid_error *err;
    strid_status status;
    bool any;          /* a key was seen */
    bool directory_ok; /* m/directory was seen */
    uint64_t expected; /* number of the next block; 0: none was seen */
    uint64_t known;    /* highest number that something says was synced */
    bool broken;       /* a block is missing or damaged; those behind it do not count */
    uint64_t broken_at;
};

static bool damaged(struct load *load, const char *what)
{
    load->status = error_set(load->err, STRID_ECORRUPT, "state",
                             "%s: %s is damaged; restore the directory from a backup, or move it "
                             "away to start anew",
                             load->directory->url, what);
    return false;
}

void directory_table_raise(struct directory_partition *partition, uint32_t vshard,
                           strid_position position)
{
    if (partition->table == NULL)
        partition->table = memory_alloc_zeroed(sizeof *partition->table);
    struct directory_table *table = partition->table;
    uint8_t bit = (uint8_t)(1u << (vshard & 7));
    if ((table->known[vshard / 8] & bit) != 0 &&
        strid_position_compare(table->applied[vshard], position) >= 0)
        return;
    table->known[vshard / 8] |= bit;
    table->applied[vshard] = position;
}

static bool load_directory(struct load *load, struct cursor value)
{
    struct directory *directory = load->directory;
    uint32_t format = cursor_u32(&value);
    uint32_t vshards = cursor_u32(&value);
    directory->seed = cursor_u64(&value);
    strid_bytes id = cursor_bytes(&value, DIRECTORY_ID_BYTES);
    uint8_t scope = cursor_u8(&value);
    /* Formats 2 and 3 say it by their number. */
    bool has_marks = format <= 3 ? format == 3 : cursor_u8(&value) != 0;
    /* 0: damaged */
    bool other = format != 0 && (format < DIRECTORY_FORMAT_OLDEST || format > DIRECTORY_FORMAT);
    if (value.failed && !other)
        return damaged(load, "m/directory");
    if (other || vshards != KEY_VSHARDS) {
        load->status =
            error_set(load->err, STRID_EVERSION, "state",
                      "%s has format %u with %u vshards, this program reads formats %d "
                      "to %d with %d; use the version that made it, or another directory",
                      directory->url, format, vshards, DIRECTORY_FORMAT_OLDEST, DIRECTORY_FORMAT,
                      KEY_VSHARDS);
        return false;
    }
    if (scope != DIRECTORY_SCOPE_GLOBAL) {
        load->status = error_set(load->err, STRID_ESTATE, "state",
                                 "%s keeps its state with scope %u, this pipeline with scope %d "
                                 "(global); use the pipeline that made it, or another directory",
                                 directory->url, scope, DIRECTORY_SCOPE_GLOBAL);
        return false;
    }
    memcpy(directory->id, id.data, id.len);
    directory->format = format;
    directory->has_marks = has_marks;
    load->directory_ok = true;
    return true;
}

static struct directory_partition *partition_at(struct load *load, uint32_t number)
{
    for (uint32_t i = 0; i < load->directory->partition_count; i++)
        if (load->directory->partitions[i]->number == number)
            return load->directory->partitions[i];
    return NULL;
}

static bool load_partition_meta(struct load *load, strid_bytes key, struct cursor value)
{
    strid_bytes name;
    struct directory_partition *partition;
    if (meta_key_is(key, "fingerprint", &name)) {
        partition = name.len == 4 ? partition_at(load, key_get_u32(name.data)) : NULL;
        size_t len = (size_t)(value.end - value.at);
        if (value.failed || partition == NULL || len > STRID_FINGERPRINT_MAX)
            return damaged(load, "a fingerprint");
        memcpy(partition->fingerprint, value.at, len);
        partition->fingerprint_len = len;
        return true;
    }
    if (!meta_key_is(key, "low", &name))
        return true; /* of a later version, which keeps the format compatible */
    partition = name.len == 4 ? partition_at(load, key_get_u32(name.data)) : NULL;
    strid_position low = {cursor_u64(&value), 0};
    low.low = cursor_u64(&value);
    uint64_t synced = cursor_u64(&value);
    if (value.failed || partition == NULL)
        return damaged(load, "a low position");
    partition->has_low = true;
    partition->low = low;
    load->known = synced > load->known ? synced : load->known;
    return true;
}

static bool load_run(struct load *load, strid_bytes name, struct cursor value)
{
    struct directory *directory = load->directory;
    struct directory_run run = {.run = name.len == 8 ? key_get_u64(name.data) : 0};
    run.workers = cursor_u32(&value);
    strid_bytes map = cursor_bytes(&value, KEY_VSHARDS);
    if (value.failed || run.run == 0)
        return damaged(load, "the record of a run");
    memcpy(run.worker_of, map.data, map.len);
    directory->runs =
        memory_resize(directory->runs, (directory->run_count + 1) * sizeof *directory->runs);
    directory->runs[directory->run_count++] = run;
    if (run.run > directory->run.run)
        directory->run = run;
    return true;
}

static bool load_name(struct load *load, strid_bytes key, struct cursor value)
{
    struct directory *directory = load->directory;
    strid_bytes name;
    bool is_store = meta_key_is(key, "store", &name);
    if (!is_store && !meta_key_is(key, "partition", &name))
        return true;
    uint32_t number = cursor_u32(&value);
    if (value.failed || name.len == 0 ||
        (is_store && (number == 0 || number > DIRECTORY_STORES_MAX)))
        return damaged(load, is_store ? "the number of a store" : "the number of a partition");
    char *text = memory_alloc_zeroed(name.len + 1);
    memcpy(text, name.data, name.len);
    if (is_store) {
        directory->stores[number] = text;
        directory->store_stored[number] = true;
        /* Older directories do not say; they had no subkeys. */
        directory->store_ordered[number] = value.at < value.end && cursor_u8(&value) != 0;
        directory->store_expires[number] = value.at == value.end || cursor_u8(&value) != 0;
        return true;
    }
    struct directory_partition *partition = directory_partition(directory, text);
    partition->number = number;
    partition->stored = true;
    memory_free(text);
    return true;
}

static bool load_text(struct load *load, struct cursor value, const char *what, char **text,
                      bool *stored)
{
    if (value.failed)
        return damaged(load, what);
    size_t len = (size_t)(value.end - value.at);
    *text = memory_alloc_zeroed(len + 1);
    memcpy(*text, value.at, len);
    *stored = true;
    return true;
}

/* First the keys that others refer to: m/directory, m/partition, m/store, m/run, m/through. */
static bool load_names(void *user, strid_bytes key, strid_bytes bytes)
{
    struct load *load = user;
    load->any = true;
    struct cursor value = meta_value_read(bytes);
    strid_bytes name;
    if (meta_key_is(key, "directory", &name))
        return load_directory(load, value);
    if (meta_key_is(key, "run", &name))
        return load_run(load, name, value);
    struct directory *directory = load->directory;
    if (meta_key_is(key, "pipeline", &name))
        return load_text(load, value, "the name of the pipeline", &directory->pipeline,
                         &directory->pipeline_stored);
    if (meta_key_is(key, "outline", &name))
        return load_text(load, value, "the outline of the pipeline", &directory->outline,
                         &directory->outline_stored);
    if (meta_key_is(key, "through", &name)) {
        load->directory->through = cursor_u64(&value);
        return value.failed ? damaged(load, "m/through") : true;
    }
    if (meta_key_is(key, "cache", &name)) {
        load->directory->cache_hits = cursor_u64(&value);
        load->directory->cache_misses = cursor_u64(&value);
        return value.failed ? damaged(load, "m/cache") : true;
    }
    return load_name(load, key, value);
}

static bool load_places(void *user, strid_bytes key, strid_bytes bytes)
{
    return load_partition_meta(user, key, meta_value_read(bytes));
}

static bool load_progress(void *user, strid_bytes key, strid_bytes bytes)
{
    struct load *load = user;
    struct cursor value = meta_value_read(bytes);
    struct directory_partition *partition =
        key.len >= 6 ? partition_at(load, key_get_u32(key.data + 2)) : NULL;
    if (partition == NULL)
        return damaged(load, "a progress key");
    strid_position position;
    if (key.data[1] == 1) {
        strid_bytes known = cursor_bytes(&value, KEY_VSHARDS / 8);
        for (uint32_t v = 0; v < KEY_VSHARDS; v++) {
            position.high = cursor_u64(&value);
            position.low = cursor_u64(&value);
            if (!value.failed && (known.data[v / 8] >> (v & 7) & 1) != 0)
                directory_table_raise(partition, v, position);
        }
        return value.failed ? damaged(load, "a progress table") : true;
    }
    position.high = cursor_u64(&value);
    position.low = cursor_u64(&value);
    if (value.failed || key.len != 10 || key.data[1] != 2)
        return damaged(load, "a progress number");
    for (uint32_t v = 0; v < KEY_VSHARDS; v++)
        if (load->directory->run.worker_of[v] == key_get_u32(key.data + 6))
            directory_table_raise(partition, v, position);
    return true;
}

static bool load_block(void *user, strid_bytes key, strid_bytes bytes)
{
    struct load *load = user;
    struct directory *directory = load->directory;
    uint64_t number = key.len == 9 ? key_get_u64(key.data + 1) : 0;
    struct block_view view;
    directory->last_number = number > directory->last_number ? number : directory->last_number;
    bool whole = block_open(bytes, &view) && view.number == number;
    if (whole && view.synced > load->known)
        load->known = view.synced; /* also of one behind a gap */
    if (load->broken || number != load->expected || !whole ||
        !fold_add(directory->fold, bytes, &view)) {
        directory->dropped++;
        if (!load->broken)
            load->broken_at = load->expected;
        load->broken = true;
        return true;
    }
    load->expected = number + 1;
    directory->redo_blocks++;
    directory->redo_bytes += bytes.len;
    return true;
}

static strid_status scan(struct load *load, const char *from, const char *to, store_scan_fn fn)
{
    struct directory *directory = load->directory;
    strid_status status = directory->ops->scan(directory->store, strid_bytes_of_text(from),
                                               strid_bytes_of_text(to), fn, load, load->err);
    return status == STRID_OK ? load->status : status;
}

/* Whatever else lies in a store without meta keys is not ours to write to. */
static bool see_any(void *user, strid_bytes key, strid_bytes bytes)
{
    (void)key;
    (void)bytes;
    ((struct load *)user)->any = true;
    return false;
}

/* A power loss may take blocks that no sync covered, always from the end of the sequence. Anything
 * else is damage. */
static strid_status check_blocks(struct load *load)
{
    struct directory *directory = load->directory;
    uint64_t good = load->expected == 0 ? 0 : load->expected - 1;
    if (good < load->known)
        return error_set(load->err, STRID_ECORRUPT, "state",
                         "%s: block %llu is missing or damaged, though blocks up to %llu were "
                         "synced; the disk lost data: restore the directory from a backup, or "
                         "move it away to start anew",
                         directory->url, (unsigned long long)(good + 1),
                         (unsigned long long)load->known);
    if (load->broken)
        log_warn(directory->log, "state",
                 "%s: block %llu is damaged and was never synced: %llu blocks dropped, their "
                 "records are read again",
                 directory->url, (unsigned long long)load->broken_at,
                 (unsigned long long)directory->dropped);
    directory->synced = good;
    directory->last_number = good > directory->last_number ? good : directory->last_number;
    return STRID_OK;
}

strid_status directory_load(struct directory *directory, bool *fresh, strid_error *err)
{
    struct load load = {.directory = directory, .err = err};
    strid_status status = scan(&load, "m", "n", load_names);
    if (status == STRID_OK && !load.any)
        status = scan(&load, "", NULL, see_any);
    *fresh = !load.any;
    if (status == STRID_OK && directory->ops->noted_synced != NULL)
        load.known = directory->ops->noted_synced(directory->store);
    if (status == STRID_OK && *fresh && load.known > 0)
        return check_blocks(&load);
    if (status != STRID_OK || *fresh)
        return status;
    if (!load.directory_ok)
        return error_set(err, STRID_ESTATE, "state",
                         "%s is a database, but not a state directory of strid", directory->url);
    status = scan(&load, "m", "n", load_places);
    if (status == STRID_OK)
        status = scan(&load, "p", "q", load_progress);
    load.expected = directory->through + 1;
    if (directory->through > load.known)
        load.known = directory->through;
    if (status == STRID_OK)
        status = scan(&load, "b", "c", load_block);
    return status == STRID_OK ? check_blocks(&load) : status;
}
