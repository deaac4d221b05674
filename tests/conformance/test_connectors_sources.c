/* What every source does alike (strid/source.h). */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "pipeline/registry.h"

#include "connector_case.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static int indexes[SOURCE_CASES + 1] = {0, 1, 2, 3, 4, 5, 6, 7, SOURCE_CASE_KAFKA};
static const strid_bytes no_fingerprint = {NULL, 0};

#define SOURCE_TEST(name)                                                                          \
    static void name(struct source_case *at);                                                      \
    ParameterizedTestParameters(sources, name)                                                     \
    {                                                                                              \
        if (connector_case_kafka() != NULL)                                                        \
            return cr_make_param_array(int, indexes + SOURCE_CASE_KAFKA, 1);                       \
        return cr_make_param_array(int, indexes, SOURCE_CASES);                                    \
    }                                                                                              \
    ParameterizedTest(int *index, sources, name)                                                   \
    {                                                                                              \
        struct source_case at;                                                                     \
        source_case_open(&at, *index);                                                             \
        name(&at);                                                                                 \
        source_case_close(&at);                                                                    \
    }                                                                                              \
    static void name(struct source_case *at)

/* Everything from record `first` on was taken, right and in order. */
static void check_from(const struct source_case *at, const struct strid_intake *intake,
                       size_t first)
{
    cr_assert_null(intake->violation, "%s: %s", at->url, intake->violation);
    cr_assert_eq(intake->count, SOURCE_CASE_RECORDS - first, "%s: %zu records from %zu on", at->url,
                 intake->count, first);
    for (size_t i = 0; i < intake->count; i++)
        cr_assert(source_case_is_right(at, intake, i, first + i), "%s: record %zu", at->url,
                  first + i);
}

static void drain_from(struct source_case *at, struct strid_intake *intake,
                       const strid_position *position, strid_error *err)
{
    intake_clear(intake);
    STRID_CHECK_OK(source_assign_at(&at->source, 0, position, no_fingerprint, err), *err);
    cr_assert_eq(source_drain(&at->source, 0, intake, 16, err), STRID_EOF, "%s: %s", at->url,
                 err->message);
}

