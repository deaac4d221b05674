#include "kafka_record.h"

#include "base/memory.h"

#include <string.h>

/* No text, no sign: absent is told from empty by the pointer. */
static strid_bytes bytes_of(const void *data, size_t len)
{
    return strid_bytes_of(data, data == NULL ? 0 : len);
}

static strid_status add_with_headers(strid_raw *raw, const rd_kafka_headers_t *headers,
                                     strid_intake *out)
{
    enum { USUAL = 16 };
    strid_header usual[USUAL];
    size_t count = rd_kafka_header_cnt(headers);
    strid_header *list = count <= USUAL ? usual : memory_alloc(count * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        const char *name = "";
        const void *value = NULL;
        size_t len = 0;
        (void)rd_kafka_header_get_all(headers, i, &name, &value, &len);
        list[i] = (strid_header){.name = strid_bytes_of(name, strlen(name)),
                                 .value = bytes_of(value, len)};
    }
    raw->headers = list;
    raw->header_count = (uint32_t)count;
    strid_status status = strid_intake_add(out, raw);
    if (list != usual)
        memory_free(list);
    return status;
}

strid_status kafka_record_add(const rd_kafka_message_t *message, strid_intake *out)
{
    rd_kafka_timestamp_type_t type;
    rd_kafka_headers_t *headers = NULL;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    strid_raw raw = {
        .key = bytes_of(message->key, message->key_len),
        .value = bytes_of(message->payload, message->len),
        .position = {0, (uint64_t)message->offset},
        .next = {0, (uint64_t)message->offset + 1},
        .timestamp_ms = timestamp_ms < 0 ? STRID_TIMESTAMP_NONE : timestamp_ms,
    };
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return add_with_headers(&raw, headers, out);
    return strid_intake_add(out, &raw);
}
