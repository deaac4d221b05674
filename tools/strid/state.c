#include "state.h"

#include <strid/inspect.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/units.h"

#include "output.h"
#include "run.h"
#include "talk.h"

static enum command_exit failed(const strid_error *err)
{
    talk_error("%s", err->message);
    return command_exit_of(err->status);
}

/* "rocksdb:DIR", or the state of a pipeline file. NULL: it was said why. */
static strid_state_reader *open_reader(const struct command_call *call, enum command_exit *code)
{
    const char *what = call->arguments[0];
    const char *url = what;
    strid_error err = STRID_ERROR_INIT;
    strid_pipeline *pipeline = NULL;
    strid_state_reader *reader = NULL;
    if (!run_is_url(what)) {
        strid_pipeline_info info = {.struct_size = sizeof info};
        pipeline = run_load(call, code);
        if (pipeline == NULL)
            return NULL;
        strid_pipeline_get_info(pipeline, &info);
        url = info.state;
    }
    if (url == NULL || (pipeline != NULL && strncmp(url, "memory:", 7) == 0)) {
        talk_error("%s keeps no state on disk; `state: { url: \"rocksdb:DIR\" }` would", what);
        *code = COMMAND_FAILED;
    } else {
        reader = strid_state_reader_open(url, &err);
        *code = reader == NULL ? failed(&err) : COMMAND_FINE;
    }
    strid_pipeline_destroy(pipeline);
    return reader;
}

static void put_expiry(const strid_state_entry *entry)
{
    if (entry->expires_ms != 0)
        output_number("expires_ms", (uint64_t)entry->expires_ms);
}

static void put_entry(const strid_state_entry *entry, bool with_store, bool json)
{
    if (json) {
        buffer_put_u8(&output_buffer, '{');
        if (with_store)
            output_text("store", entry->store);
        output_bytes("key", entry->key);
        if (entry->subkey.data != NULL)
            output_bytes("subkey", entry->subkey);
        output_value("value", entry->kind, entry->value);
        put_expiry(entry);
        buffer_put_u8(&output_buffer, '}');
    } else {
        if (with_store)
            buffer_printf(&output_buffer, "%s\t", entry->store);
        output_plain(entry->key);
        buffer_put_u8(&output_buffer, '\t');
        if (entry->subkey.data != NULL) {
            output_plain(entry->subkey);
            buffer_put_u8(&output_buffer, '\t');
        }
        output_plain_value(entry->kind, entry->value);
    }
    output_line();
}

enum command_exit state_get(const struct command_call *call)
{
    strid_error err = STRID_ERROR_INIT;
    enum command_exit code = COMMAND_FINE;
    strid_state_reader *reader = open_reader(call, &code);
    if (reader == NULL)
        return code;
    strid_state_entry entry;
    strid_bytes subkey =
        call->subkey == NULL ? strid_bytes_of(NULL, 0) : strid_bytes_of_text(call->subkey);
    strid_status status = strid_state_reader_get_sub(
        reader, call->store, strid_bytes_of_text(call->key), subkey, &entry, &err);
    if (status == STRID_OK)
        put_entry(&entry, false, call->json);
    else
        code = failed(&err);
    strid_state_reader_close(reader);
    return code;
}

static bool scan_entry(void *user, const strid_state_entry *entry)
{
    const struct command_call *call = user;
    put_entry(entry, call->store == NULL, call->json);
    return true;
}

enum command_exit state_scan(const struct command_call *call)
{
    strid_error err = STRID_ERROR_INIT;
    enum command_exit code = COMMAND_FINE;
    strid_state_reader *reader = open_reader(call, &code);
    if (reader == NULL)
        return code;
    struct command_call copy = *call;
    strid_status status = strid_state_reader_scan(reader, call->store, scan_entry, &copy, &err);
    code = status == STRID_OK ? COMMAND_FINE : failed(&err);
    strid_state_reader_close(reader);
    return code;
}

