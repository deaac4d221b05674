/* What the file sink does with failures, and what its lines look like. */
#include <criterion/criterion.h>

#include "connector_case.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct support_directory directory;
static struct opened_sink sink;
static strid_error err;
static char path[SUPPORT_PATH_MAX];
static int fail_syncs; /* how many of the next calls fail */
static int fail_cuts;

/* In place of the C library's, so that the sink meets a failing disk. */
int fdatasync(int fd)
{
    if (fail_syncs > 0) {
        fail_syncs--;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t len)
{
    if (fail_cuts > 0) {
        fail_cuts--;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_ftruncate, fd, len);
}

static void set_up(void)
{
    support_directory_create(&directory);
    support_path(&directory, "out.jsonl", path);
}

static void tear_down(void)
{
    sink_close(&sink);
    support_directory_remove(&directory);
}

TestSuite(file_sink, .init = set_up, .fini = tear_down);

static strid_status open_with(const char *query)
{
    char url[SUPPORT_PATH_MAX + 64];
    (void)snprintf(url, sizeof url, "file:%s%s", path, query);
    sink_close(&sink);
    return sink_open_url(&sink, url, &err);
}

static strid_status write_value(const char *value)
{
    strid_output output = {.id = strid_bytes_of_text("i"),
                           .value = strid_bytes_of_text(value),
                           .timestamp_ms = STRID_TIMESTAMP_NONE};
    return sink.ops->write(sink.self, &output, 1, &err);
}

static strid_status flush(void) { return sink.ops->flush(sink.self, &err); }

static void deliver(const char *value)
{
    STRID_CHECK_OK(write_value(value), err);
    STRID_CHECK_OK(flush(), err);
}

static void expect_file(const char *expected)
{
    char *text = support_read_file(path, NULL);
    cr_assert_not_null(text);
    cr_assert_str_eq(text, expected);
    free(text);
}

/* A writer that meets a full disk, as far as one can be had without a file system of its own. */
static void limit_files(rlim_t bytes)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct rlimit limit = {bytes, RLIM_INFINITY};
    cr_assert_eq(sigaction(SIGXFSZ, &ignore, NULL), 0);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(file_sink, failed_write_is_cut_off_and_can_be_repeated)
{
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("1");
    limit_files(4);
    STRID_CHECK_OK(write_value("22222"), err);
    cr_assert_eq(flush(), STRID_EIO);
    cr_assert(strstr(err.message, path) != NULL, "%s", err.message);
    cr_assert(strstr(err.message, "cannot be written: File too large") != NULL, "%s", err.message);
    cr_assert_eq(err.native_code, EFBIG);
    expect_file("1\n");
    STRID_CHECK_OK(write_value("22222"), err);
    cr_assert_eq(flush(), STRID_EIO);
    expect_file("1\n");
    limit_files(RLIM_INFINITY);
    STRID_CHECK_OK(flush(), err);
    expect_file("1\n");
    deliver("22222");
    expect_file("1\n22222\n");
}

Test(file_sink, failed_sync_is_cut_off_and_can_be_repeated)
{
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("1");
    fail_syncs = 1;
    STRID_CHECK_OK(write_value("2"), err);
    cr_assert_eq(flush(), STRID_EIO);
    cr_assert(strstr(err.message, "cannot be synced: Input/output error") != NULL, "%s",
              err.message);
    expect_file("1\n");
    /* Nothing is left over that a flush alone could make durable. */
    STRID_CHECK_OK(flush(), err);
    expect_file("1\n");
    deliver("2");
    deliver("3");
    expect_file("1\n2\n3\n");
}

Test(file_sink, what_could_not_be_cut_off_is_cut_later)
{
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("1");
    fail_syncs = 1;
    fail_cuts = 2;
    STRID_CHECK_OK(write_value("2"), err);
    cr_assert_eq(flush(), STRID_EIO);
    expect_file("1\n2\n");
    STRID_CHECK_OK(write_value("2"), err);
    cr_assert_eq(flush(), STRID_EIO);
    cr_assert(strstr(err.message, "cannot be cut back") != NULL, "%s", err.message);
    deliver("2");
    expect_file("1\n2\n");
}

Test(file_sink, what_others_appended_is_never_cut_off)
{
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("1");
    fail_syncs = 1;
    fail_cuts = 1;
    STRID_CHECK_OK(write_value("2"), err);
    cr_assert_eq(flush(), STRID_EIO);
    support_write_file(path, "1\n2\nforeign\n", 12);
    STRID_CHECK_OK(write_value("2"), err);
    cr_assert_eq(flush(), STRID_ECORRUPT);
    cr_assert(strstr(err.message, "another program") != NULL, "%s", err.message);
    expect_file("1\n2\nforeign\n");
}

Test(file_sink, what_others_appended_before_a_write_failed_is_not_cut_off_either)
{
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("1");
    support_write_file(path, "1\nforeign\n", 10);
    fail_syncs = 1;
    STRID_CHECK_OK(write_value("2"), err);
    cr_assert_eq(flush(), STRID_EIO);
    expect_file("1\nforeign\n2\n");
    STRID_CHECK_OK(write_value("2"), err);
    cr_assert_eq(flush(), STRID_ECORRUPT);
    cr_assert(strstr(err.message, "another program") != NULL, "%s", err.message);
    cr_assert_eq(unlink(path), 0); /* as it was told to */
    deliver("2");
    expect_file("2\n");
}

Test(file_sink, large_outputs_are_written_before_the_flush_and_cut_off_too)
{
    enum { LEN = 700000 };
    static char value[LEN + 1];
    memset(value, '7', LEN);
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("1");
    for (int i = 0; i < 3; i++)
        STRID_CHECK_OK(write_value(value), err);
    struct stat info;
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_gt(info.st_size, LEN);
    fail_syncs = 1;
    cr_assert_eq(flush(), STRID_EIO);
    expect_file("1\n");
    for (int i = 0; i < 3; i++)
        STRID_CHECK_OK(write_value(value), err);
    STRID_CHECK_OK(flush(), err);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_size, 2 + 3 * (LEN + 1));
}

