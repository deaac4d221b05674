/* subkeys_host DIR: a program that keeps its records' values as subkeys, for tests of the command:
 * "KEY SUBKEY NUMBER" each. Ends when they are durable. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

struct host {
    strid_store items, sums;
};

static const struct {
    const char *key, *subkey;
} records[] = {{"a", "pear"}, {"a", "apple"}, {"b", "plum"}, {"a", "pear"}};

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    const struct host *host = user;
    int64_t number = strid_state_get_sub_i64(ctx, host->items, record->value, 0) + 1;
    if (strid_state_put_sub_i64(ctx, host->items, record->value, number) != STRID_OK)
        return STRID_REJECT;
    strid_state_put_i64(ctx, host->sums, strid_state_get_i64(ctx, host->sums, 0) + 1);
    return STRID_DONE;
}

int main(int argc, char **argv)
{
    char url[4096];
    struct host host = {0};
    strid_error error = STRID_ERROR_INIT;
    const strid_store_options ordered = {STRID_STORE_OPTIONS_INIT, .ordered = true};
    if (argc != 2) {
        fprintf(stderr, "usage: subkeys_host DIR\n");
        return 2;
    }
    (void)snprintf(url, sizeof url, "rocksdb:%s", argv[1]);
    strid_pipeline *pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "subkeys",
                                  .source = "memory:in", .state = url, .format = "raw",
                                  .workers = 1},
        &error);
    bool good = pipeline != NULL &&
                strid_pipeline_add_store_with(pipeline, "items", &ordered, &host.items, &error) ==
                    STRID_OK &&
                strid_pipeline_add_store(pipeline, "sums", &host.sums, &error) == STRID_OK &&
                strid_pipeline_on(pipeline, "*", handle, &host, &error) == STRID_OK;
    for (size_t i = 0; good && i < sizeof records / sizeof records[0]; i++)
        good = strid_push(pipeline, 0, strid_bytes_of_text(records[i].key),
                          strid_bytes_of_text(records[i].subkey), 0) == STRID_OK;
    if (good)
        strid_push_end(pipeline);
    good = good && strid_pipeline_run(pipeline, &error) == STRID_OK;
    if (!good)
        fprintf(stderr, "subkeys_host: %s\n", error.message);
    strid_pipeline_destroy(pipeline);
    return good ? 0 : 1;
}
