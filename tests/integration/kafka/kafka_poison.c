/* A pipeline for test_source.py: kafka_poison SOURCE STATE reads raw records, counts per key, and
 * wants every record with the value "bad" again. Ends with the source; exit 1 where it failed. */
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    const strid_store *counts = user;
    if (record->value.len == 3 && memcmp(record->value.data, "bad", 3) == 0)
        return STRID_RETRY;
    strid_state_put_i64(ctx, *counts, strid_state_get_i64(ctx, *counts, 0) + 1);
    return STRID_DONE;
}

int main(int argc, char **argv)
{
    strid_store counts;
    strid_error err = STRID_ERROR_INIT;
    if (argc != 3)
        return 2;
    strid_pipeline *pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "poison", .source = argv[1],
                                  .state = argv[2], .format = "raw", .max_attempts = 4},
        &err);
    bool ok = pipeline != NULL &&
              strid_pipeline_add_store(pipeline, "counts", &counts, &err) == STRID_OK &&
              strid_pipeline_on(pipeline, "*", handle, &counts, &err) == STRID_OK &&
              strid_pipeline_run(pipeline, &err) == STRID_OK;
    if (!ok)
        (void)fprintf(stderr, "kafka_poison: %s\n", err.message);
    strid_pipeline_destroy(pipeline);
    return ok ? 0 : 1;
}
