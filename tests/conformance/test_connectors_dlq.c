/* Dead letters: written by the file sink, listed by its browse. */
#include <criterion/criterion.h>

#include "base/buffer.h"

#include "connector_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct support_directory directory;
static struct opened_sink sink;
static strid_error err;
static char path[SUPPORT_PATH_MAX];
static strid_dead_letter letter;
static strid_output output;

static void set_up(void)
{
    support_directory_create(&directory);
    support_path(&directory, "in.jsonl.dlq", path);
    letter = (strid_dead_letter){.source = "file:in.jsonl",
                                 .topic = strid_bytes_of_text("in.jsonl"),
                                 .partition = 3,
                                 .position = {0, 17},
                                 .reason = strid_bytes_of_text("not_json"),
                                 .type = strid_bytes_of_text(""),
                                 .first_failure_ms = 1000,
                                 .last_failure_ms = 2000,
                                 .attempts = 2,
                                 .pipeline = "totals",
                                 .node = "n1"};
    output = (strid_output){.id = strid_bytes_of_text("totals/in.jsonl/3/17/0"),
                            .value = strid_bytes_of_text("{\"a\": 1"),
                            .timestamp_ms = STRID_TIMESTAMP_NONE,
                            .dead_letter = &letter};
}

static void tear_down(void)
{
    sink_close(&sink);
    support_directory_remove(&directory);
}

TestSuite(dlq, .init = set_up, .fini = tear_down);

static strid_status open_at(const char *target, const char *query)
{
    char url[SUPPORT_PATH_MAX + 64];
    (void)snprintf(url, sizeof url, "file:%s%s", target, query);
    sink_close(&sink);
    return sink_open_url(&sink, url, &err);
}

static void deliver(void)
{
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &err), err);
    STRID_CHECK_OK(sink.ops->flush(sink.self, &err), err);
}

struct listing {
    uint32_t count;
    uint32_t count_max;
    char positions[256];
    void (*check)(const strid_output *got);
};

static bool list_one(void *user, const strid_output *got)
{
    struct listing *listing = user;
    size_t used = strlen(listing->positions);
    (void)snprintf(listing->positions + used, sizeof listing->positions - used, "%lu ",
                   (unsigned long)got->dead_letter->position.low);
    if (listing->check != NULL)
        listing->check(got);
    return ++listing->count != listing->count_max;
}

static struct listing list(uint32_t count_max, void (*check)(const strid_output *got))
{
    struct listing listing = {.count_max = count_max, .check = check};
    STRID_CHECK_OK(sink.ops->browse(&sink.at.args, list_one, &listing, &err), err);
    return listing;
}

static void check_same(const strid_output *got)
{
    const strid_dead_letter *had = &letter;
    const strid_dead_letter *has = got->dead_letter;
    cr_assert(strid_bytes_equal(got->id, output.id));
    cr_assert(strid_bytes_equal(got->key, output.key));
    cr_assert_eq(got->key.data == NULL, output.key.data == NULL);
    cr_assert(strid_bytes_equal(got->value, output.value));
    cr_assert_eq(got->value.data == NULL, output.value.data == NULL);
    cr_assert_eq(got->timestamp_ms, output.timestamp_ms);
    cr_assert_str_eq(has->source, had->source);
    cr_assert(strid_bytes_equal(has->topic, had->topic));
    cr_assert_eq(has->partition, had->partition);
    cr_assert_eq(strid_position_compare(has->position, had->position), 0);
    cr_assert(strid_bytes_equal(has->reason, had->reason));
    cr_assert(strid_bytes_equal(has->type, had->type));
    cr_assert_eq(has->first_failure_ms, had->first_failure_ms);
    cr_assert_eq(has->last_failure_ms, had->last_failure_ms);
    cr_assert_eq(has->attempts, had->attempts);
    cr_assert_str_eq(has->pipeline, had->pipeline);
    cr_assert_str_eq(has->node, had->node);
    cr_assert_eq(got->header_count, output.header_count);
    for (uint32_t i = 0; i < got->header_count; i++) {
        cr_assert(strid_bytes_equal(got->headers[i].name, output.headers[i].name));
        cr_assert(strid_bytes_equal(got->headers[i].value, output.headers[i].value));
        cr_assert_eq(got->headers[i].value.data == NULL, output.headers[i].value.data == NULL);
    }
}

static void check_round_trip(void)
{
    (void)unlink(path);
    STRID_CHECK_OK(open_at(path, "?format=value"), err);
    deliver();
    cr_assert_eq(list(0, check_same).count, 1);
}

Test(dlq, line_is_one_flat_object)
{
    STRID_CHECK_OK(open_at(path, ""), err);
    deliver();
    char *text = support_read_file(path, NULL);
    cr_assert_str_eq(text,
                     "{\"id\": \"totals/in.jsonl/3/17/0\", \"source\": \"file:in.jsonl\", "
                     "\"topic\": \"in.jsonl\", \"partition\": 3, \"position\": 17, \"reason\": "
                     "\"not_json\", \"type\": \"\", \"value\": \"{\\\"a\\\": 1\", "
                     "\"first_failure\": 1000, \"last_failure\": 2000, \"attempts\": 2, "
                     "\"pipeline\": \"totals\", \"node\": \"n1\"}\n");
    free(text);
}

