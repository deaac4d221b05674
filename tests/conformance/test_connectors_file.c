/* The rules about lines and files of docs/connectors/file.md. */
#include <criterion/criterion.h>

#include "connectors/file/file_reader.h"

#include "connector_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct support_directory directory;
static struct opened_source source;
static struct strid_intake intake;
static strid_error err;
static char path[SUPPORT_PATH_MAX];
static char url[SUPPORT_PATH_MAX + 64];
static uint8_t fingerprint[STRID_FINGERPRINT_MAX];
static size_t fingerprint_len;

static void set_up(void)
{
    support_directory_create(&directory);
    support_path(&directory, "in.log", path);
}

static void tear_down(void)
{
    source_close(&source);
    intake_fini(&intake);
    support_directory_remove(&directory);
}

TestSuite(file, .init = set_up, .fini = tear_down);

static void write_text(const char *text) { support_write_file(path, text, strlen(text)); }

static strid_status open_with(const char *query)
{
    source_close(&source);
    (void)snprintf(url, sizeof url, "file:%s%s", path, query);
    return source_open_url(&source, url, &err);
}

static strid_status assign(const strid_position *position)
{
    return source_assign_at(&source, 0, position, strid_bytes_of(fingerprint, fingerprint_len),
                            &err);
}

/* Reads from `from` (-1: as never read) to the end, as a run of its own. */
static void read_from(const char *query, int64_t from)
{
    strid_position position = {0, (uint64_t)from};
    intake_clear(&intake);
    STRID_CHECK_OK(open_with(query), err);
    STRID_CHECK_OK(assign(from < 0 ? NULL : &position), err);
    fingerprint_len = source.ops->fingerprint(source.self, 0, fingerprint);
    cr_assert_eq(source_drain(&source, 0, &intake, 7, &err), STRID_EOF, "%s", err.message);
    cr_assert_null(intake.violation, "%s", intake.violation);
}

static void expect(size_t index, uint64_t position, const char *value, size_t len,
                   const char *fault)
{
    cr_assert_lt(index, intake.count, "there is no record %zu", index);
    const struct taken *taken = &intake.records[index];
    strid_bytes got = intake_value(&intake, index);
    cr_assert(strid_bytes_equal(got, strid_bytes_of(value, len)), "record %zu is '%.*s'", index,
              (int)got.len, (const char *)got.data);
    cr_assert_eq(taken->position.low, position, "record %zu is at %lu", index,
                 (unsigned long)taken->position.low);
    cr_assert_eq(taken->position.high, 0);
    cr_assert_eq(taken->has_key, false);
    if (fault == NULL)
        cr_assert_null(taken->fault, "record %zu: %s", index, taken->fault);
    else
        cr_assert_str_eq(taken->fault, fault);
}

static void expect_text(size_t index, uint64_t position, const char *value, const char *fault)
{
    expect(index, position, value, strlen(value), fault);
}

Test(file, one_carriage_return_belongs_to_the_line_end)
{
    write_text("a\r\nb\r\r\n\rc\n");
    read_from("", -1);
    cr_assert_eq(intake.count, 3);
    expect_text(0, 0, "a", NULL);
    expect_text(1, 3, "b\r", NULL);
    expect_text(2, 7, "\rc", NULL);
}

Test(file, empty_lines_are_no_records_and_are_passed)
{
    write_text("\n\r\na\n\n\r\n\n");
    read_from("?read_size=2", -1);
    cr_assert_eq(intake.count, 1);
    expect_text(0, 3, "a", NULL);
    cr_assert_eq(intake.passed.low, 9);
}

Test(file, empty_file_ends_at_once_and_may_grow)
{
    write_text("");
    read_from("", -1);
    cr_assert_eq(intake.count, 0);
    write_text("a\n");
    read_from("", 0);
    expect_text(0, 0, "a", NULL);
}

Test(file, any_byte_is_data)
{
    static const char bytes[] = "a\0b\n\xff\xfe\n\xef\xbb\xbf{}\n\0\n";
    support_write_file(path, bytes, sizeof bytes - 1);
    read_from("", -1);
    cr_assert_eq(intake.count, 4);
    expect(0, 0, "a\0b", 3, NULL);
    expect(1, 4, "\xff\xfe", 2, NULL);
    expect(2, 7, "\xef\xbb\xbf{}", 5, NULL);
    expect(3, 13, "\0", 1, NULL);
}

