/* Reading the state of a stopped node: what is materialised, under what lies in blocks. */
#include <strid/inspect.h>

#define XXH_INLINE_ALL
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "runtime/outbox.h"
#include "runtime/worker_retry.h"
#include "state/directory.h"

enum { NAMED_MAX = 64, DELETE = 0x7f }; /* bytes of a key in a message */

struct strid_state_reader {
    struct directory *directory;
    int64_t now_ms;      /* when it was opened: what has expired by then is not there */
    struct buffer value; /* of the entry that was given last */
    strid_state_store_stats *stores;
    strid_state_partition_stats *partitions;
};

strid_state_reader *strid_state_reader_open(const char *url, strid_error *err)
{
    struct directory_options options = {.read_only = true};
    strid_state_reader *reader = memory_alloc_zeroed(sizeof *reader);
    reader->now_ms = clock_wall_ms(&clock_system);
    if (directory_open(url, NULL, &options, &reader->directory, err) != STRID_OK) {
        memory_free(reader);
        return NULL;
    }
    return reader;
}

void strid_state_reader_close(strid_state_reader *reader)
{
    if (reader == NULL)
        return;
    directory_close(reader->directory);
    buffer_fini(&reader->value);
    memory_free(reader->stores);
    memory_free(reader->partitions);
    memory_free(reader);
}

static strid_status find_store(const strid_state_reader *reader, const char *name, uint8_t *number,
                               strid_error *err)
{
    static const char engine[] = "engine:";
    *number = directory_find_store(reader->directory, name);
    if (strncmp(name, engine, sizeof engine - 1) == 0) {
        unsigned long engine_store = strtoul(name + sizeof engine - 1, NULL, 10);
        if (engine_store >= KEY_STORE_ENGINE && engine_store <= KEY_STORE_MAX)
            *number = (uint8_t)engine_store;
    }
    if (*number != 0)
        return STRID_OK;
    char known[256] = "";
    for (uint32_t i = 1; i <= DIRECTORY_STORES_MAX; i++)
        if (reader->directory->stores[i] != NULL) {
            size_t used = strlen(known);
            (void)snprintf(known + used, sizeof known - used, " %s", reader->directory->stores[i]);
        }
    return error_set(err, STRID_ENOTFOUND, "state", "%s has no store \"%s\"; it has:%s",
                     reader->directory->url, name, known);
}

struct get {
    strid_state_reader *reader;
    bool found;
};

/* What is told of a store that the engine keeps for itself is its number. */
static const char *name_of(const strid_state_reader *reader, uint8_t store)
{
    static const char *const names[] = {"engine:112", "engine:113", "engine:114", "engine:115",
                                        "engine:116", "engine:117", "engine:118", "engine:119",
                                        "engine:120", "engine:121", "engine:122", "engine:123",
                                        "engine:124", "engine:125", "engine:126", "engine:127"};
    return store >= KEY_STORE_ENGINE ? names[store - KEY_STORE_ENGINE]
                                     : reader->directory->stores[store];
}

static bool got(void *user, size_t index, strid_bytes value)
{
    struct get *get = user;
    (void)index;
    buffer_clear(&get->reader->value);
    get->found = value.data != NULL;
    buffer_put_bytes(&get->reader->value, value);
    return true;
}

static strid_status read_value(strid_state_reader *reader, const struct key_state *state,
                               struct key_value *value, strid_error *err)
{
    struct directory *directory = reader->directory;
    *value = (struct key_value){.kind = STRID_STATE_ABSENT};
    if (fold_get(directory->fold, state, value))
        return STRID_OK;
    struct buffer encoded = {0};
    struct get get = {.reader = reader};
    encoded.len = key_put_state(buffer_reserve(&encoded, KEY_STATE_HEADER + state->key.len), state);
    strid_bytes encoded_key = buffer_bytes(&encoded);
    strid_status status =
        directory->ops->get_many(directory->store, &encoded_key, 1, got, &get, err);
    buffer_fini(&encoded);
    if (status == STRID_OK && get.found && !key_get_value(buffer_bytes(&reader->value), value))
        status = error_set(err, STRID_ECORRUPT, "state", "the value fails its checksum");
    return status;
}

strid_status strid_state_reader_get(strid_state_reader *reader, const char *store, strid_bytes key,
                                    strid_state_entry *entry, strid_error *err)
{
    return strid_state_reader_get_sub(reader, store, key, strid_bytes_of(NULL, 0), entry, err);
}

