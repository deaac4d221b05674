#include <criterion/criterion.h>

#include "base/memory.h"
#include "runtime/retry_record.h"

static const strid_header HEADERS[] = {
    {{(const uint8_t *)"trace", 5}, {(const uint8_t *)"00-ab", 5}},
    {{(const uint8_t *)"empty", 5}, {(const uint8_t *)"", 0}},
    {{(const uint8_t *)"absent", 6}, {NULL, 0}},
};

static struct retry_record full_record(void)
{
    return (struct retry_record){.record = {.key = strid_bytes_of("k\0y", 3),
                                            .value = strid_bytes_of_text("{\"n\": 1}"),
                                            .type = strid_bytes_of_text("click"),
                                            .position = {UINT64_MAX, 12345},
                                            .timestamp_ms = -7,
                                            .headers = HEADERS,
                                            .header_count = 3},
                                 .partition = 9,
                                 .attempt = 2,
                                 .first_ms = 1000,
                                 .last_ms = 2000,
                                 .topic = strid_bytes_of_text("orders.jsonl"),
                                 .reason = strid_bytes_of_text("no luck")};
}

static bool same(strid_bytes a, strid_bytes b)
{
    return (a.data == NULL) == (b.data == NULL) && strid_bytes_equal(a, b);
}

static void assert_same(const struct retry_record *a, const struct retry_record *b)
{
    cr_assert(same(a->record.key, b->record.key));
    cr_assert(same(a->record.value, b->record.value));
    cr_assert(strid_bytes_equal(a->record.type, b->record.type));
    cr_assert_eq(strid_position_compare(a->record.position, b->record.position), 0);
    cr_assert_eq(a->record.timestamp_ms, b->record.timestamp_ms);
    cr_assert_eq(a->partition, b->partition);
    cr_assert_eq(a->attempt, b->attempt);
    cr_assert_eq(a->first_ms, b->first_ms);
    cr_assert_eq(a->last_ms, b->last_ms);
    cr_assert(strid_bytes_equal(a->topic, b->topic));
    cr_assert(strid_bytes_equal(a->reason, b->reason));
    cr_assert_eq(a->record.header_count, b->record.header_count);
    for (uint32_t i = 0; i < a->record.header_count; i++) {
        cr_assert(strid_bytes_equal(a->record.headers[i].name, b->record.headers[i].name));
        cr_assert(same(a->record.headers[i].value, b->record.headers[i].value));
    }
}

Test(retry_record, reads_back_what_was_written)
{
    struct retry_record cases[3] = {full_record(), full_record()};
    cases[1].record.key = strid_bytes_of("", 0); /* empty, which is not absent */
    cases[1].record.value = strid_bytes_of(NULL, 0);
    cases[1].record.timestamp_ms = STRID_TIMESTAMP_NONE;
    cases[1].record.header_count = 0;
    struct buffer bytes = {0}, headers = {0};
    for (int i = 0; i < 3; i++) {
        struct retry_record back;
        buffer_clear(&bytes);
        retry_record_put(&bytes, &cases[i]);
        cr_assert(retry_record_get(buffer_bytes(&bytes), &headers, &back));
        assert_same(&cases[i], &back);
    }
    buffer_fini(&bytes);
    buffer_fini(&headers);
}

/* Cut off, or with one byte more, nothing is read; each in memory of exactly its length. */
Test(retry_record, every_other_length_is_refused)
{
    struct retry_record record = full_record(), back;
    struct buffer bytes = {0}, headers = {0};
    retry_record_put(&bytes, &record);
    for (size_t len = 0; len <= bytes.len + 1; len++) {
        if (len == bytes.len)
            continue;
        uint8_t *copy = memory_alloc_zeroed(len + 1);
        memcpy(copy, bytes.data, len < bytes.len ? len : bytes.len);
        cr_assert_not(retry_record_get(strid_bytes_of(copy, len), &headers, &back), "%zu", len);
        memory_free(copy);
    }
    buffer_fini(&bytes);
    buffer_fini(&headers);
}

/* Whatever byte is damaged, reading ends, within the bytes, and believes no count. */
Test(retry_record, damaged_bytes_are_read_without_harm)
{
    struct retry_record record = full_record(), back;
    struct buffer bytes = {0}, headers = {0};
    retry_record_put(&bytes, &record);
    for (size_t at = 0; at < bytes.len; at++)
        for (unsigned value = 0; value < 256; value++) {
            uint8_t kept = bytes.data[at];
            bytes.data[at] = (uint8_t)value;
            bool read = retry_record_get(buffer_bytes(&bytes), &headers, &back);
            cr_assert(!read || back.record.header_count <= bytes.len);
            cr_assert(at > 0 || read == (value == 1), "another version is not read");
            bytes.data[at] = kept;
        }
    buffer_fini(&bytes);
    buffer_fini(&headers);
}

Test(retry_record, head_reads_back_and_refuses_what_cannot_be)
{
    struct retry_head head = {.first_seq = 3,
                              .last_seq = 900,
                              .bytes = 1 << 20,
                              .due_ms = 123456,
                              .first_ms = 99,
                              .attempt = 4,
                              .flags = RETRY_HEAD_KEYLESS};
    struct retry_head back;
    struct buffer bytes = {0};
    retry_record_put_head(&bytes, &head);
    cr_assert(retry_record_get_head(buffer_bytes(&bytes), &back));
    cr_assert(back.first_seq == 3 && back.last_seq == 900 && back.bytes == 1 << 20);
    cr_assert(back.due_ms == 123456 && back.first_ms == 99 && back.attempt == 4);
    cr_assert_eq(back.flags, RETRY_HEAD_KEYLESS);
    for (size_t len = 0; len < bytes.len; len++)
        cr_assert_not(retry_record_get_head(strid_bytes_of(bytes.data, len), &back), "%zu", len);
    bytes.data[0]++;
    cr_assert_not(retry_record_get_head(buffer_bytes(&bytes), &back), "another version");
    bytes.data[0]--;
    bytes.data[1] |= 0x80;
    cr_assert_not(retry_record_get_head(buffer_bytes(&bytes), &back), "an unknown flag");
    bytes.data[1] &= 0x7f;
    bytes.data[2] = 0xff;
    bytes.data[3] = 0xff;
    cr_assert_not(retry_record_get_head(buffer_bytes(&bytes), &back), "first behind last");
    buffer_fini(&bytes);
}

Test(retry_record, subkeys_sort_as_their_numbers)
{
    static const uint64_t seqs[] = {0, 1, 255, 256, 65536, UINT64_C(1) << 40, UINT64_MAX};
    uint8_t before[RETRY_SUBKEY_BYTES], subkey[RETRY_SUBKEY_BYTES];
    for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
        uint64_t back = 17;
        retry_record_subkey(subkey, seqs[i]);
        cr_assert(retry_record_seq(strid_bytes_of(subkey, sizeof subkey), &back));
        cr_assert_eq(back, seqs[i]);
        cr_assert(i == 0 || memcmp(before, subkey, sizeof subkey) < 0);
        memcpy(before, subkey, sizeof subkey);
    }
    uint64_t seq;
    cr_assert_not(retry_record_seq(strid_bytes_of(subkey, 7), &seq));
}