Test(file, last_line_needs_no_end_and_its_end_may_come_later)
{
    write_text("a\nlast");
    read_from("", -1);
    cr_assert_eq(intake.count, 2);
    expect_text(1, 2, "last", NULL);
    cr_assert_eq(intake.records[1].next.low, 6);
    read_from("", 6);
    cr_assert_eq(intake.count, 0);
    write_text("a\nlast\nmore\n");
    read_from("", 6);
    cr_assert_eq(intake.count, 1);
    expect_text(0, 7, "more", NULL);
    fingerprint_len = 0; /* another file */
    write_text("a\nlast\r\nmore\n");
    read_from("", 6);
    cr_assert_eq(intake.count, 1);
    expect_text(0, 8, "more", NULL);
}

Test(file, rest_of_a_continued_last_line_is_dead_lettered)
{
    write_text("a\nlast");
    read_from("", -1);
    write_text("a\nlast and more\nb\n");
    read_from("", 6);
    cr_assert_eq(intake.count, 2);
    expect_text(0, 6, " and more", "line_extended");
    expect_text(1, 16, "b", NULL);
}

Test(file, carriage_return_at_the_end_waits_for_what_comes)
{
    write_text("a\r");
    read_from("", -1);
    cr_assert_eq(intake.count, 1);
    expect_text(0, 0, "a", NULL);
    cr_assert_eq(intake.records[0].next.low, 1);
    write_text("a\r\n");
    read_from("", 1);
    cr_assert_eq(intake.count, 0);
    fingerprint_len = 0; /* another file */
    write_text("a\rb\n");
    read_from("", 1);
    cr_assert_eq(intake.count, 1);
    expect_text(0, 1, "\rb", "line_extended");
}

Test(file, longest_line_is_a_record_and_a_longer_one_comes_in_pieces)
{
    write_text("12345\n12345\r\n123456\n1234567890\r\nb\n123456");
    read_from("?max_line=5&read_size=3", -1);
    cr_assert_eq(intake.count, 9);
    expect_text(0, 0, "12345", NULL);
    expect_text(1, 6, "12345", NULL);
    expect_text(2, 13, "12345", "line_too_long");
    expect_text(3, 18, "6", "line_too_long");
    expect_text(4, 20, "12345", "line_too_long");
    expect_text(5, 25, "67890", "line_too_long");
    expect_text(6, 32, "b", NULL);
    expect_text(7, 34, "12345", "line_too_long");
    expect_text(8, 39, "6", "line_too_long");
    read_from("?max_line=5&read_size=3", 25);
    expect_text(0, 25, "67890", "line_too_long");
    expect_text(1, 32, "b", NULL);
}

/* The rules once more, over the whole text and without blocks. */
static size_t expect_all(const char *text, size_t len, size_t line_max)
{
    size_t count = 0;
    for (size_t begin = 0; begin < len;) {
        const char *newline = memchr(text + begin, '\n', len - begin);
        size_t end = newline == NULL ? len : (size_t)(newline - text);
        size_t content = end - begin;
        if (content > 0 && text[end - 1] == '\r')
            content--;
        const char *fault = content > line_max ? "line_too_long" : NULL;
        for (size_t at = 0; at < content; at += line_max, count++)
            expect(count, begin + at, text + begin + at,
                   content - at < line_max ? content - at : line_max, fault);
        begin = end + 1;
    }
    return count;
}

Test(file, any_text_is_split_alike_in_blocks_of_any_size)
{
    static const char alphabet[] = "\n\n\n\r\rabcdefgh";
    uint64_t random = 1;
    for (int round = 0; round < 400; round++) {
        char text[64];
        char query[64];
        size_t len = (size_t)round % sizeof text;
        for (size_t i = 0; i < len; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            text[i] = alphabet[(random >> 33) % (sizeof alphabet - 1)];
        }
        size_t line_max = 1 + (random >> 40) % 6;
        (void)snprintf(query, sizeof query, "?max_line=%zu&read_size=%d", line_max, 1 + round % 9);
        support_write_file(path, text, len);
        fingerprint_len = 0;
        read_from(query, -1);
        cr_assert_eq(expect_all(text, len, line_max), intake.count, "round %d", round);
    }
}