Test(file_sink, unflushed_outputs_are_gone_after_close)
{
    enum { LEN = 1200000 };
    static char value[LEN + 1];
    memset(value, '7', LEN);
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("1");
    STRID_CHECK_OK(write_value(value), err);
    sink_close(&sink);
    expect_file("1\n");
}

Test(file_sink, torn_last_line_gets_an_end_and_stays)
{
    support_write_file(path, "{\"to", 4);
    STRID_CHECK_OK(open_with("?format=value"), err);
    fail_syncs = 1;
    STRID_CHECK_OK(write_value("1"), err);
    cr_assert_eq(flush(), STRID_EIO);
    expect_file("{\"to");
    deliver("1");
    expect_file("{\"to\n1\n");
}

Test(file_sink, appends_to_what_is_there)
{
    support_write_file(path, "0\n", 2);
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("1");
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("2");
    expect_file("0\n1\n2\n");
}

Test(file_sink, second_writer_of_a_file_is_refused)
{
    char url[SUPPORT_PATH_MAX + 64];
    struct opened_sink other;
    STRID_CHECK_OK(open_with(""), err);
    deliver("1");
    (void)snprintf(url, sizeof url, "file:%s", path);
    cr_assert_eq(sink_open_url(&other, url, &err), STRID_EBUSY);
    cr_assert(strstr(err.message, "another sink or process") != NULL, "%s", err.message);
    sink_close(&other);
    sink_close(&sink);
    STRID_CHECK_OK(sink_open_url(&other, url, &err), err);
    sink_close(&other);
}

Test(file_sink, file_that_was_removed_is_made_again)
{
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("1");
    cr_assert_eq(unlink(path), 0);
    STRID_CHECK_OK(write_value("2"), err);
    cr_assert_eq(flush(), STRID_EIO);
    cr_assert(strstr(err.message, "was removed") != NULL, "%s", err.message);
    deliver("2");
    expect_file("2\n");
}

Test(file_sink, file_that_was_emptied_goes_on_without_holes)
{
    STRID_CHECK_OK(open_with("?format=value"), err);
    deliver("1111");
    cr_assert_eq(truncate(path, 0), 0);
    deliver("2");
    fail_syncs = 1;
    STRID_CHECK_OK(write_value("3"), err);
    cr_assert_eq(flush(), STRID_EIO);
    deliver("3");
    expect_file("2\n3\n");
}

Test(file_sink, file_is_made_when_there_is_something_to_put_in)
{
    STRID_CHECK_OK(open_with(""), err);
    STRID_CHECK_OK(flush(), err);
    cr_assert_neq(access(path, F_OK), 0);
}

