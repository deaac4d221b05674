/* An embedding program in C: it links the shared library and nothing else. */
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

static strid_outcome count(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    strid_store store = *(strid_store *)user;
    strid_state_put_i64(ctx, store, strid_state_get_i64(ctx, store, 0) + 1);
    return STRID_DONE;
}

static int failed(const char *what, const strid_error *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err->message);
    return 1;
}

int main(void)
{
    strid_error err = STRID_ERROR_INIT;
    strid_store store = 0;
    strid_pipeline *pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "shared",
                                  .source = "memory:in?partitions=1", .workers = 1},
        &err);
    if (pipeline == NULL)
        return failed("create", &err);
    if (strid_pipeline_add_store(pipeline, "counts", &store, &err) != STRID_OK ||
        strid_pipeline_on(pipeline, "*", count, &store, &err) != STRID_OK)
        return failed("configure", &err);
    for (int i = 0; i < 10; i++)
        if (strid_push(pipeline, 0, strid_bytes_of_text("a"), strid_bytes_of_text("{}"), 0) !=
            STRID_OK)
            return failed("push", &err);
    strid_push_end(pipeline);
    if (strid_pipeline_run(pipeline, &err) != STRID_OK)
        return failed("run", &err);
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(pipeline, &stats);
    strid_pipeline_destroy(pipeline);
    if (stats.done != 10 || strcmp(strid_version(), "") == 0) {
        (void)fprintf(stderr, "%llu of 10 records done\n", (unsigned long long)stats.done);
        return 1;
    }
    return 0;
}