static strid_status check_get(const strid_state_reader *reader, const char *store, uint8_t number,
                              strid_bytes key, strid_bytes subkey, strid_error *err)
{
    if (key.len > KEY_RECORD_KEY_MAX || subkey.len > KEY_SUBKEY_MAX)
        return error_set(err, STRID_ENOTFOUND, "state",
                         "a key has at most %d bytes, a subkey at most %d", KEY_RECORD_KEY_MAX,
                         KEY_SUBKEY_MAX);
    if (subkey.len > 0 && number <= DIRECTORY_STORES_MAX &&
        !reader->directory->store_ordered[number])
        return error_set(err, STRID_EUNSUPPORTED, "state",
                         "store \"%s\" is not ordered: its keys have no subkeys", store);
    return STRID_OK;
}

static void put_named(struct buffer *text, const char *what, strid_bytes bytes)
{
    bool cut = bytes.len > NAMED_MAX;
    buffer_printf(text, "%s \"", what);
    for (size_t i = 0; i < bytes.len && i < NAMED_MAX; i++) {
        uint8_t byte = bytes.data[i];
        if (byte < ' ' || byte == DELETE)
            buffer_printf(text, "\\x%02x", byte);
        else
            buffer_put_u8(text, byte);
    }
    buffer_printf(text, cut ? "...\"" : "\"");
}

static strid_status no_such_key(const char *store, strid_bytes key, strid_bytes subkey,
                                strid_error *err)
{
    struct buffer text = {0};
    put_named(&text, "key", key);
    if (subkey.len > 0)
        put_named(&text, " with subkey", subkey);
    strid_status status = error_set(err, STRID_ENOTFOUND, "state", "store \"%s\" has no %.*s",
                                    store, (int)text.len, (const char *)text.data);
    buffer_fini(&text);
    return status;
}

/* The vshard of a record's key is that of its hash; the key of a partition is not reached by name.
 */
strid_status strid_state_reader_get_sub(strid_state_reader *reader, const char *store,
                                        strid_bytes key, strid_bytes subkey,
                                        strid_state_entry *entry, strid_error *err)
{
    struct directory *directory = reader->directory;
    struct key_state state = {.sub_len = (uint16_t)subkey.len};
    struct key_value value;
    struct buffer name = {0};
    STRID_TRY(find_store(reader, store, &state.store, err));
    STRID_TRY(check_get(reader, store, state.store, key, subkey, err));
    buffer_put_bytes(&name, key);
    buffer_put_bytes(&name, subkey);
    state.key = buffer_bytes(&name);
    state.hash = (uint32_t)(XXH3_64bits_withSeed(key.data, key.len, directory->seed) >> 32);
    strid_status status = read_value(reader, &state, &value, err);
    buffer_fini(&name);
    if (status != STRID_OK)
        return status;
    if (value.kind == STRID_STATE_ABSENT || key_is_expired(value.expiry_ms, reader->now_ms))
        return no_such_key(store, key, subkey, err);
    *entry = (strid_state_entry){.store = name_of(reader, state.store),
                                 .key = key,
                                 .subkey = subkey.len == 0 ? strid_bytes_of(NULL, 0) : subkey,
                                 .kind = value.kind,
                                 .value = value.bytes,
                                 .expires_ms = value.expiry_ms};
    return STRID_OK;
}

struct scan {
    strid_state_reader *reader;
    uint8_t store; /* 0: all */
    bool ended;
    bool from_blocks;
    strid_state_entry_fn fn;
    void *user;
    strid_error *err;
    strid_status status;
};

static bool give(struct scan *scan, const struct key_state *key, const struct key_value *value)
{
    uint8_t store = (uint8_t)(key->store & ~KEY_STORE_KEYLESS);
    if (value->kind == STRID_STATE_ABSENT ||
        key_is_expired(value->expiry_ms, scan->reader->now_ms) ||
        (scan->store != 0 ? scan->store != store : store >= KEY_STORE_ENGINE))
        return true;
    bool keyless = (key->store & KEY_STORE_KEYLESS) != 0;
    strid_bytes none = strid_bytes_of(NULL, 0);
    strid_state_entry entry = {.store = name_of(scan->reader, store),
                               .key = keyless ? none : key_record_of(key),
                               .subkey = key->sub_len == 0 ? none : key_subkey_of(key),
                               .kind = value->kind,
                               .value = value->bytes,
                               .expires_ms = value->expiry_ms};
    scan->ended = !scan->fn(scan->user, &entry);
    return !scan->ended;
}

static bool scan_one(void *user, strid_bytes encoded_key, strid_bytes encoded_value)
{
    struct scan *scan = user;
    struct key_state key;
    struct key_value value, newer;
    if (!key_get_state(encoded_key, &key) || !key_get_value(encoded_value, &value)) {
        scan->status = error_set(scan->err, STRID_ECORRUPT, "state",
                                 "%s: an entry is damaged; restore the directory from a backup",
                                 scan->reader->directory->url);
        return false;
    }
    if (!scan->from_blocks && fold_get(scan->reader->directory->fold, &key, &newer))
        return true; /* it comes with the blocks */
    return give(scan, &key, &value);
}

