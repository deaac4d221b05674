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

strid_status kafka_record_add(const struct kafka_message *message, strid_intake *out)
{
    const rd_kafka_message_t *from = &message->raw;
    strid_raw raw = {
        .key = bytes_of(from->key, from->key_len),
        .value = bytes_of(from->payload, from->len),
        .position = {0, (uint64_t)from->offset},
        .next = {0, (uint64_t)from->offset + 1},
        .timestamp_ms = message->timestamp_ms < 0 ? STRID_TIMESTAMP_NONE : message->timestamp_ms,
    };
    if (__builtin_expect(message->headers != NULL, 0))
        return add_with_headers(&raw, message->headers, out);
    return strid_intake_add(out, &raw);
}