/* Doubles that JSON has no number for are words; a reader knows by `kind`. */
static void put_export_value(const strid_state_entry *entry)
{
    double real = 0;
    if (entry->kind == STRID_STATE_F64)
        memcpy(&real, entry->value.data, sizeof real);
    if (isfinite(real))
        output_value("value", entry->kind, entry->value);
    else
        output_text("value", isnan(real) ? "NaN" : real > 0 ? "Infinity" : "-Infinity");
}

static bool export_entry(void *user, const strid_state_entry *entry)
{
    static const char *const kinds[] = {
        [STRID_STATE_BYTES] = "bytes", [STRID_STATE_I64] = "integer", [STRID_STATE_F64] = "double"};
    (void)user;
    buffer_put_u8(&output_buffer, '{');
    output_text("store", entry->store);
    if (entry->key.data != NULL)
        output_bytes("key", entry->key);
    if (entry->subkey.data != NULL)
        output_bytes("subkey", entry->subkey);
    output_text("kind", kinds[entry->kind]);
    put_export_value(entry);
    put_expiry(entry);
    buffer_put_u8(&output_buffer, '}');
    output_line();
    return true;
}

enum command_exit state_export(const struct command_call *call)
{
    strid_error err = STRID_ERROR_INIT;
    enum command_exit code = COMMAND_FINE;
    strid_state_reader *reader = open_reader(call, &code);
    if (reader == NULL)
        return code;
    strid_status status = strid_state_reader_scan(reader, call->store, export_entry, NULL, &err);
    code = status == STRID_OK ? COMMAND_FINE : failed(&err);
    strid_state_reader_close(reader);
    return code;
}

static void put_stats_json(const strid_state_stats *stats)
{
    buffer_put_u8(&output_buffer, '{');
    output_text("directory_id", stats->directory_id);
    output_number("format_version", stats->format_version);
    output_number("vshards", stats->vshards);
    output_number("keys", stats->keys);
    output_number("last_block", stats->last_block);
    output_number("redo_blocks", stats->redo_blocks);
    output_number("redo_bytes", stats->redo_bytes);
    output_number("outbox_entries", stats->outbox_entries);
    output_number("outbox_bytes", stats->outbox_bytes);
    output_number("disk_bytes", stats->disk_bytes);
    output_number("cache_hits", stats->cache_hits);
    output_number("cache_misses", stats->cache_misses);
    output_number("waiting", stats->waiting);
    output_number("parked", stats->parked);
    output_number("parked_bytes", stats->parked_bytes);
    output_name("stores");
    buffer_put_u8(&output_buffer, '[');
    for (uint32_t i = 0; i < stats->store_count; i++) {
        const strid_state_store_stats *store = &stats->stores[i];
        buffer_printf(&output_buffer, "%s{", i == 0 ? "" : ",");
        output_text("name", store->name);
        output_number("keys", store->keys);
        output_number("key_bytes", store->key_bytes);
        output_number("value_bytes", store->value_bytes);
        output_number("expiring", store->expiring);
        buffer_put_u8(&output_buffer, '}');
    }
    buffer_put_u8(&output_buffer, ']');
    output_name("partitions");
    buffer_put_u8(&output_buffer, '[');
    for (uint32_t i = 0; i < stats->partition_count; i++) {
        buffer_printf(&output_buffer, "%s{", i == 0 ? "" : ",");
        output_text("identity", stats->partitions[i].identity);
        output_position("low", stats->partitions[i].low,
                        output_is_pair(stats->partitions[i].identity));
        buffer_put_u8(&output_buffer, '}');
    }
    buffer_put_u8(&output_buffer, ']');
    output_name("levels");
    buffer_put_u8(&output_buffer, '[');
    for (unsigned i = 0; i < sizeof stats->level_files / sizeof stats->level_files[0]; i++)
        buffer_printf(&output_buffer, "%s{\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
                      i == 0 ? "" : ",", stats->level_files[i], stats->level_bytes[i]);
    buffer_printf(&output_buffer, "]}");
    output_line();
}