SOURCE_TEST(delivers_all_in_order_and_ends)
{
    drain_from(at, &at->intake, NULL, &at->err);
    check_from(at, &at->intake, 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(at->source.ops->poll(at->source.self, 0, &at->intake, 16, &at->err),
                     STRID_EOF);
    check_from(at, &at->intake, 0);
}

SOURCE_TEST(resumes_at_every_record_and_behind_it)
{
    struct strid_intake all = {0};
    drain_from(at, &all, NULL, &at->err);
    for (size_t i = 0; i < all.count; i++) {
        drain_from(at, &at->intake, &all.records[i].position, &at->err);
        check_from(at, &at->intake, i);
        drain_from(at, &at->intake, &all.records[i].next, &at->err);
        check_from(at, &at->intake, i + 1);
    }
    intake_fini(&all);
}

SOURCE_TEST(resumes_in_another_run)
{
    struct strid_intake all = {0};
    uint8_t fingerprint[STRID_FINGERPRINT_MAX];
    if (!source_case_is_durable(at))
        return;
    drain_from(at, &all, NULL, &at->err);
    size_t len = at->source.ops->fingerprint(at->source.self, 0, fingerprint);
    cr_assert_leq(len, sizeof fingerprint);
    for (size_t i = 0; i < all.count; i += 7) {
        source_case_reopen(at);
        intake_clear(&at->intake);
        STRID_CHECK_OK(source_assign_at(&at->source, 0, &all.records[i].position,
                                        strid_bytes_of(fingerprint, len), &at->err),
                       at->err);
        cr_assert_eq(source_drain(&at->source, 0, &at->intake, 100, &at->err), STRID_EOF);
        check_from(at, &at->intake, i);
    }
    intake_fini(&all);
}

SOURCE_TEST(offers_again_what_was_refused)
{
    at->intake.random = (uint64_t)at->index;
    for (uint32_t refuse_one_in = 2; refuse_one_in < 8; refuse_one_in++) {
        at->intake.refuse_one_in = refuse_one_in;
        intake_clear(&at->intake);
        STRID_CHECK_OK(source_assign_at(&at->source, 0, NULL, no_fingerprint, &at->err), at->err);
        cr_assert_eq(source_drain(&at->source, 0, &at->intake, refuse_one_in, &at->err), STRID_EOF);
        check_from(at, &at->intake, 0);
    }
}

SOURCE_TEST(adds_one_record_where_one_is_asked_for)
{
    STRID_CHECK_OK(source_assign_at(&at->source, 0, NULL, no_fingerprint, &at->err), at->err);
    cr_assert_eq(source_drain(&at->source, 0, &at->intake, 1, &at->err), STRID_EOF);
    check_from(at, &at->intake, 0);
}

SOURCE_TEST(starts_over_when_assigned_midway_and_after_its_end)
{
    STRID_CHECK_OK(source_assign_at(&at->source, 0, NULL, no_fingerprint, &at->err), at->err);
    while (at->intake.count < SOURCE_CASE_RECORDS / 2)
        cr_assert_geq(at->source.ops->poll(at->source.self, 0, &at->intake, 1, &at->err), 0);
    drain_from(at, &at->intake, NULL, &at->err);
    check_from(at, &at->intake, 0);
    drain_from(at, &at->intake, NULL, &at->err);
    check_from(at, &at->intake, 0);
}

SOURCE_TEST(closes_midway_and_unread)
{
    source_case_reopen(at); /* closed before any assign */
    STRID_CHECK_OK(source_assign_at(&at->source, 0, NULL, no_fingerprint, &at->err), at->err);
    source_case_reopen(at); /* after assign */
    STRID_CHECK_OK(source_assign_at(&at->source, 0, NULL, no_fingerprint, &at->err), at->err);
    while (at->intake.count < 10)
        cr_assert_geq(at->source.ops->poll(at->source.self, 0, &at->intake, 3, &at->err), 0);
    source_case_reopen(at);
}

SOURCE_TEST(refuses_a_position_that_it_does_not_have)
{
    strid_position beyond = {0, UINT64_C(1) << 40};
    drain_from(at, &at->intake, NULL, &at->err);
    cr_assert_eq(source_refusal(&at->source, &beyond, no_fingerprint, &at->err), STRID_EGAP);
    cr_assert(strstr(at->err.message, "new state directory") != NULL ||
                  strstr(at->err.message, "strid reset") != NULL,
              "%s", at->err.message);
    drain_from(at, &at->intake, NULL, &at->err);
    check_from(at, &at->intake, 0);
}

SOURCE_TEST(refuses_a_fingerprint_of_something_else)
{
    uint8_t fingerprint[STRID_FINGERPRINT_MAX];
    strid_position begin = {0, 0};
    STRID_CHECK_OK(source_assign_at(&at->source, 0, NULL, no_fingerprint, &at->err), at->err);
    size_t len = at->source.ops->fingerprint(at->source.self, 0, fingerprint);
    if (len == 0)
        return;
    fingerprint[len - 1] ^= 1;
    cr_assert_eq(source_refusal(&at->source, &begin, strid_bytes_of(fingerprint, len), &at->err),
                 STRID_EGAP);
    cr_assert_eq(
        source_refusal(&at->source, &begin, strid_bytes_of(fingerprint, len - 1), &at->err),
        STRID_EGAP);
}

SOURCE_TEST(says_the_same_of_itself_in_every_run)
{
    uint32_t count = at->source.ops->partition_count(at->source.self);
    char before[2][SUPPORT_PATH_MAX] = {"", ""};
    cr_assert(count >= 1 && count <= 2);
    for (int run = 0; run < 2; run++) {
        for (uint32_t i = 0; i < count; i++) {
            strid_partition_info info = {0};
            at->source.ops->describe(at->source.self, i, &info);
            cr_assert(info.topic != NULL && info.identity != NULL && info.bytes_total > 0);
            if (run > 0)
                cr_assert_str_eq(info.identity, before[i]);
            (void)snprintf(before[i], sizeof before[i], "%s", info.identity);
        }
        cr_assert(strcmp(before[0], before[1]) != 0);
        source_case_reopen(at);
    }
}

SOURCE_TEST(pads_its_values_where_it_says_so)
{
    at->intake.reads_padding = (at->source.ops->flags & STRID_SOURCE_PADDED) != 0;
    drain_from(at, &at->intake, NULL, &at->err);
    check_from(at, &at->intake, 0);
}

SOURCE_TEST(names_a_dead_letter_queue_that_opens)
{
    char url[SUPPORT_PATH_MAX + 64];
    if (at->source.ops->dlq_url == NULL)
        return;
    struct opened_sink sink = {0};
    STRID_CHECK_OK(at->source.ops->dlq_url(at->source.self, url, sizeof url), at->err);
    STRID_CHECK_OK(sink_open_url(&sink, url, &at->err), at->err);
    sink_close(&sink);
    cr_assert_eq(at->source.ops->dlq_url(at->source.self, url, 8), STRID_ELIMIT);
}

SOURCE_TEST(fills_its_table)
{
    const strid_source_ops *ops = at->source.ops;
    cr_assert_eq(ops->abi_version, STRID_SOURCE_ABI_VERSION);
    cr_assert(ops->flags & STRID_SOURCE_REPLAYABLE);
    cr_assert(ops->flags & STRID_SOURCE_BOUNDED);
    cr_assert_eq(registry_find_source(ops->name, strlen(ops->name)), ops);
    cr_assert(ops->summary != NULL && ops->options != NULL && ops->options_size > 0);
    for (const strid_option *option = ops->options; option->name != NULL; option++)
        cr_assert(option->doc != NULL && option->offset < ops->options_size, "%s", option->name);
}

struct busy {
    struct source_case *at;
    atomic_uint polls; /* how many came back; relaxed: only progress is seen through it */
    atomic_bool stop;  /* relaxed: join orders the rest */
};

static void *poll_until_stopped(void *user)
{
    struct busy *busy = user;
    struct strid_intake intake = {.refuse_one_in = 3, .is_counting = true};
    strid_error err = STRID_ERROR_INIT;
    while (!atomic_load_explicit(&busy->stop, memory_order_relaxed)) {
        if (busy->at->source.ops->poll(busy->at->source.self, 0, &intake, 2, &err) == STRID_EOF) {
            intake_clear(&intake);
            (void)source_assign_at(&busy->at->source, 0, NULL, no_fingerprint, &err);
        }
        atomic_fetch_add_explicit(&busy->polls, 1, memory_order_relaxed);
    }
    intake_fini(&intake);
    return NULL;
}

static bool has_polled(void *user)
{
    struct busy *busy = user;
    return atomic_load_explicit(&busy->polls, memory_order_relaxed) > 200;
}

SOURCE_TEST(closes_after_another_thread_polled)
{
    struct busy busy = {.at = at};
    pthread_t thread;
    STRID_CHECK_OK(source_assign_at(&at->source, 0, NULL, no_fingerprint, &at->err), at->err);
    cr_assert_eq(pthread_create(&thread, NULL, poll_until_stopped, &busy), 0);
    bool has = support_wait(has_polled, &busy, 20000);
    atomic_store_explicit(&busy.stop, true, memory_order_relaxed);
    pthread_join(thread, NULL);
    cr_assert(has);
    source_case_reopen(at);
}
