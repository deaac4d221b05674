/* An outside program: it has names of its own that modules of the library use inside, too. */
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

int buffer_grow(int by);
int ring_push(int value);

int buffer_grow(int by) { return by + 1; }
int ring_push(int value) { return value + 1; }

static strid_outcome take(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx;
    (void)record;
    (void)user;
    return STRID_DONE;
}

int main(int argc, char **argv)
{
    strid_error err = STRID_ERROR_INIT;
    strid_pipeline_options options = {STRID_PIPELINE_OPTIONS_INIT, .name = "outside",
                                      .source = "generator:?records=100&keys=10", .format = "raw"};
    strid_pipeline *pipeline = strid_pipeline_create(&options, &err);
    if (pipeline == NULL || strid_pipeline_on(pipeline, "*", take, NULL, &err) != STRID_OK ||
        strid_pipeline_run(pipeline, &err) != STRID_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(pipeline, &stats);
    strid_pipeline_destroy(pipeline);
    if (stats.records != 100 || argc != 2 || strcmp(argv[1], strid_version()) != 0 ||
        ring_push(buffer_grow(1)) != 3)
        return 1;
    return 0;
}
