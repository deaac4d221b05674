/* The node that kafka_rounds.py kills: kafka_node SOURCE STATE reads raw records and keeps, for
 * each key, a chain of hashes: it is right only if each record came once and in order. Records with
 * the value "bad" fail for good. Ends with 0 after SIGTERM. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

/* Set before the signal handler is, so that it never meets a half-made pipeline. */
static _Atomic(strid_pipeline *) running;

static void stop(int number)
{
    (void)number;
    strid_pipeline *pipeline = atomic_load_explicit(&running, memory_order_acquire);
    if (pipeline != NULL)
        strid_pipeline_stop(pipeline);
}

static void print_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    if (level >= STRID_LOG_WARN)
        (void)fprintf(stderr, "%s: %s\n", logger, message);
}

static strid_outcome link_record(strid_context *ctx, const strid_record *record, void *user)
{
    const strid_store *chains = user;
    if (record->value.len == 3 && memcmp(record->value.data, "bad", 3) == 0)
        return STRID_RETRY;
    uint64_t chain = (uint64_t)strid_state_get_i64(ctx, *chains, 0) + 1;
    for (size_t i = 0; i < record->value.len; i++)
        chain = (chain ^ record->value.data[i]) * UINT64_C(1099511628211);
    strid_state_put_i64(ctx, *chains, (int64_t)chain);
    return STRID_DONE;
}

int main(int argc, char **argv)
{
    strid_store chains;
    strid_error err = STRID_ERROR_INIT;
    if (argc != 3)
        return 2;
    strid_pipeline *pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "rounds", .source = argv[1],
                                  .state = argv[2], .format = "raw", .workers = 2,
                                  .memory_bytes = UINT64_C(128) << 20, .max_attempts = 2,
                                  .log = print_log},
        &err);
    bool ok = pipeline != NULL &&
              strid_pipeline_add_store(pipeline, "chains", &chains, &err) == STRID_OK &&
              strid_pipeline_on(pipeline, "*", link_record, &chains, &err) == STRID_OK;
    if (ok) {
        struct sigaction action = {.sa_handler = stop};
        atomic_store_explicit(&running, pipeline, memory_order_release);
        (void)sigaction(SIGTERM, &action, NULL);
        ok = strid_pipeline_run(pipeline, &err) == STRID_OK;
    }
    if (!ok)
        (void)fprintf(stderr, "kafka_node: %s\n", err.message);
    atomic_store_explicit(&running, NULL, memory_order_release);
    strid_pipeline_destroy(pipeline);
    return ok ? 0 : 1;
}
