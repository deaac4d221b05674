#include <criterion/criterion.h>

#include "runtime/chunk.h"

static const strid_origin origin = {"memory:x", "x", 0};

static strid_bytes text(const char *text) { return strid_bytes_of_text(text); }

static bool add(struct chunk *chunk, uint64_t position, strid_bytes key, strid_bytes value)
{
    strid_raw raw = {.key = key, .value = value, .position = {0, position}, .timestamp_ms = 5};
    struct decoded decoded = {.key = key, .type = text("type")};
    return chunk_add(chunk, &raw, &decoded, &origin, 0, position * 3);
}

Test(chunk, copies_all_of_a_record)
{
    struct chunk *chunk = chunk_create();
    char name[] = "name", header_value[] = "header", field_text[] = "12", bytes[] = "value";
    strid_header header = {text(name), text(header_value)};
    strid_field field = {.text = text(field_text), .kind = STRID_FIELD_INT, .integer = 12};
    strid_raw raw = {.value = text(bytes),
                     .position = {1, 2},
                     .timestamp_ms = 99,
                     .headers = &header,
                     .header_count = 1};
    struct decoded decoded = {.key = text("key"), .type = text("type"), .fields = &field};
    cr_assert(chunk_add(chunk, &raw, &decoded, &origin, 1, 77));
    memset(name, 'x', 4);
    memset(header_value, 'x', 6);
    memset(field_text, 'x', 2);
    memset(bytes, 'x', 5);
    const struct chunk_slot *slot = &chunk->slots[0];
    const strid_record *record = &slot->record;
    cr_assert(slot->hash == 77 && slot->fault == NULL && record->origin == &origin);
    cr_assert(record->position.high == 1 && record->position.low == 2);
    cr_assert_eq(record->timestamp_ms, 99);
    cr_assert(strid_bytes_equal(record->key, text("key")));
    cr_assert(strid_bytes_equal(record->value, text("value")));
    cr_assert(strid_bytes_equal(record->type, text("type")));
    cr_assert_eq(record->header_count, 1);
    cr_assert(strid_bytes_equal(record->headers[0].name, text("name")));
    cr_assert(strid_bytes_equal(record->headers[0].value, text("header")));
    cr_assert_eq(record->field_count, 1);
    cr_assert(strid_bytes_equal(record->fields[0].text, text("12")));
    cr_assert_eq(record->fields[0].integer, 12);
    chunk_destroy(chunk);
}

/* Short ones, long ones, and those between are copied in different ways. */
Test(chunk, copies_values_of_any_length)
{
    static uint8_t bytes[2048];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct chunk *chunk = chunk_create();
        cr_assert(add(chunk, 1, text("k"), strid_bytes_of(bytes, len)));
        cr_assert(add(chunk, 2, strid_bytes_of(bytes, len), text("behind")));
        const struct chunk_slot *slots = chunk->slots;
        cr_assert(strid_bytes_equal(slots[0].record.value, strid_bytes_of(bytes, len)));
        cr_assert(strid_bytes_equal(slots[1].record.key, strid_bytes_of(bytes, len)));
        cr_assert(strid_bytes_equal(slots[1].record.value, text("behind")));
        chunk_destroy(chunk);
    }
}

Test(chunk, absent_is_not_empty)
{
    struct chunk *chunk = chunk_create();
    cr_assert(add(chunk, 1, strid_bytes_of(NULL, 0), strid_bytes_of("", 0)));
    cr_assert_null(chunk->slots[0].record.key.data);
    cr_assert_not_null(chunk->slots[0].record.value.data);
    cr_assert_eq(chunk->slots[0].record.value.len, 0);
    chunk_destroy(chunk);
}

Test(chunk, fills_up_and_refuses_what_does_not_fit)
{
    static uint8_t value[1000];
    struct chunk *chunk = chunk_create();
    uint64_t count = 0;
    while (count < CHUNK_RECORDS_MAX && add(chunk, count, text("k"), strid_bytes_of(value, 1000)))
        count++;
    cr_assert(count > 40 && count < CHUNK_RECORDS_MAX, "%u", (unsigned)count);
    cr_assert_eq(chunk->count, count, "a refused record leaves no trace");
    for (uint64_t i = 0; i < count; i++)
        cr_assert_eq(chunk->slots[i].record.position.low, i);
    chunk_reset(chunk);
    cr_assert_eq(chunk->count, 0);
    cr_assert(add(chunk, 0, text("k"), strid_bytes_of(value, 1000)));
    chunk_destroy(chunk);
}

Test(chunk, empty_one_takes_any_record_and_shrinks_again)
{
    static uint8_t value[3 * CHUNK_ARENA_BYTES];
    memset(value, 'v', sizeof value);
    struct chunk *chunk = chunk_create();
    cr_assert(add(chunk, 1, text("k"), strid_bytes_of(value, sizeof value)));
    cr_assert(strid_bytes_equal(chunk->slots[0].record.value, strid_bytes_of(value, sizeof value)));
    cr_assert_not(add(chunk, 2, text("k"), strid_bytes_of(value, sizeof value)));
    chunk_reset(chunk);
    cr_assert_eq(chunk->arena_bytes, CHUNK_ARENA_BYTES);
    cr_assert(add(chunk, 3, text("k"), text("small")));
    chunk_destroy(chunk);
    chunk_destroy(NULL);
}

Test(chunk, faulty_record_has_no_fields)
{
    struct chunk *chunk = chunk_create();
    strid_raw raw = {.value = text("{broken"), .position = {0, 1}};
    struct decoded decoded = {.fault = "malformed"};
    strid_field field = {.kind = STRID_FIELD_ABSENT};
    decoded.fields = &field;
    cr_assert(chunk_add(chunk, &raw, &decoded, &origin, 1, 0));
    cr_assert_eq(chunk->slots[0].record.field_count, 0);
    cr_assert_str_eq(chunk->slots[0].fault, "malformed");
    chunk_destroy(chunk);
}