Test(file_sink, path_that_cannot_work_is_refused_at_open)
{
    (void)snprintf(path, sizeof path, "%s", directory.path);
    cr_assert_eq(open_with(""), STRID_EIO);
    cr_assert(strstr(err.message, "Is a directory") != NULL, "%s", err.message);
    support_path(&directory, "missing/out", path);
    cr_assert_eq(open_with(""), STRID_EIO);
    cr_assert(strstr(err.message, "No such file or directory") != NULL, "%s", err.message);
    support_path(&directory, "pipe", path);
    cr_assert_eq(mkfifo(path, 0666), 0);
    cr_assert_eq(open_with(""), STRID_ECONFIG);
    cr_assert(strstr(err.message, "no regular file") != NULL, "%s", err.message);
    cr_assert_eq(open_with("?per_source=true"), STRID_ECONFIG);
    cr_assert(strstr(err.message, "is no directory") != NULL, "%s", err.message);
    path[0] = '\0';
    cr_assert_eq(open_with(""), STRID_ECONFIG);
}

/* Lines. */

static void deliver_output(strid_output output)
{
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &err), err);
    STRID_CHECK_OK(flush(), err);
}

static const struct {
    const char *value;
    size_t len;
    const char *envelope;
    const char *alone;
} values[] = {
    {"{ \"a\" : [ 1, 2 ] }\n", 19, "\"value\": {\"a\":[1,2]}", "{\"a\":[1,2]}"},
    {"12.50", 5, "\"value\": 12.50", "12.50"},
    {"\"x y\"", 5, "\"value\": \"x y\"", "\"x y\""},
    {"null", 4, "\"value\": null", "null"},
    {"plain \"text\"\n", 13, "\"value\": \"plain \\\"text\\\"\\n\"", "\"plain \\\"text\\\"\\n\""},
    {"", 0, "\"value\": \"\"", "\"\""},
    {"{\"a\":", 5, "\"value\": \"{\\\"a\\\":\"", "\"{\\\"a\\\":\""},
    {"\xff\x00", 2, "\"value_base64\": \"/wA=\"", "{\"value_base64\": \"/wA=\"}"},
    {NULL, 0, "\"value\": null", "null"},
};

Test(file_sink, envelope_embeds_json_and_quotes_the_rest)
{
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char expected[256];
        (void)unlink(path);
        STRID_CHECK_OK(open_with(""), err);
        deliver_output((strid_output){.id = strid_bytes_of_text("p/t/0/1/0"),
                                      .key = strid_bytes_of_text("k\""),
                                      .value = strid_bytes_of(values[i].value, values[i].len)});
        (void)snprintf(expected, sizeof expected,
                       "{\"id\": \"p/t/0/1/0\", \"key\": \"k\\\"\", %s}\n", values[i].envelope);
        expect_file(expected);
    }
}

Test(file_sink, envelope_without_an_id_begins_with_what_there_is)
{
    STRID_CHECK_OK(open_with(""), err);
    deliver_output(
        (strid_output){.key = strid_bytes_of_text("k"), .value = strid_bytes_of_text("{\"a\":1}")});
    deliver_output((strid_output){.value = strid_bytes_of_text("v")});
    deliver_output((strid_output){.value = strid_bytes_of(NULL, 0)});
    expect_file("{\"key\": \"k\", \"value\": {\"a\":1}}\n{\"value\": \"v\"}\n{\"value\": null}\n");
}

Test(file_sink, value_alone_is_one_line_of_json)
{
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char expected[256];
        (void)unlink(path);
        STRID_CHECK_OK(open_with("?format=value"), err);
        deliver_output((strid_output){.id = strid_bytes_of_text("p/t/0/1/0"),
                                      .value = strid_bytes_of(values[i].value, values[i].len)});
        (void)snprintf(expected, sizeof expected, "%s\n", values[i].alone);
        expect_file(expected);
    }
}

Test(file_sink, envelope_omits_an_absent_key_and_encodes_one_that_is_no_text)
{
    STRID_CHECK_OK(open_with(""), err);
    deliver_output((strid_output){.id = strid_bytes_of_text("i"), .value = strid_bytes_of("1", 1)});
    deliver_output((strid_output){.id = strid_bytes_of_text("i"),
                                  .key = strid_bytes_of("\xff", 1),
                                  .value = strid_bytes_of("1", 1)});
    expect_file("{\"id\": \"i\", \"value\": 1}\n"
                "{\"id\": \"i\", \"key_base64\": \"/w==\", \"value\": 1}\n");
}
