/* Retries of a real pipeline: threads, files, a state directory, a process that is killed. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine_case.h"
#include "support/memory_quarantine.h"

enum {
    RECORDS = 400,
    KEYS = 20,
    FAILS = 4, /* attempts of every 7th record */
    KILLS = 6,
    PARKED = 200000,
    WAIT_MS = 60000
};

static const int64_t pauses_ms[] = {20};

struct flaky {
    struct engine_case *at;
    int log; /* a line for each call: "n attempt" */
};

static uint32_t number_of(const strid_record *record)
{
    uint32_t n = 0;
    char text[64];
    size_t len = record->value.len < sizeof text ? record->value.len : sizeof text - 1;
    memcpy(text, record->value.data, len);
    text[len] = '\0';
    (void)sscanf(text, "{\"n\":%u", &n);
    return n;
}

static strid_outcome fail_some(strid_context *ctx, const strid_record *record, void *user)
{
    struct flaky *flaky = user;
    char line[32];
    uint32_t n = number_of(record);
    int len = snprintf(line, sizeof line, "%u %u\n", n, strid_attempt(ctx));
    (void)!write(flaky->log, line, (size_t)len);
    (void)engine_case_count(ctx, record, flaky->at);
    return n % 7 == 0 && strid_attempt(ctx) < FAILS ? STRID_RETRY : STRID_DONE;
}

static void create(struct engine_case *at, uint32_t workers)
{
    strid_pipeline_options options = {STRID_PIPELINE_OPTIONS_INIT,
                                      .name = "retry",
                                      .source = at->source,
                                      .state = at->state,
                                      .key = "key",
                                      .workers = workers,
                                      .max_attempts = FAILS + 1,
                                      .memory_bytes = 128u << 20,
                                      .retry_steps_ms = pauses_ms,
                                      .retry_step_count = 1};
    at->pipeline = strid_pipeline_create(&options, &at->err);
    cr_assert_not_null(at->pipeline, "%s", at->err.message);
    STRID_CHECK_OK(strid_pipeline_add_store(at->pipeline, "counts", &at->counts, &at->err),
                   at->err);
}

/* A process of its own; it ends with 0 when the pipeline did. */
static pid_t start(struct engine_case *at, const char *log, uint32_t workers)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    struct flaky flaky = {.at = at, .log = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600)};
    create(at, workers);
    engine_case_on(at, fail_some, &flaky);
    _exit(strid_pipeline_run(at->pipeline, &at->err) == STRID_OK ? 0 : 1);
}

struct growth {
    const char *path;
    size_t wanted;
    pid_t child;
};

static bool has_grown_or_ended(void *user)
{
    struct growth *growth = user;
    size_t len = 0;
    free(support_read_file(growth->path, &len));
    return len >= growth->wanted ||
           waitid(P_PID, (id_t)growth->child, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) != 0;
}

/* Per key in order, attempts without a gap: a kill may only take back what no block held. */
static void check_log(const char *path)
{
    static uint32_t tried[RECORDS]; /* attempts seen + 1 */
    char *text = support_read_file(path, &(size_t){0});
    cr_assert_not_null(text);
    for (char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
        uint32_t n = 0, attempt = 0;
        cr_assert_eq(sscanf(at, "%u %u", &n, &attempt), 2);
        cr_assert_lt(n, RECORDS);
        cr_assert_leq(attempt, tried[n], "record %u: attempt %u after %u of them", n, attempt,
                      tried[n]);
        if (attempt + 1 > tried[n])
            tried[n] = attempt + 1;
        uint32_t before = n >= KEYS ? n - KEYS : n; /* the record of its key before it */
        cr_assert(n < KEYS || tried[before] == (before % 7 == 0 ? FAILS + 1 : 1),
                  "record %u before %u was settled", n, before);
    }
    free(text);
    for (uint32_t n = 0; n < RECORDS; n++)
        cr_assert_eq(tried[n], n % 7 == 0 ? FAILS + 1 : 1, "record %u: %u attempts", n, tried[n]);
}