static void put_figure(const char *name, uint64_t value, const char *unit)
{
    buffer_printf(&output_buffer, "%-16s ", name);
    output_grouped(&output_buffer, value);
    buffer_printf(&output_buffer, "%s", unit);
    output_line();
}

/* What the caches of the last run answered. */
static void put_cache_text(const strid_state_stats *stats)
{
    uint64_t lookups = stats->cache_hits + stats->cache_misses;
    buffer_printf(&output_buffer, "%-16s ", "cache hits");
    if (lookups == 0)
        buffer_printf(&output_buffer, "unknown (no run with look-ups ended in good order yet)");
    else
        buffer_printf(&output_buffer, "%.2f %% of ",
                      100.0 * (double)stats->cache_hits / (double)lookups);
    if (lookups != 0)
        output_grouped(&output_buffer, lookups);
    output_line();
}

static void put_stats_text(const strid_state_stats *stats)
{
    buffer_printf(&output_buffer, "%-16s %s (format %" PRIu32 ", %" PRIu32 " vshards)", "directory",
                  stats->directory_id, stats->format_version, stats->vshards);
    output_line();
    put_figure("keys", stats->keys, "");
    for (uint32_t i = 0; i < stats->store_count; i++) {
        const strid_state_store_stats *store = &stats->stores[i];
        buffer_printf(&output_buffer, "  %-14s ", store->name);
        output_grouped(&output_buffer, store->keys);
        buffer_printf(&output_buffer, " key%s, ", units_plural(store->keys));
        output_grouped(&output_buffer, store->key_bytes + store->value_bytes);
        buffer_printf(&output_buffer, " bytes");
        if (store->expiring > 0) {
            buffer_printf(&output_buffer, ", ");
            output_grouped(&output_buffer, store->expiring);
            buffer_printf(&output_buffer, " with a time to live");
        }
        output_line();
    }
    for (uint32_t i = 0; i < stats->partition_count; i++) {
        buffer_printf(&output_buffer, "%-16s %s goes on at ", "partition",
                      stats->partitions[i].identity);
        output_plain_position(stats->partitions[i].low,
                              output_is_pair(stats->partitions[i].identity));
        output_line();
    }
    put_figure("last block", stats->last_block, "");
    put_figure("redo blocks", stats->redo_blocks, "");
    put_figure("redo bytes", stats->redo_bytes, "");
    put_figure("outbox entries", stats->outbox_entries, "");
    put_figure("outbox bytes", stats->outbox_bytes, "");
    put_figure("disk", stats->disk_bytes, " bytes");
    put_cache_text(stats);
    if (stats->waiting > 0) {
        put_figure("waiting", stats->waiting, stats->waiting == 1 ? " record" : " records");
        put_figure("parked", stats->parked, stats->parked == 1 ? " record" : " records");
        put_figure("parked bytes", stats->parked_bytes, "");
    }
    for (unsigned i = 0; i < sizeof stats->level_files / sizeof stats->level_files[0]; i++)
        if (stats->level_files[i] > 0) {
            buffer_printf(&output_buffer, "level %-10u %" PRIu64 " file%s, ", i,
                          stats->level_files[i], units_plural(stats->level_files[i]));
            output_grouped(&output_buffer, stats->level_bytes[i]);
            buffer_printf(&output_buffer, " bytes");
            output_line();
        }
}

enum command_exit state_stats(const struct command_call *call)
{
    strid_error err = STRID_ERROR_INIT;
    enum command_exit code = COMMAND_FINE;
    strid_state_reader *reader = open_reader(call, &code);
    if (reader == NULL)
        return code;
    strid_state_stats stats;
    strid_status status = strid_state_reader_stats(reader, &stats, &err);
    if (status != STRID_OK)
        code = failed(&err);
    else if (call->json)
        put_stats_json(&stats);
    else
        put_stats_text(&stats);
    strid_state_reader_close(reader);
    return code;
}
