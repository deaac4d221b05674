#include "engine_case.h"

#include <criterion/criterion.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void engine_case_init(struct engine_case *at)
{
    *at = (struct engine_case){0};
    support_directory_create(&at->directory);
    support_path(&at->directory, "input", at->input);
    (void)snprintf(at->state, sizeof at->state, "rocksdb:%s/state", at->directory.path);
    (void)snprintf(at->source, sizeof at->source, "file:%s", at->input);
}

void engine_case_fini(struct engine_case *at)
{
    strid_pipeline_destroy(at->pipeline);
    support_directory_remove(&at->directory);
}

static void keep_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    struct engine_case *at = user;
    (void)level;
    (void)snprintf(at->last_log, sizeof at->last_log, "%s: %s", logger, message);
    atomic_fetch_add(&at->logs, 1);
}

void engine_case_create(struct engine_case *at, const char *format, uint32_t workers)
{
    strid_pipeline_destroy(at->pipeline);
    at->err = (strid_error)STRID_ERROR_INIT;
    bool raw = strcmp(format, "raw") == 0;
    at->pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "engine",
                                  .source = at->source, .state = at->state, .format = format,
                                  .key = raw ? NULL : "key", .workers = workers,
                                  .memory_bytes = 128u << 20, .log = keep_log, .log_user = at},
        &at->err);
    cr_assert_not_null(at->pipeline, "%s", at->err.message);
    STRID_CHECK_OK(strid_pipeline_add_store(at->pipeline, "counts", &at->counts, &at->err),
                   at->err);
}

void engine_case_on(struct engine_case *at, strid_handler handler, void *user)
{
    STRID_CHECK_OK(strid_pipeline_on(at->pipeline, "*", handler, user, &at->err), at->err);
}

strid_status engine_case_run(struct engine_case *at)
{
    at->err = (strid_error)STRID_ERROR_INIT;
    return strid_pipeline_run(at->pipeline, &at->err);
}

strid_outcome engine_case_count(strid_context *ctx, const strid_record *record, void *user)
{
    const struct engine_case *at = user;
    (void)record;
    strid_state_put_i64(ctx, at->counts, strid_state_get_i64(ctx, at->counts, 0) + 1);
    return STRID_DONE;
}

void engine_case_append(const char *path, uint64_t from, uint64_t count, uint64_t keys)
{
    FILE *file = fopen(path, "ae");
    cr_assert_not_null(file);
    for (uint64_t n = from; n < from + count; n++)
        (void)fprintf(file, "{\"n\":%" PRIu64 ",\"key\":\"k%" PRIu64 "\"}\n", n, n % keys);
    cr_assert_eq(fclose(file), 0);
}

struct sum {
    int64_t total;
    uint64_t entries;
};

static bool add_up(void *user, const strid_state_entry *entry)
{
    struct sum *sum = user;
    int64_t number = 0;
    if (entry->kind == STRID_STATE_I64)
        memcpy(&number, entry->value.data, sizeof number);
    sum->total += number;
    sum->entries++;
    return true;
}

int64_t engine_case_total(struct engine_case *at, uint64_t *entries)
{
    struct sum sum = {0};
    strid_state_reader *reader = strid_state_reader_open(at->state, &at->err);
    cr_assert_not_null(reader, "%s", at->err.message);
    STRID_CHECK_OK(strid_state_reader_scan(reader, NULL, add_up, &sum, &at->err), at->err);
    strid_state_reader_close(reader);
    if (entries != NULL)
        *entries = sum.entries;
    return sum.total;
}

strid_pipeline_stats engine_case_stats(struct engine_case *at)
{
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(at->pipeline, &stats);
    return stats;
}
