#include <criterion/criterion.h>

#include <string.h>

#include "runtime/output.h"
#include "runtime_case.h"

static strid_bytes text(const char *text) { return strid_bytes_of_text(text); }

static strid_outcome nothing(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx;
    (void)record;
    (void)user;
    return STRID_DONE;
}

Test(output, reads_back_in_order_with_ids)
{
    struct runtime_case at;
    struct output_list list = {0};
    strid_output out;
    runtime_case_init(&at, nothing, NULL);
    runtime_case_start(&at);
    strid_record record = {.position = {0, 12}, .timestamp_ms = 3};
    output_put(&list, 0, &record, 0, text("key"), text("one"));
    record.position = (strid_position){7, 0};
    output_put(&list, 0, &record, 4, strid_bytes_of(NULL, 0), strid_bytes_of("", 0));
    cr_assert_eq(list.count, 2);
    struct output_reader reader = {.run = at.run, .cursor = cursor_of(buffer_bytes(&list.bytes))};
    cr_assert(output_next(&reader, &out));
    cr_assert(strid_bytes_equal(out.id, text("case/in/0/12/0")));
    cr_assert(strid_bytes_equal(out.key, text("key")) && strid_bytes_equal(out.value, text("one")));
    cr_assert(out.timestamp_ms == 3 && out.header_count == 0 && out.dead_letter == NULL);
    cr_assert(output_next(&reader, &out));
    cr_assert(strid_bytes_equal(out.id, text("case/in/0/7-0/4")));
    cr_assert_null(out.key.data);
    cr_assert(out.value.data != NULL && out.value.len == 0, "empty is not absent");
    cr_assert_not(output_next(&reader, &out));
    output_reader_fini(&reader);
    buffer_fini(&list.bytes);
    runtime_case_fini(&at);
}

Test(output, dead_letter_keeps_the_record)
{
    struct runtime_case at;
    struct output_list list = {0};
    strid_output out;
    runtime_case_init(&at, nothing, NULL);
    runtime_case_start(&at);
    struct directory_partition *stored = at.run->partitions[0].stored;
    memcpy(stored->fingerprint, "me", sizeof "me" - 1);
    stored->fingerprint_len = sizeof "me" - 1;
    strid_header headers[] = {{text("a"), text("1")}, {text("b"), strid_bytes_of(NULL, 0)}};
    strid_record record = {.key = text("key"),
                           .value = text("value"),
                           .type = text("type"),
                           .position = {0, 5},
                           .timestamp_ms = STRID_TIMESTAMP_NONE,
                           .headers = headers,
                           .header_count = 2};
    struct outbox_record letter_put = {.partition = 4,
                                       .ordinal = 2,
                                       .letter = {.record = record,
                                                  .partition = stored->number,
                                                  .attempt = 3,
                                                  .first_ms = 100,
                                                  .last_ms = 200,
                                                  .topic = text("gone"),
                                                  .reason = text("why")}};
    struct buffer bytes = {0};
    outbox_record_put(&bytes, &letter_put);
    output_put_dead_letter(&list, buffer_bytes(&bytes));
    buffer_fini(&bytes);
    struct output_reader reader = {.run = at.run, .cursor = cursor_of(buffer_bytes(&list.bytes))};
    cr_assert(output_next(&reader, &out));
    cr_assert(strid_bytes_equal(out.id, text("case/gone/4/5/dlq2")));
    cr_assert(strid_bytes_equal(out.value, text("value")));
    cr_assert_eq(out.timestamp_ms, STRID_TIMESTAMP_NONE);
    cr_assert_eq(out.header_count, 2);
    cr_assert(strid_bytes_equal(out.headers[0].value, text("1")));
    cr_assert_null(out.headers[1].value.data);
    const strid_dead_letter *letter = out.dead_letter;
    cr_assert_not_null(letter);
    cr_assert(strid_bytes_equal(letter->reason, text("why")) && letter->attempts == 3);
    cr_assert(strid_bytes_equal(letter->type, text("type")));
    cr_assert(letter->first_failure_ms == 100 && letter->last_failure_ms == 200);
    cr_assert(letter->position.low == 5 && letter->partition == 4);
    cr_assert(strid_bytes_equal(letter->fingerprint, text("me")));
    cr_assert_str_eq(letter->source, "memory:in");
    cr_assert_str_eq(letter->pipeline, "case");
    output_reader_fini(&reader);
    buffer_fini(&list.bytes);
    runtime_case_fini(&at);
}

static uint64_t polls;

static strid_status poll_backwards(strid_source *self, uint32_t partition, strid_intake *out,
                                   uint32_t records_max, strid_error *err)
{
    static const uint64_t positions[] = {3, 9, 9};
    (void)self;
    (void)partition;
    (void)records_max;
    (void)err;
    strid_raw raw = {
        .value = text("v"), .position = {0, positions[polls]}, .next = {0, positions[polls] + 1}};
    polls += polls < 2;
    return strid_intake_add(out, &raw);
}

Test(reader, position_that_does_not_rise_stops_the_partition)
{
    struct runtime_case at;
    runtime_case_init(&at, nothing, NULL);
    strid_source_ops ops = *at.definition->source.ops;
    ops.poll = poll_backwards;
    const strid_source_ops *own = at.definition->source.ops;
    at.definition->source.ops = &ops;
    runtime_case_start(&at);
    cr_assert(runtime_case_finish(&at), "what was read before is durable in the end");
    cr_assert_eq(at.run->gap.status, STRID_EGAP);
    cr_assert_not_null(strstr(at.run->gap.message, "0-9 came after 0-9"), "%s",
                       at.run->gap.message);
    at.definition->source.ops = own;
    runtime_case_fini(&at);
}