Test(dlq, reads_back_what_was_written)
{
    check_round_trip();
    output.key = strid_bytes_of_text("key \"\\\t");
    output.timestamp_ms = -5;
    letter.type = strid_bytes_of_text("order");
    check_round_trip();
    output.key = strid_bytes_of("\xff\0\xfe", 3);
    output.value = strid_bytes_of("\0\x80", 2);
    letter.topic = strid_bytes_of("\xfftopic", 6);
    letter.reason = strid_bytes_of_text("");
    check_round_trip();
    output.value = strid_bytes_of("a\0b", 3);
    letter.position = (strid_position){7, UINT64_MAX};
    check_round_trip();
    output.value = strid_bytes_of(NULL, 0);
    letter.position = (strid_position){0, UINT64_MAX};
    check_round_trip();
    output.value = strid_bytes_of("", 0); /* empty, which is not absent */
    check_round_trip();
    output.value = strid_bytes_of_text("{\"valid\": [ 1 ] }"); /* as it was, not minified */
    check_round_trip();
}

Test(dlq, reads_back_any_number_of_headers)
{
    strid_header headers[40];
    for (uint32_t i = 0; i < 40; i++)
        headers[i] =
            (strid_header){strid_bytes_of("name", 4 - i % 3),
                           strid_bytes_of(i % 5 == 0 ? NULL : "v\xff", i % 5 == 0 ? 0 : 1 + i % 2)};
    output.headers = headers;
    for (uint32_t count = 1; count <= 40; count += 1) {
        output.header_count = count;
        check_round_trip();
    }
}

Test(dlq, nothing_there_yet_is_an_empty_list)
{
    STRID_CHECK_OK(open_at(path, ""), err);
    cr_assert_eq(list(0, NULL).count, 0);
}

Test(dlq, lines_that_are_no_dead_letters_are_passed_over)
{
    STRID_CHECK_OK(open_at(path, ""), err);
    deliver();
    size_t len = 0;
    char *good = support_read_file(path, &len);
    sink_close(&sink);
    struct buffer text = {0};
    buffer_printf(&text,
                  "{\"torn\n\n[]\n{}\n{\"id\": \"x\", \"topic\": \"t\", \"reason\": \"r\"}\n");
    buffer_printf(&text,
                  "{\"id\": \"x\", \"topic\": \"t\", \"reason\": \"r\", \"position\": -1}\n");
    buffer_printf(&text,
                  "{\"id\": \"x\", \"topic\": \"t\", \"reason\": \"r\", \"position\": \"1-\"}\n");
    buffer_printf(&text, "{\"id_base64\": \"?\", \"topic\": \"t\", \"reason\": \"r\", "
                         "\"position\": 1}\n");
    buffer_put(&text, good, len);
    buffer_put(&text, good, len - 1); /* being written: its newline is not there yet */
    support_write_file(path, text.data, text.len);
    STRID_CHECK_OK(open_at(path, ""), err);
    cr_assert_eq(list(0, check_same).count, 2);
    buffer_fini(&text);
    free(good);
}

Test(dlq, listing_ends_when_the_caller_says_so)
{
    STRID_CHECK_OK(open_at(path, ""), err);
    for (letter.position.low = 1; letter.position.low < 6; letter.position.low++)
        deliver();
    struct listing listing = list(3, NULL);
    cr_assert_eq(listing.count, 3);
    cr_assert_str_eq(listing.positions, "1 2 3 ");
}

static void deliver_from(const char *name, uint64_t position)
{
    char topic[SUPPORT_PATH_MAX];
    support_path(&directory, name, topic);
    letter.topic = strid_bytes_of_text(topic);
    letter.position.low = position;
    deliver();
}

Test(dlq, directory_has_one_beside_each_file)
{
    STRID_CHECK_OK(open_at(directory.path, "?per_source=true"), err);
    deliver_from("b", 1);
    deliver_from("a", 2);
    deliver_from("b", 3);
    struct listing listing = list(0, NULL);
    cr_assert_str_eq(listing.positions, "2 1 3 ");
    listing = list(2, NULL);
    cr_assert_str_eq(listing.positions, "2 1 ");
    support_path(&directory, "a.dlq", path);
    cr_assert_eq(access(path, F_OK), 0);
}

Test(dlq, more_files_than_stay_open)
{
    STRID_CHECK_OK(open_at(directory.path, "?per_source=true"), err);
    for (uint64_t round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 100; i++) {
            char name[16];
            (void)snprintf(name, sizeof name, "f%03lu", (unsigned long)i);
            deliver_from(name, i);
        }
    }
    cr_assert_eq(list(0, NULL).count, 200);
}

Test(dlq, per_source_is_for_dead_letters_only)
{
    STRID_CHECK_OK(open_at(directory.path, "?per_source=true"), err);
    output.dead_letter = NULL;
    cr_assert_eq(sink.ops->write(sink.self, &output, 1, &err), STRID_ECONFIG);
    cr_assert(strstr(err.message, "dead letters only") != NULL, "%s", err.message);
}

Test(dlq, file_that_cannot_be_read_is_an_error)
{
    struct listing listing = {0};
    STRID_CHECK_OK(open_at(path, ""), err);
    sink.at.args.target = directory.path; /* a directory is no file of lines */
    cr_assert_eq(sink.ops->browse(&sink.at.args, list_one, &listing, &err), STRID_EIO);
    cr_assert(strstr(err.message, "Is a directory") != NULL, "%s", err.message);
}
