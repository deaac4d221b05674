/* The memory source: push, back-pressure, acknowledgement and numbers. */
#include <criterion/criterion.h>

#include "connector_case.h"

#include <pthread.h>
#include <stdio.h>

static struct opened_source source;
static struct strid_intake intake;
static strid_error err;
static const strid_bytes none = {NULL, 0};

static void open_with(const char *url)
{
    source_close(&source);
    STRID_CHECK_OK(source_open_url(&source, url, &err), err);
}

static void set_up(void) { open_with("memory:in?partitions=2&capacity=10KiB"); }

static void tear_down(void)
{
    source_close(&source);
    intake_fini(&intake);
}

TestSuite(memory_source, .init = set_up, .fini = tear_down);

static strid_status push(uint32_t partition, const char *value)
{
    return source.ops->push(source.self, partition, none, strid_bytes_of_text(value), 5);
}

static strid_status assign(int64_t position)
{
    strid_position at = {0, (uint64_t)position};
    return source_assign_at(&source, 0, position < 0 ? NULL : &at, none, &err);
}

static strid_status poll(void) { return source.ops->poll(source.self, 0, &intake, 100, &err); }

static void ack(uint64_t low)
{
    strid_position position = {0, low};
    STRID_CHECK_OK(source.ops->ack(source.self, 0, position, &err), err);
}

static void expect_next(uint64_t position, const char *value)
{
    size_t before = intake.count;
    (void)source.ops->poll(source.self, 0, &intake, 1, &err);
    cr_assert_eq(intake.count, before + 1);
    cr_assert_eq(intake.records[before].position.low, position);
    cr_assert(strid_bytes_equal(intake_value(&intake, before), strid_bytes_of_text(value)));
    cr_assert_null(intake.violation, "%s", intake.violation);
}

Test(memory_source, waits_for_pushes_and_ends_when_told)
{
    STRID_CHECK_OK(assign(-1), err);
    cr_assert_eq(poll(), STRID_AGAIN);
    STRID_CHECK_OK(push(0, "a"), err);
    STRID_CHECK_OK(push(1, "other"), err);
    expect_next(0, "a");
    cr_assert_eq(poll(), STRID_AGAIN);
    STRID_CHECK_OK(push(0, "b"), err);
    source.ops->push_end(source.self);
    cr_assert_eq(push(0, "late"), STRID_EINVAL);
    expect_next(1, "b");
    cr_assert_eq(poll(), STRID_EOF);
    cr_assert_eq(intake.count, 2);
}

Test(memory_source, absent_and_empty_differ)
{
    STRID_CHECK_OK(assign(-1), err);
    strid_bytes empty = strid_bytes_of("", 0);
    STRID_CHECK_OK(source.ops->push(source.self, 0, empty, none, 5), err);
    STRID_CHECK_OK(source.ops->push(source.self, 0, none, empty, 5), err);
    (void)poll();
    cr_assert_eq(intake.count, 2);
    cr_assert(intake.records[0].has_key);
    cr_assert_not(intake.records[1].has_key);
}

Test(memory_source, partition_that_is_not_there_is_refused)
{
    cr_assert_eq(push(2, "a"), STRID_EINVAL);
}

Test(memory_source, full_partition_says_again_until_records_are_acknowledged)
{
    char value[1001];
    uint64_t pushed = 0;
    memset(value, 'v', sizeof value);
    value[1000] = '\0';
    STRID_CHECK_OK(assign(-1), err);
    for (int round = 0; round < 30; round++) {
        while (push(0, value) == STRID_OK)
            pushed++;
        cr_assert_leq(pushed - (uint64_t)round * 3, 10, "no more than the capacity is kept");
        cr_assert_eq(push(0, value), STRID_AGAIN);
        STRID_CHECK_OK(push(1, "other partitions have room"), err);
        cr_assert_eq(poll(), STRID_AGAIN);
        cr_assert_eq(push(0, value), STRID_AGAIN, "reading alone frees nothing");
        cr_assert_eq(intake.count, pushed);
        ack(((uint64_t)round + 1) * 3);
    }
    cr_assert_geq(pushed, 90);
}

Test(memory_source, record_that_never_fits_is_refused_for_good)
{
    open_with("memory:in?capacity=100");
    char value[101];
    memset(value, 'v', sizeof value);
    cr_assert_eq(source.ops->push(source.self, 0, none, strid_bytes_of(value, sizeof value), 0),
                 STRID_ELIMIT);
    STRID_CHECK_OK(push(0, "short"), err);
}

Test(memory_source, goes_back_to_what_is_not_acknowledged)
{
    STRID_CHECK_OK(assign(-1), err);
    STRID_CHECK_OK(push(0, "a"), err);
    STRID_CHECK_OK(push(0, "b"), err);
    STRID_CHECK_OK(push(0, "c"), err);
    (void)poll();
    ack(1);
    intake_clear(&intake);
    STRID_CHECK_OK(assign(1), err);
    expect_next(1, "b");
    ack(3); /* only what was read: c was given out before, b is now */
    intake_clear(&intake);
    STRID_CHECK_OK(assign(2), err);
    expect_next(2, "c");
    cr_assert_eq(assign(1), STRID_EGAP);
    cr_assert(strstr(err.message, "the records kept are 2 up to 3") != NULL, "%s", err.message);
    cr_assert_eq(assign(4), STRID_EGAP);
}

Test(memory_source, numbers_go_on_where_the_last_run_ended)
{
    STRID_CHECK_OK(push(0, "pushed before the run"), err);
    STRID_CHECK_OK(assign(1000), err);
    STRID_CHECK_OK(push(0, "after"), err);
    expect_next(1000, "pushed before the run");
    expect_next(1001, "after");
    ack(1001);
    intake_clear(&intake);
    STRID_CHECK_OK(assign(1001), err);
    expect_next(1001, "after");
    cr_assert_eq(assign(1000), STRID_EGAP);
}

enum { PUSHERS = 3, PUSHES = 20000 };

static void *push_many(void *user)
{
    char value[32];
    for (int i = 0; i < PUSHES; i++) {
        (void)snprintf(value, sizeof value, "%d %d", (int)(size_t)user, i);
        while (push(0, value) == STRID_AGAIN)
            continue;
    }
    return NULL;
}

/* Every pusher's records come once and in its order, while others are acknowledged. */
Test(memory_source, many_threads_push_at_once)
{
    pthread_t threads[PUSHERS];
    int next[PUSHERS] = {0};
    STRID_CHECK_OK(assign(-1), err);
    for (size_t i = 0; i < PUSHERS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, push_many, (void *)i), 0);
    for (uint64_t total = 0; total < PUSHERS * PUSHES;) {
        intake.count = 0;
        intake.bytes.len = 0;
        (void)poll();
        for (size_t i = 0; i < intake.count; i++) {
            int thread = -1;
            int number = -1;
            char text[32] = "";
            strid_bytes value = intake_value(&intake, i);
            memcpy(text, value.data, value.len);
            cr_assert_eq(sscanf(text, "%d %d", &thread, &number), 2);
            cr_assert_eq(number, next[thread]++);
        }
        total += intake.count;
        ack(total);
    }
    for (size_t i = 0; i < PUSHERS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(poll(), STRID_AGAIN);
}
