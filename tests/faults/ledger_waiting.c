#include "faults/ledger_waiting.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/json.h"
#include "runtime/retry_record.h"

struct waiting {
    struct buffer line, headers;
};

/* What cannot be read is told, too: the checker finds it wrong. */
static bool print_record(void *user, const strid_state_entry *entry)
{
    struct waiting *waiting = user;
    struct buffer *line = &waiting->line;
    struct retry_record record;
    uint64_t seq = 0;
    buffer_clear(line);
    buffer_printf(line, "{\"store\":\"waiting\",");
    json_put_member_bytes(line, "key", entry->key);
    if (!retry_record_seq(entry->subkey, &seq) ||
        !retry_record_get(entry->value, &waiting->headers, &record)) {
        buffer_printf(line, ",\"damaged\":true}\n");
    } else {
        buffer_printf(line, ",\"seq\":%" PRIu64 ",\"position\":%" PRIu64 ",", seq,
                      record.record.position.low);
        json_put_member_bytes(line, "topic", record.topic);
        buffer_printf(line, ",");
        json_put_member_bytes(line, "bytes", record.record.value);
        buffer_printf(line, "}\n");
    }
    return fwrite(line->data, 1, line->len, stdout) == line->len;
}

static bool print_head(void *user, const strid_state_entry *entry)
{
    struct buffer *line = &((struct waiting *)user)->line;
    struct retry_head head;
    buffer_clear(line);
    buffer_printf(line, "{\"store\":\"head\",");
    json_put_member_bytes(line, "key", entry->key);
    if (!retry_record_get_head(entry->value, &head))
        buffer_printf(line, ",\"damaged\":true}\n");
    else
        buffer_printf(line,
                      ",\"first\":%" PRIu64 ",\"last\":%" PRIu64 ",\"attempts\":%" PRIu32 "}\n",
                      head.first_seq, head.last_seq, head.attempt);
    return fwrite(line->data, 1, line->len, stdout) == line->len;
}

strid_status ledger_waiting_print(strid_state_reader *reader, strid_error *err)
{
    struct waiting waiting = {0};
    strid_status status =
        strid_state_reader_scan(reader, "engine:112", print_record, &waiting, err);
    if (status == STRID_OK || status == STRID_ENOTFOUND)
        status = strid_state_reader_scan(reader, "engine:113", print_head, &waiting, err);
    buffer_fini(&waiting.line);
    buffer_fini(&waiting.headers);
    return status == STRID_ENOTFOUND ? STRID_OK : status;
}