strid_status strid_state_reader_scan(strid_state_reader *reader, const char *store,
                                     strid_state_entry_fn fn, void *user, strid_error *err)
{
    struct directory *directory = reader->directory;
    struct scan scan = {.reader = reader, .fn = fn, .user = user, .err = err};
    strid_status status = store == NULL ? STRID_OK : find_store(reader, store, &scan.store, err);
    if (status == STRID_OK)
        status = directory->ops->scan(directory->store, strid_bytes_of_text("s"),
                                      strid_bytes_of_text("t"), scan_one, &scan, err);
    if (status != STRID_OK || scan.status != STRID_OK || scan.ended)
        return status == STRID_OK ? scan.status : status;
    scan.from_blocks = true;
    fold_sort(directory->fold); /* from its first entry */
    for (struct store_op op; fold_next(directory->fold, &op);)
        if (op.value.data != NULL && !scan_one(&scan, op.key, op.value))
            break;
    return scan.status;
}

struct counting {
    const struct directory *directory;
    strid_state_store_stats *stores; /* by number */
};

static bool count_letter(void *user, const strid_state_entry *entry)
{
    strid_state_stats *stats = user;
    if (entry->subkey.data != NULL) { /* else a count */
        stats->outbox_entries++;
        stats->outbox_bytes += entry->value.len;
    }
    return true;
}

static bool count_entry(void *user, const strid_state_entry *entry)
{
    struct counting *counting = user;
    for (uint32_t i = 1; i <= DIRECTORY_STORES_MAX; i++)
        if (counting->directory->stores[i] == entry->store) {
            counting->stores[i].keys++;
            counting->stores[i].key_bytes += entry->key.len;
            counting->stores[i].value_bytes += entry->value.len;
            counting->stores[i].expiring += entry->expires_ms != 0;
        }
    return true;
}

/* Heads say what waits; a damaged one is for the run to tell. */
static bool count_waiting(void *user, const strid_state_entry *entry)
{
    strid_state_stats *stats = user;
    struct retry_head head;
    if (entry->kind != STRID_STATE_BYTES || !retry_record_get_head(entry->value, &head))
        return true;
    stats->waiting++;
    stats->parked += head.last_seq - head.first_seq;
    stats->parked_bytes += head.bytes;
    return true;
}

static void describe(strid_state_reader *reader, strid_state_stats *stats)
{
    struct directory *directory = reader->directory;
    for (uint32_t i = 1; i <= DIRECTORY_STORES_MAX; i++)
        if (directory->stores[i] != NULL) {
            reader->stores[i].name = directory->stores[i];
            stats->keys += reader->stores[i].keys;
            reader->stores[stats->store_count++] = reader->stores[i];
        }
    for (uint32_t i = 0; i < directory->partition_count; i++)
        reader->partitions[i] = (strid_state_partition_stats){
            .identity = directory->partitions[i]->identity, .low = directory->partitions[i]->low};
    struct store_figures figures = {0};
    directory->ops->figures(directory->store, &figures);
    stats->stores = reader->stores;
    stats->partitions = reader->partitions;
    stats->partition_count = directory->partition_count;
    stats->redo_blocks = directory->redo_blocks;
    stats->redo_bytes = directory->redo_bytes;
    stats->last_block = directory->last_number;
    stats->disk_bytes = figures.disk_bytes;
    memcpy(stats->level_files, figures.level_files, sizeof stats->level_files);
    memcpy(stats->level_bytes, figures.level_bytes, sizeof stats->level_bytes);
    directory_format_id(directory, stats->directory_id);
    stats->format_version = directory->format;
    stats->vshards = KEY_VSHARDS;
    stats->cache_hits = directory->cache_hits;
    stats->cache_misses = directory->cache_misses;
}

strid_status strid_state_reader_stats(strid_state_reader *reader, strid_state_stats *stats,
                                      strid_error *err)
{
    memory_free(reader->stores);
    memory_free(reader->partitions);
    reader->stores = memory_alloc_zeroed((DIRECTORY_STORES_MAX + 1) * sizeof *reader->stores);
    reader->partitions =
        memory_alloc_zeroed((reader->directory->partition_count + 1) * sizeof *reader->partitions);
    struct counting counting = {.directory = reader->directory, .stores = reader->stores};
    *stats = (strid_state_stats){0};
    strid_status status = strid_state_reader_scan(reader, NULL, count_entry, &counting, err);
    if (status == STRID_OK) {
        char heads[16];
        (void)snprintf(heads, sizeof heads, "engine:%d", WORKER_RETRY_HEAD_STORE);
        status = strid_state_reader_scan(reader, heads, count_waiting, stats, err);
    }
    if (status == STRID_OK)
        status = strid_state_reader_scan(reader, name_of(reader, OUTBOX_STORE), count_letter, stats,
                                         err);
    if (status == STRID_OK)
        describe(reader, stats);
    return status;
}
