/* waiting_host SOURCE STATE: a node of the pipeline "totals" for tests of the command. It wants the
 * orders of customer "b" again in an hour, and is stopped by the one of customer "z": what waits
 * and what is parked stays in its state. */
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

static bool is_of(const strid_record *record, char customer)
{
    return record->key.len == 1 && record->key.data[0] == (uint8_t)customer;
}

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    strid_pipeline **pipeline = user;
    if (is_of(record, 'z'))
        strid_pipeline_stop(*pipeline);
    if (!is_of(record, 'b'))
        return STRID_DONE;
    strid_set_reason(ctx, "not yet");
    return STRID_RETRY;
}

int main(int argc, char **argv)
{
    strid_error error = STRID_ERROR_INIT;
    strid_pipeline *pipeline = NULL;
    if (argc != 3) {
        (void)fprintf(stderr, "usage: waiting_host SOURCE STATE\n");
        return 2;
    }
    const int64_t hour_ms = 3600000;
    pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "totals", .source = argv[1],
                                  .state = argv[2], .format = "jsonl", .key = "customer",
                                  .type = "kind", .workers = 1, .retry_steps_ms = &hour_ms,
                                  .retry_step_count = 1},
        &error);
    bool good = pipeline != NULL &&
                strid_pipeline_on(pipeline, "order", handle, &pipeline, &error) == STRID_OK &&
                strid_pipeline_run(pipeline, &error) == STRID_OK;
    if (!good)
        (void)fprintf(stderr, "waiting_host: %s\n", error.message);
    strid_pipeline_destroy(pipeline);
    return good ? 0 : 1;
}