Test(file, memory_is_bounded_by_the_longest_line_and_a_block)
{
    size_t len = 4 * 1024 * 1024;
    char *text = malloc(len);
    memset(text, 'x', len);
    support_write_file(path, text, len);
    free(text);
    struct file_reader reader;
    strid_resume resume = {.resumed = false};
    file_reader_init(&reader, path, 1000, 4096);
    STRID_CHECK_OK(file_reader_assign(&reader, &resume, &err), err);
    strid_status status;
    intake.is_counting = true;
    while ((status = file_reader_poll(&reader, &intake, 64, &err)) == STRID_OK)
        cr_assert_leq(reader.capacity, 1000 + 4096 + 2);
    cr_assert_eq(status, STRID_EOF);
    cr_assert_eq(intake.count, (len + 999) / 1000);
    file_reader_fini(&reader);
}

Test(file, long_line_makes_the_buffer_grow)
{
    size_t len = 300000;
    char *text = malloc(len);
    memset(text, 'x', len);
    text[len - 1] = '\n';
    support_write_file(path, text, len);
    read_from("?read_size=1000", -1);
    cr_assert_eq(intake.count, 1);
    expect(0, 0, text, len - 1, NULL);
    free(text);
}

Test(file, what_is_appended_after_the_end_is_left_to_the_next_run)
{
    write_text("a\n");
    read_from("", -1);
    write_text("a\nb\n");
    cr_assert_eq(source.ops->poll(source.self, 0, &intake, 7, &err), STRID_EOF);
    cr_assert_eq(intake.count, 1);
    read_from("", 2);
    expect_text(0, 2, "b", NULL);
}

static void expect_gap(const char *what)
{
    cr_assert(strstr(err.message, what) != NULL, "%s", err.message);
    cr_assert(strstr(err.message, path) != NULL, "%s", err.message);
    cr_assert(strstr(err.message, "new state directory") != NULL, "%s", err.message);
}

Test(file, truncated_or_replaced_file_is_a_gap)
{
    strid_position position = {0, 4};
    write_text("aaa\nbbb\n");
    read_from("", -1);
    write_text("aa\n");
    STRID_CHECK_OK(open_with(""), err);
    cr_assert_eq(assign(&position), STRID_EGAP);
    expect_gap("ends at byte 3 but was read up to 4");
    write_text("aaa\nbb\n");
    cr_assert_eq(assign(&position), STRID_EGAP);
    expect_gap("shorter");
    write_text("aaa\nbbc\nccc\n");
    cr_assert_eq(assign(&position), STRID_EGAP);
    expect_gap("other bytes");
    write_text("aaa\nbbb\nccc\n");
    STRID_CHECK_OK(assign(&position), err);
}

Test(file, fingerprint_covers_the_first_1024_bytes)
{
    char text[2000];
    strid_position position = {0, 10};
    memset(text, 'x', sizeof text);
    text[9] = '\n';
    support_write_file(path, text, sizeof text);
    read_from("", -1);
    text[1024] = 'y';
    support_write_file(path, text, sizeof text);
    STRID_CHECK_OK(assign(&position), err);
    text[1023] = 'y';
    support_write_file(path, text, sizeof text);
    cr_assert_eq(assign(&position), STRID_EGAP);
}

Test(file, file_that_is_cut_while_it_is_read_is_a_gap)
{
    write_text("aaaa\nbbbb\ncccc\n");
    STRID_CHECK_OK(open_with("?read_size=5"), err);
    STRID_CHECK_OK(assign(NULL), err);
    cr_assert_eq(source.ops->poll(source.self, 0, &intake, 7, &err), STRID_OK);
    cr_assert_eq(intake.count, 1);
    cr_assert_eq(truncate(path, 2), 0);
    cr_assert_eq(source_drain(&source, 0, &intake, 7, &err), STRID_EGAP);
    expect_gap("truncated to 2 bytes");
    cr_assert_eq(intake.count, 1);
}

Test(file, read_error_says_what_and_where)
{
    write_text("a\n");
    STRID_CHECK_OK(open_with(""), err);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(assign(NULL), STRID_EIO);
    cr_assert(strstr(err.message, "cannot be opened: No such file") != NULL, "%s", err.message);
    cr_assert_eq(mkdir(path, 0777), 0);
    cr_assert_eq(assign(NULL), STRID_EIO);
    cr_assert(strstr(err.message, "Is a directory") != NULL, "%s", err.message);
    cr_assert(strstr(err.message, path) != NULL, "%s", err.message);
}