Test(engine_retry, attempts_and_order_survive_kills)
{
    struct engine_case at;
    char log[SUPPORT_PATH_MAX];
    int status = -1;
    engine_case_init(&at);
    engine_case_append(at.input, 0, RECORDS, KEYS);
    support_path(&at.directory, "log", log);
    for (uint32_t kill_at = 1; kill_at <= KILLS; kill_at++) {
        struct growth growth = {.path = log, .wanted = kill_at * 300};
        growth.child = start(&at, log, 1 + kill_at % 3);
        cr_assert_gt(growth.child, 0);
        (void)support_wait(has_grown_or_ended, &growth, WAIT_MS);
        (void)kill(growth.child, SIGKILL);
        cr_assert_eq(waitpid(growth.child, &status, 0), growth.child);
    }
    pid_t child = start(&at, log, 2);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    check_log(log);
    uint64_t entries = 0;
    cr_assert_eq(engine_case_total(&at, &entries), RECORDS);
    cr_assert_eq(entries, KEYS);
    engine_case_fini(&at);
}

static strid_outcome refuse_first(strid_context *ctx, const strid_record *record, void *user)
{
    _Atomic bool *well = user;
    (void)ctx;
    return number_of(record) == 0 && !*well ? STRID_RETRY : STRID_DONE;
}

struct parked {
    struct engine_case *at;
    uint64_t wanted;
};

static bool are_parked(void *user)
{
    struct parked *parked = user;
    return engine_case_stats(parked->at).parked >= parked->wanted;
}

static void *run(void *user)
{
    struct engine_case *at = user;
    at->err.status = strid_pipeline_run(at->pipeline, &at->err);
    return NULL;
}

static void create_patient(struct engine_case *at, int64_t pause_ms, void *well)
{
    strid_pipeline_options options = {STRID_PIPELINE_OPTIONS_INIT,
                                      .name = "parked",
                                      .source = at->source,
                                      .state = at->state,
                                      .key = "key",
                                      .workers = 2,
                                      .max_attempts = 1000,
                                      .memory_bytes = 128u << 20,
                                      .retry_steps_ms = &pause_ms,
                                      .retry_step_count = 1,
                                      .max_parked = 2 * PARKED};
    at->pipeline = strid_pipeline_create(&options, &at->err);
    cr_assert_not_null(at->pipeline, "%s", at->err.message);
    STRID_CHECK_OK(strid_pipeline_on(at->pipeline, "*", refuse_first, well, &at->err), at->err);
}

/* One key waits, and 200,000 records behind it: a second run begins without reading them. */
Test(engine_retry, many_parked_records_start_fast_and_follow)
{
    struct engine_case at;
    pthread_t thread;
    _Atomic bool well = false;
    struct timespec begun, ended;
    engine_case_init(&at);
    engine_case_append(at.input, 0, PARKED + 1, 1);
    create_patient(&at, 86400000, &well);
    cr_assert_eq(pthread_create(&thread, NULL, run, &at), 0);
    struct parked parked = {.at = &at, .wanted = PARKED};
    cr_assert(support_wait(are_parked, &parked, WAIT_MS));
    strid_pipeline_stop(at.pipeline);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(at.err.status, STRID_OK, "%s", at.err.message);
    strid_pipeline_stats stats = engine_case_stats(&at);
    cr_assert(stats.waiting == 1 && stats.parked == PARKED && stats.done == 0);
    strid_pipeline_destroy(at.pipeline);

    create_patient(&at, 86400000, &well); /* still not due */
    cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &begun), 0);
    cr_assert_eq(pthread_create(&thread, NULL, run, &at), 0);
    cr_assert(support_wait(are_parked, &parked, WAIT_MS));
    cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &ended), 0);
    strid_pipeline_stop(at.pipeline);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_lt(ended.tv_sec - begun.tv_sec, 20, "the start took %lld s",
                 (long long)(ended.tv_sec - begun.tv_sec));
    strid_pipeline_destroy(at.pipeline);

    well = true;
    create_patient(&at, 1, &well); /* a shorter pause holds for what waits already */
    STRID_CHECK_OK(strid_pipeline_run(at.pipeline, &at.err), at.err);
    stats = engine_case_stats(&at);
    cr_assert(stats.done == PARKED + 1 && stats.records == 0 && stats.parked == 0);
    engine_case_fini(&at);
    struct rusage usage;
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    long kept = (long)(memory_quarantine_bytes >> 10); /* by AddressSanitizer, of what was freed */
    cr_assert_lt(usage.ru_maxrss, (400 << 10) + kept, "%ld KiB", usage.ru_maxrss);
}

