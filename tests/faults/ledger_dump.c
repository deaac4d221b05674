#include "faults/ledger_dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

#include "base/buffer.h"
#include "base/json.h"
#include "faults/ledger_waiting.h"
#include "runtime/outbox_record.h"

/* What is printed, and the store that prints itself. */
struct dump {
    struct buffer line;
    const struct ledger_extra *extra;
};

static bool print_entry(void *user, const strid_state_entry *entry)
{
    const struct dump *dump = user;
    struct buffer *line = &((struct dump *)user)->line;
    buffer_clear(line);
    buffer_printf(line, "{\"store\":\"%s\",", entry->store);
    json_put_member_bytes(line, "key", entry->key);
    if (dump->extra != NULL && strcmp(entry->store, dump->extra->name) == 0) {
        dump->extra->print(entry, line);
        buffer_printf(line, "}\n");
    } else if (entry->kind == STRID_STATE_I64) {
        int64_t value = 0;
        memcpy(&value, entry->value.data, sizeof value);
        buffer_printf(line, ",\"value\":%" PRId64 "}\n", value);
    } else {
        buffer_printf(line, ",\"hex\":\"");
        for (size_t i = 0; i < entry->value.len; i++)
            buffer_printf(line, "%02x", entry->value.data[i]);
        buffer_printf(line, "\"}\n");
    }
    return fwrite(line->data, 1, line->len, stdout) == line->len;
}

/* A dead letter that waits in the outbox. */
static bool print_letter(void *user, const strid_state_entry *entry)
{
    struct buffer *line = &((struct dump *)user)->line;
    struct buffer headers = {0};
    struct outbox_record letter;
    if (entry->subkey.data == NULL)
        return true; /* how many there are */
    bool whole = outbox_record_get(entry->value, &headers, &letter);
    const strid_record *record = &letter.letter.record;
    buffer_clear(line);
    buffer_printf(line, "{\"waits\":{\"whole\":%s,\"partition\":%" PRIu32, whole ? "true" : "false",
                  letter.partition);
    buffer_printf(line, ",\"position\":%" PRIu64 ",", record->position.low);
    buffer_printf(line, "\"attempts\":%" PRIu32 ",", letter.letter.attempt);
    json_put_member_bytes(line, "reason", letter.letter.reason);
    buffer_printf(line, ",\"hex\":\"");
    for (size_t i = 0; i < record->value.len; i++)
        buffer_printf(line, "%02x", record->value.data[i]);
    buffer_printf(line, "\"}}\n");
    buffer_fini(&headers);
    return fwrite(line->data, 1, line->len, stdout) == line->len;
}

static strid_status print_progress(strid_state_reader *reader, struct buffer *line,
                                   strid_error *err)
{
    strid_state_stats stats;
    strid_status status = strid_state_reader_stats(reader, &stats, err);
    if (status == STRID_OK)
        printf("{\"blocks\":%" PRIu64 ",\"materialised\":%" PRIu64 "}\n", stats.last_block,
               stats.last_block - stats.redo_blocks);
    for (uint32_t i = 0; status == STRID_OK && i < stats.partition_count; i++) {
        buffer_clear(line);
        buffer_printf(line, "{\"partition\":");
        json_put_text(line, stats.partitions[i].identity);
        buffer_printf(line, ",\"low\":%" PRIu64 "}\n", stats.partitions[i].low.low);
        (void)fwrite(line->data, 1, line->len, stdout);
    }
    return status;
}

int ledger_dump(const char *state_url, bool progress_only, const struct ledger_extra *extra)
{
    strid_error error = STRID_ERROR_INIT;
    strid_state_reader *reader = strid_state_reader_open(state_url, &error);
    if (reader == NULL) {
        if (error.status == STRID_ENOTFOUND) /* killed before there was anything */
            return 0;
        fprintf(stderr, "ledger: %s\n", error.message);
        return 1;
    }
    struct dump dump = {.extra = extra};
    strid_status status = print_progress(reader, &dump.line, &error);
    const char *const stores[] = {"chains", "counts", extra == NULL ? NULL : extra->name};
    for (size_t i = 0; i < 3 && stores[i] != NULL && status == STRID_OK && !progress_only; i++) {
        status = strid_state_reader_scan(reader, stores[i], print_entry, &dump, &error);
        if (status == STRID_ENOTFOUND) /* killed before the stores were written down */
            status = STRID_OK;
    }
    if (status == STRID_OK && !progress_only)
        status = ledger_waiting_print(reader, &error);
    if (status == STRID_OK && !progress_only)
        status = strid_state_reader_scan(reader, "engine:114", print_letter, &dump, &error);
    buffer_fini(&dump.line);
    strid_state_reader_close(reader);
    if (status != STRID_OK)
        fprintf(stderr, "ledger: %s\n", error.message);
    return status == STRID_OK && fflush(stdout) == 0 ? 0 : 1;
}
