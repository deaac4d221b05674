/* What a run is told where keys or handlers are others than in the last one. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "pipeline/outline.h"

static struct log log_kept;
static strid_log_level levels[4];
static char lines[4][1024];
static uint32_t count;
static strid_error err = STRID_ERROR_INIT;

static void keep(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    cr_assert_str_eq(logger, "state");
    cr_assert_lt(count, 4);
    levels[count] = level;
    (void)snprintf(lines[count++], sizeof lines[0], "%s", message);
}

static void set_up(void) { log_init(&log_kept, keep, NULL); }
static void tear_down(void) { log_fini(&log_kept); }

TestSuite(outline, .init = set_up, .fini = tear_down);

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx, (void)record, (void)user;
    return STRID_DONE;
}

Test(outline, names_the_key_and_the_handlers)
{
    struct definition *definition = definition_create("totals", &err);
    struct buffer text = {0};
    outline_write(definition, &text);
    cr_assert_str_eq((const char *)text.data, "key\n");
    cr_assert_eq(definition_set_decode(definition, "jsonl", "customer", NULL, &err), STRID_OK);
    cr_assert_eq(
        definition_add_route(definition, "order", "count orders", handle, NULL, NULL, &err),
        STRID_OK);
    cr_assert_eq(definition_add_route(definition, "*", "handler 2", handle, NULL, NULL, &err),
                 STRID_OK);
    buffer_clear(&text);
    outline_write(definition, &text);
    cr_assert_str_eq((const char *)text.data,
                     "key customer\non order: count orders\non *: handler 2\n");
    buffer_fini(&text);
    definition_destroy(definition);
}

static void expect(uint32_t index, strid_log_level level, const char *message)
{
    cr_assert_lt(index, count);
    cr_assert_eq(levels[index], level);
    cr_assert_str_eq(lines[index], message);
}

#define IF_NOT                                                                                     \
    " in the last run: what is kept under the old keys stays there. If that is not meant, stop, "  \
    "and put \"key\" back or name a new state directory"
#define NOT_AGAIN "; what was read before is not handled again"

Test(outline, another_key_is_a_warning)
{
    outline_tell(&log_kept, "rocksdb:s", "key customer\non *: count a\n",
                 "key user\non *: count a\n");
    expect(0, STRID_LOG_WARN,
           "rocksdb:s: a record's key is field \"user\" now and was field \"customer\"" IF_NOT);
    outline_tell(&log_kept, "rocksdb:s", "key\n", "key user\n");
    expect(1, STRID_LOG_WARN,
           "rocksdb:s: a record's key is field \"user\" now and was what the source gives" IF_NOT);
    outline_tell(&log_kept, "rocksdb:s", "key user\n", "key\n");
    expect(2, STRID_LOG_WARN,
           "rocksdb:s: a record's key is what the source gives now and was field \"user\"" IF_NOT);
    cr_assert_eq(count, 3);
}

Test(outline, other_handlers_are_told)
{
    outline_tell(&log_kept, "s", "key a\non x: count n\non *: sum m\n", "key a\non *: sum m\n");
    expect(0, STRID_LOG_INFO,
           "s: the handlers are others than in the last run (new: none; gone: \"x: count "
           "n\")" NOT_AGAIN);
    outline_tell(&log_kept, "s", "key a\non x: count n\n",
                 "key a\non y: count n\non x: count n\non *: sum m\n");
    expect(1, STRID_LOG_INFO,
           "s: the handlers are others than in the last run (new: \"y: count n\", \"*: sum m\"; "
           "gone: none)" NOT_AGAIN);
    outline_tell(&log_kept, "s", "key a\non x: count n\n", "key b\non x: count nn\n");
    cr_assert_eq(count, 4, "the key and the handlers");
    expect(
        3, STRID_LOG_INFO,
        "s: the handlers are others than in the last run (new: \"x: count nn\"; gone: \"x: count "
        "n\")" NOT_AGAIN);
}

Test(outline, nothing_is_told_where_all_is_the_same_or_in_another_order)
{
    outline_tell(&log_kept, "s", "key a\non x: count n\non *: sum m\n",
                 "key a\non *: sum m\non x: count n\n");
    outline_tell(&log_kept, "s", "key\n", "key\n");
    cr_assert_eq(count, 0);
}
