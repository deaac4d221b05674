#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "runtime/outbox_record.h"

static strid_bytes text(const char *text) { return strid_bytes_of_text(text); }

static struct outbox_record some_letter(const strid_header *headers)
{
    return (struct outbox_record){.partition = 5,
                                  .ordinal = 2,
                                  .letter = {.record = {.position = {1, 700},
                                                        .timestamp_ms = STRID_TIMESTAMP_NONE,
                                                        .type = text("order"),
                                                        .key = strid_bytes_of("", 0),
                                                        .value = text("bytes"),
                                                        .headers = headers,
                                                        .header_count = 1},
                                             .partition = 9,
                                             .attempt = 3,
                                             .first_ms = 10,
                                             .last_ms = 20,
                                             .topic = text("in"),
                                             .reason = text("rejected: no")}};
}

Test(outbox_record, reads_back_what_was_written)
{
    const strid_header header = {text("a"), strid_bytes_of(NULL, 0)};
    struct outbox_record letter = some_letter(&header), back;
    struct buffer bytes = {0}, headers = {0};
    outbox_record_put(&bytes, &letter);
    cr_assert(outbox_record_get(buffer_bytes(&bytes), &headers, &back));
    cr_assert(back.partition == 5 && back.ordinal == 2);
    cr_assert(back.letter.partition == 9 && back.letter.attempt == 3);
    cr_assert(back.letter.first_ms == 10 && back.letter.last_ms == 20);
    cr_assert(strid_bytes_equal(back.letter.topic, text("in")));
    cr_assert(strid_bytes_equal(back.letter.reason, text("rejected: no")));
    const strid_record *record = &back.letter.record;
    cr_assert(record->position.high == 1 && record->position.low == 700);
    cr_assert_eq(record->timestamp_ms, STRID_TIMESTAMP_NONE);
    cr_assert(record->key.data != NULL && record->key.len == 0, "empty is not absent");
    cr_assert(strid_bytes_equal(record->value, text("bytes")));
    cr_assert(record->header_count == 1 && record->headers[0].value.data == NULL);
    buffer_fini(&bytes);
    buffer_fini(&headers);
}

Test(outbox_record, refuses_what_is_cut_off_or_goes_on_or_is_of_another_version)
{
    const strid_header header = {text("a"), text("1")};
    struct outbox_record letter = some_letter(&header), back;
    struct buffer bytes = {0}, headers = {0};
    outbox_record_put(&bytes, &letter);
    for (size_t len = 0; len < bytes.len; len++)
        cr_assert_not(outbox_record_get(strid_bytes_of(bytes.data, len), &headers, &back), "%zu",
                      len);
    bytes.data[0]++;
    cr_assert_not(outbox_record_get(buffer_bytes(&bytes), &headers, &back), "another version");
    bytes.data[0]--;
    buffer_put_u8(&bytes, 0);
    cr_assert_not(outbox_record_get(buffer_bytes(&bytes), &headers, &back), "a byte left over");
    buffer_fini(&bytes);
    buffer_fini(&headers);
}
