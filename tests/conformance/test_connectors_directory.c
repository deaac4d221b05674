/* Which files a file source reads, and what it calls them. */
#include <criterion/criterion.h>

#include "connector_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct support_directory directory;
static struct opened_source source;
static strid_error err;
static char url[SUPPORT_PATH_MAX + 64];

static void set_up(void) { support_directory_create(&directory); }

static void tear_down(void)
{
    source_close(&source);
    support_directory_remove(&directory);
}

TestSuite(directory, .init = set_up, .fini = tear_down);

static void make(const char *name)
{
    char path[SUPPORT_PATH_MAX];
    support_path(&directory, name, path);
    support_write_file(path, "12345\n", 6);
}

static strid_status open_in(const char *rest)
{
    source_close(&source);
    (void)snprintf(url, sizeof url, "file:%s%s", directory.path, rest);
    return source_open_url(&source, url, &err);
}

static void expect_names(const char *const *names, uint32_t count)
{
    cr_assert_eq(source.ops->partition_count(source.self), count, "%u files",
                 source.ops->partition_count(source.self));
    for (uint32_t i = 0; i < count; i++) {
        char path[SUPPORT_PATH_MAX];
        char canonical[4096];
        strid_partition_info info = {0};
        support_path(&directory, names[i], path);
        source.ops->describe(source.self, i, &info);
        cr_assert_str_eq(info.topic, path);
        cr_assert_not_null(realpath(path, canonical));
        cr_assert_str_eq(info.identity, canonical);
        cr_assert_eq(info.bytes_total, 6);
    }
}

Test(directory, every_file_is_a_partition_in_the_order_of_names)
{
    static const char *const names[] = {"a", "b.log", "c"};
    char path[SUPPORT_PATH_MAX];
    make("c");
    make("a");
    make("b.log");
    make("b.log.dlq");
    make(".hidden");
    support_path(&directory, "sub", path);
    cr_assert_eq(mkdir(path, 0777), 0);
    support_path(&directory, "dangling", path);
    cr_assert_eq(symlink("nowhere", path), 0);
    STRID_CHECK_OK(open_in(""), err);
    expect_names(names, 3);
    STRID_CHECK_OK(open_in("?match=*.log*"), err);
    expect_names(names + 1, 1);
}

Test(directory, identity_is_the_canonical_path)
{
    char target[SUPPORT_PATH_MAX];
    char link[SUPPORT_PATH_MAX];
    char canonical[4096];
    strid_partition_info info = {0};
    make("a");
    support_path(&directory, "a", target);
    support_path(&directory, "l", link);
    cr_assert_eq(symlink(target, link), 0);
    STRID_CHECK_OK(open_in("/./l"), err);
    source.ops->describe(source.self, 0, &info);
    cr_assert_not_null(realpath(target, canonical));
    cr_assert_str_eq(info.identity, canonical);
}

Test(directory, one_file_under_two_names_is_refused)
{
    char link[SUPPORT_PATH_MAX];
    make("a");
    support_path(&directory, "l", link);
    cr_assert_eq(symlink("a", link), 0);
    cr_assert_eq(open_in(""), STRID_ECONFIG);
    cr_assert(strstr(err.message, "are the same file") != NULL, "%s", err.message);
}

Test(directory, nothing_to_read_is_an_error)
{
    cr_assert_eq(open_in(""), STRID_ENOTFOUND);
    cr_assert(strstr(err.message, "no file in directory") != NULL, "%s", err.message);
    make("a");
    cr_assert_eq(open_in("?match=*.log"), STRID_ENOTFOUND);
    cr_assert(strstr(err.message, "\"*.log\"") != NULL, "%s", err.message);
    cr_assert_eq(open_in("/missing"), STRID_ENOTFOUND);
    cr_assert(strstr(err.message, "no file or directory") != NULL, "%s", err.message);
    cr_assert_eq(open_in("/a/b"), STRID_ENOTFOUND);
}

Test(directory, what_is_no_file_is_refused)
{
    char path[SUPPORT_PATH_MAX];
    support_path(&directory, "pipe", path);
    cr_assert_eq(mkfifo(path, 0666), 0);
    cr_assert_eq(open_in("/pipe"), STRID_ECONFIG);
    cr_assert(strstr(err.message, "regular file") != NULL, "%s", err.message);
}

Test(directory, options_out_of_bounds_are_refused)
{
    make("a");
    cr_assert_eq(open_in("/a?max_line=0"), STRID_ECONFIG);
    cr_assert_eq(open_in("/a?read_size=1GiB"), STRID_ECONFIG);
    cr_assert_eq(open_in("/a?follow=true"), STRID_ECONFIG);
}

Test(directory, dead_letters_stand_beside_the_file)
{
    char out[SUPPORT_PATH_MAX + 64];
    char expected[SUPPORT_PATH_MAX + 64];
    make("a");
    STRID_CHECK_OK(open_in("/a"), err);
    STRID_CHECK_OK(source.ops->dlq_url(source.self, out, sizeof out), err);
    (void)snprintf(expected, sizeof expected, "file:%s/a.dlq", directory.path);
    cr_assert_str_eq(out, expected);
    STRID_CHECK_OK(open_in(""), err);
    STRID_CHECK_OK(source.ops->dlq_url(source.self, out, sizeof out), err);
    (void)snprintf(expected, sizeof expected, "file:%s?per_source=true", directory.path);
    cr_assert_str_eq(out, expected);
}
