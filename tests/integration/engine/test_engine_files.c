/* Files in, counters out: what a run reads, where the next one goes on, and what refuses. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine_case.h"

static void count_file(struct engine_case *at, uint32_t workers)
{
    engine_case_create(at, "jsonl", workers);
    engine_case_on(at, engine_case_count, at);
    STRID_CHECK_OK(engine_case_run(at), at->err);
}

Test(engine_files, every_line_is_counted_once_and_appended_ones_by_the_next_run)
{
    struct engine_case at;
    uint64_t entries = 0;
    engine_case_init(&at);
    engine_case_append(at.input, 0, 10000, 100);
    count_file(&at, 3);
    cr_assert_eq(engine_case_stats(&at).records, 10000);
    cr_assert_eq(engine_case_total(&at, &entries), 10000);
    cr_assert_eq(entries, 100);
    engine_case_append(at.input, 10000, 500, 100);
    count_file(&at, 3);
    cr_assert_eq(engine_case_stats(&at).records, 500, "just those");
    cr_assert_eq(engine_case_total(&at, NULL), 10500);
    count_file(&at, 3);
    cr_assert_eq(engine_case_stats(&at).records, 0);
    engine_case_fini(&at);
}

Test(engine_files, worker_count_changes_between_runs)
{
    static const uint32_t workers[] = {1, 3, 2, 5, 1};
    struct engine_case at;
    engine_case_init(&at);
    for (uint64_t i = 0; i < 5; i++) {
        engine_case_append(at.input, i * 2000, 2000, 333);
        count_file(&at, workers[i]);
        cr_assert_eq(engine_case_total(&at, NULL), (int64_t)(i + 1) * 2000);
    }
    engine_case_fini(&at);
}

Test(engine_files, empty_file_ends_at_once)
{
    struct engine_case at;
    engine_case_init(&at);
    support_write_file(at.input, "", 0);
    count_file(&at, 2);
    cr_assert_eq(engine_case_stats(&at).records, 0);
    cr_assert_eq(engine_case_total(&at, NULL), 0);
    engine_case_fini(&at);
}

Test(engine_files, directory_of_files_with_three_workers)
{
    struct engine_case at;
    char path[SUPPORT_PATH_MAX + 16];
    uint64_t entries = 0;
    engine_case_init(&at);
    cr_assert_eq(mkdir(at.input, 0700), 0);
    for (uint64_t i = 0; i < 7; i++) {
        (void)snprintf(path, sizeof path, "%s/part-%u", at.input, (unsigned)i);
        engine_case_append(path, i * 1000, 1000 * (i + 1), 50);
    }
    count_file(&at, 3);
    cr_assert_eq(engine_case_total(&at, &entries), 28000);
    cr_assert_eq(entries, 50, "keys meet over files");
    (void)snprintf(path, sizeof path, "%s/part-9", at.input);
    engine_case_append(path, 0, 10, 50);
    count_file(&at, 2);
    cr_assert_eq(engine_case_total(&at, NULL), 28010,
                 "a file that is new is read from its beginning");
    engine_case_fini(&at);
}

Test(engine_files, truncated_file_refuses_with_a_gap)
{
    struct engine_case at;
    engine_case_init(&at);
    engine_case_append(at.input, 0, 1000, 10);
    count_file(&at, 2);
    cr_assert_eq(truncate(at.input, 100), 0);
    engine_case_create(&at, "jsonl", 2);
    engine_case_on(&at, engine_case_count, &at);
    cr_assert_eq(engine_case_run(&at), STRID_EGAP, "%s", at.err.message);
    cr_assert_not_null(strstr(at.err.message, at.input), "%s", at.err.message);
    cr_assert_eq(engine_case_total(&at, NULL), 1000, "nothing changed");
    engine_case_fini(&at);
}

Test(engine_files, state_of_another_source_refuses)
{
    struct engine_case at;
    engine_case_init(&at);
    engine_case_append(at.input, 0, 100, 10);
    count_file(&at, 1);
    char other[SUPPORT_PATH_MAX];
    support_path(&at.directory, "other", other);
    engine_case_append(other, 0, 100, 10);
    (void)snprintf(at.source, sizeof at.source, "file:%s", other);
    engine_case_create(&at, "jsonl", 1);
    engine_case_on(&at, engine_case_count, &at);
    cr_assert_eq(engine_case_run(&at), STRID_ESTATE, "%s", at.err.message);
    cr_assert_not_null(strstr(at.err.message, at.input), "it names whose state it is");
    engine_case_fini(&at);
}

static strid_outcome reads_itself(strid_context *ctx, const strid_record *record, void *user)
{
    struct engine_case *at = user;
    strid_error err = STRID_ERROR_INIT;
    (void)ctx;
    (void)record;
    strid_state_reader *reader = strid_state_reader_open(at->state, &err);
    if (reader != NULL || err.status != STRID_EBUSY)
        atomic_fetch_add(&at->logs, 1000);
    strid_state_reader_close(reader);
    return STRID_DONE;
}

Test(engine_files, open_state_directory_is_refused_to_others)
{
    struct engine_case at;
    engine_case_init(&at);
    engine_case_append(at.input, 0, 1, 1);
    engine_case_create(&at, "jsonl", 1);
    engine_case_on(&at, reads_itself, &at);
    STRID_CHECK_OK(engine_case_run(&at), at.err);
    cr_assert_lt(at.logs, 1000, "it was opened twice");
    engine_case_fini(&at);
}

static strid_outcome reads_in_a_child(strid_context *ctx, const strid_record *record, void *user)
{
    struct engine_case *at = user;
    (void)ctx;
    (void)record;
    pid_t child = fork();
    if (child == 0) {
        strid_error err = STRID_ERROR_INIT;
        strid_pipeline *pipeline = strid_pipeline_create(
            &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "second",
                                      .source = "generator:?records=1", .state = at->state,
                                      .format = "raw"},
            &err);
        strid_status status = pipeline == NULL
                                  ? STRID_EINTERNAL
                                  : strid_pipeline_on(pipeline, "*", engine_case_count, at, &err);
        if (status == STRID_OK)
            status = strid_pipeline_run(pipeline, &err);
        _exit(status == STRID_EBUSY ? 0 : 1);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return STRID_REJECT;
    return STRID_DONE;
}

Test(engine_files, second_process_is_refused)
{
    struct engine_case at;
    engine_case_init(&at);
    engine_case_append(at.input, 0, 1, 1);
    engine_case_create(&at, "jsonl", 1);
    engine_case_on(&at, reads_in_a_child, &at);
    STRID_CHECK_OK(engine_case_run(&at), at.err);
    cr_assert_eq(engine_case_stats(&at).done, 1);
    engine_case_fini(&at);
}