/* Its file went away: what waits of it is handled all the same. */
Test(engine_retry, records_of_a_partition_that_is_gone_are_handled)
{
    struct engine_case at;
    char files[SUPPORT_PATH_MAX], one[SUPPORT_PATH_MAX + 8], other[SUPPORT_PATH_MAX + 8];
    _Atomic bool well = false;
    pthread_t thread;
    engine_case_init(&at);
    support_path(&at.directory, "files", files);
    (void)snprintf(one, sizeof one, "%s/a.log", files);
    (void)snprintf(other, sizeof other, "%s/b.log", files);
    (void)snprintf(at.source, sizeof at.source, "file:%s", files);
    cr_assert_eq(mkdir(files, 0700), 0);
    engine_case_append(one, 0, 3, 1);
    engine_case_append(other, 10, 3, 1);
    create_patient(&at, 86400000, &well);
    cr_assert_eq(pthread_create(&thread, NULL, run, &at), 0);
    struct parked parked = {.at = &at, .wanted = 2};
    cr_assert(support_wait(are_parked, &parked, WAIT_MS));
    strid_pipeline_stop(at.pipeline);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    uint64_t parked_before = engine_case_stats(&at).parked;
    strid_pipeline_destroy(at.pipeline);
    cr_assert_eq(unlink(one), 0);
    well = true;
    create_patient(&at, 1, &well);
    STRID_CHECK_OK(strid_pipeline_run(at.pipeline, &at.err), at.err);
    cr_assert_geq(engine_case_stats(&at).done, parked_before + 1);
    cr_assert_eq(engine_case_stats(&at).parked, 0);
    engine_case_fini(&at);
}

struct host {
    struct engine_case *at;
    _Atomic uint32_t asked, taken, wrong;
};

static strid_outcome fail_once(strid_context *ctx, const strid_record *record, void *user)
{
    struct host *host = user;
    (void)engine_case_count(ctx, record, host->at);
    if (number_of(record) % 7 != 0 || strid_attempt(ctx) > 0)
        return STRID_DONE;
    strid_set_reason(ctx, "not now");
    return STRID_RETRY;
}

/* Takes those with an odd number. */
static bool take_odd(void *user, const strid_record *record, uint32_t attempts, const char *reason)
{
    struct host *host = user;
    const bool is_odd = number_of(record) % 2 != 0;
    atomic_fetch_add(&host->asked, 1);
    if (number_of(record) % 7 != 0 || attempts != 1 || strcmp(reason, "not now") != 0)
        atomic_fetch_add(&host->wrong, 1);
    if (is_odd)
        atomic_fetch_add(&host->taken, 1);
    return is_odd;
}

Test(engine_retry, the_host_takes_some_over)
{
    enum { FAILING = RECORDS / 7 + 1, ODD = FAILING / 2 };
    struct engine_case at;
    struct host host = {.at = &at};
    engine_case_init(&at);
    engine_case_append(at.input, 0, RECORDS, KEYS);
    create(&at, 2);
    engine_case_on(&at, fail_once, &host);
    strid_pipeline_set_retry_hook(at.pipeline, take_odd, &host);
    cr_assert_eq(engine_case_run(&at), STRID_OK, "%s", at.err.message);
    strid_pipeline_stats stats = engine_case_stats(&at);
    cr_assert_eq(host.wrong, 0);
    cr_assert_eq(host.asked, FAILING);
    cr_assert_eq(host.taken, ODD);
    cr_assert(stats.handed_over == ODD && stats.retried == FAILING - ODD && stats.waiting == 0 &&
                  stats.parked == 0 && stats.dead_lettered == 0,
              "%llu, %llu", (unsigned long long)stats.handed_over,
              (unsigned long long)stats.retried);
    cr_assert_eq(engine_case_total(&at, NULL), RECORDS - ODD, "without their changes");
    engine_case_append(at.input, RECORDS, RECORDS, KEYS);
    strid_pipeline_set_retry_hook(at.pipeline, NULL, NULL);
    cr_assert_eq(engine_case_run(&at), STRID_OK, "%s", at.err.message);
    cr_assert_eq(host.asked, FAILING, "it is not asked any more");
    cr_assert_eq(engine_case_total(&at, NULL), 2 * RECORDS - ODD);
    engine_case_fini(&at);
}
