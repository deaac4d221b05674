#include "api/pipeline.h"

#include <strid/inspect.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "pipeline/places.h"
#include "runtime/budget.h"

enum { TIMEOUT_MAX_MS = 24 * 60 * 60 * 1000 };

static strid_pipeline *make(struct definition *definition, const strid_pipeline_options *options)
{
    strid_pipeline *pipeline = memory_alloc_zeroed(sizeof *pipeline);
    pipeline->definition = definition;
    log_init(&pipeline->log, options->log, options->log_user);
    pthread_mutex_init(&pipeline->lock, NULL);
    pipeline->totals.struct_size = sizeof pipeline->totals;
    pipeline->deferrals = deferral_create();
    return pipeline;
}

static strid_status override_retry(struct definition *definition,
                                   const strid_pipeline_options *options, strid_error *err)
{
    if (options->ordering != STRID_ORDERING_DEFAULT)
        definition->retry.ordering = options->ordering;
    if (options->max_parked != 0)
        definition->retry.max_parked = options->max_parked;
    if (options->max_parked_bytes != 0)
        definition->retry.max_parked_bytes = options->max_parked_bytes;
    if (options->retry_step_count != 0)
        return definition_set_backoff_steps(definition, options->retry_steps_ms,
                                            options->retry_step_count, err);
    if (options->retry_min_ms == 0 && options->retry_max_ms == 0)
        return STRID_OK;
    return definition_set_backoff(definition, options->retry_min_ms, options->retry_max_ms, err);
}

static strid_status override(struct definition *definition, const strid_pipeline_options *options,
                             strid_error *err)
{
    if (options->workers != 0)
        definition->workers = options->workers;
    if (options->max_attempts != 0)
        definition->max_attempts = options->max_attempts;
    if (options->memory_bytes != 0)
        definition->memory_bytes = options->memory_bytes;
    if (options->durability != STRID_DURABILITY_DEFAULT)
        definition->durability = options->durability;
    if (options->timeout_ms != 0)
        definition->timeout_ms = options->timeout_ms;
    if (options->on_timeout != STRID_ON_TIMEOUT_DEFAULT)
        definition->on_timeout = options->on_timeout == STRID_ON_TIMEOUT_ABORT
                                     ? DEFINITION_ON_TIMEOUT_ABORT
                                     : DEFINITION_ON_TIMEOUT_RETRY;
    if (options->unrouted != STRID_UNROUTED_DEFAULT)
        definition->unrouted = options->unrouted == STRID_UNROUTED_DLQ ? DEFINITION_UNROUTED_DLQ
                                                                       : DEFINITION_UNROUTED_SKIP;
    return override_retry(definition, options, err);
}

static bool refuse_number(strid_error *err, int number, const char *what, const char *known)
{
    (void)error_set(err, STRID_ECONFIG, "pipeline", "%d is no %s; use one of %s", number, what,
                    known);
    return false;
}

/* Takes what the caller's header knew of; the rest, which came later, is zero: the default. */
static bool take_options(const strid_pipeline_options *given, strid_pipeline_options *options,
                         strid_error *err)
{
    *options = (strid_pipeline_options){.struct_size = 0};
    if (given == NULL || given->struct_size < offsetof(strid_pipeline_options, timeout_ms) ||
        given->struct_size > sizeof *options) {
        (void)error_set(err, STRID_EINVAL, "pipeline",
                        "options have the wrong size; begin them with STRID_PIPELINE_OPTIONS_INIT, "
                        "and use a library that is not older than the headers");
        return false;
    }
    memcpy(options, given, given->struct_size);
    if ((unsigned)options->durability > STRID_DURABILITY_REPLAY)
        return refuse_number(err, (int)options->durability, "durability", "STRID_DURABILITY_*");
    if ((unsigned)options->on_timeout > STRID_ON_TIMEOUT_ABORT)
        return refuse_number(err, (int)options->on_timeout, "on_timeout", "STRID_ON_TIMEOUT_*");
    if ((unsigned)options->unrouted > STRID_UNROUTED_DLQ)
        return refuse_number(err, (int)options->unrouted, "unrouted", "STRID_UNROUTED_*");
    if ((unsigned)options->ordering > STRID_ORDERING_NONE)
        return refuse_number(err, (int)options->ordering, "ordering", "STRID_ORDERING_*");
    if (options->timeout_ms >= 0 && options->timeout_ms <= TIMEOUT_MAX_MS)
        return true;
    (void)error_set(err, STRID_ECONFIG, "pipeline",
                    "a timeout of %lld ms: expected at least 0 and at most a day",
                    (long long)options->timeout_ms);
    return false;
}

strid_pipeline *strid_pipeline_create(const strid_pipeline_options *given, strid_error *err)
{
    strid_pipeline_options options;
    const char *at = NULL;
    if (!take_options(given, &options, err))
        return NULL;
    struct definition *definition = definition_create(options.name, err);
    if (definition == NULL)
        return NULL;
    strid_status status = definition_set_source(definition, options.source, err);
    if (status == STRID_OK && options.state != NULL)
        status = definition_set_state(definition, options.state, err);
    if (status == STRID_OK &&
        (options.format != NULL || options.key != NULL || options.type != NULL))
        status = definition_set_decode(definition, options.format, options.key, options.type, err);
    if (status == STRID_OK)
        status = override(definition, &options, err);
    if (status == STRID_OK && options.dlq != NULL)
        status = definition_set_dlq(definition, options.dlq, err);
    if (status == STRID_OK)
        status = places_check(definition, &at, err);
    if (status != STRID_OK) {
        definition_destroy(definition);
        return NULL;
    }
    return make(definition, &options);
}

/* A file speaks of the whole process, which takes something by itself and for each thread. */
static strid_status check_memory(const struct definition *definition, strid_error *err)
{
    uint32_t cores = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t workers = definition->workers == 0 ? cores : definition->workers;
    uint64_t least = budget_minimum(workers, 1);
    if ((definition->source.ops->flags & STRID_SOURCE_BUFFERED) != 0)
        least = least * 8 / 7;
    if (definition->memory_bytes == 0 || definition->memory_bytes >= least)
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, "config",
                     "\"memory\": %lluMiB are too little for %u workers; give at least %lluMiB, or "
                     "fewer \"workers\"",
                     (unsigned long long)definition->memory_bytes >> 20, workers,
                     (unsigned long long)(least + (1 << 20) - 1) >> 20);
}

strid_pipeline *strid_pipeline_load(const char *path, const strid_pipeline_options *overrides,
                                    strid_error *err)
{
    struct definition *definition = NULL;
    strid_pipeline_options options = {.struct_size = 0};
    if (overrides != NULL && !take_options(overrides, &options, err))
        return NULL;
    if (definition_load(path, &definition, err) != STRID_OK)
        return NULL;
    if (override(definition, &options, err) != STRID_OK ||
        check_memory(definition, err) != STRID_OK) {
        definition_destroy(definition);
        return NULL;
    }
    return make(definition, &options);
}

void strid_pipeline_destroy(strid_pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    pipeline_close(pipeline, true);
    memory_free(pipeline->sinks);
    definition_free_sink(&pipeline->dlq);
    store_memory.close(pipeline->kept);
    definition_destroy(pipeline->definition);
    deferral_destroy(pipeline->deferrals);
    pthread_mutex_destroy(&pipeline->lock);
    log_fini(&pipeline->log);
    memory_free(pipeline);
}

strid_status strid_pipeline_add_store(strid_pipeline *pipeline, const char *name,
                                      strid_store *store, strid_error *err)
{
    return definition_add_store(pipeline->definition, name, store, err);
}

strid_status strid_pipeline_add_store_with(strid_pipeline *pipeline, const char *name,
                                           const strid_store_options *options, strid_store *store,
                                           strid_error *err)
{
    strid_store_options taken = {.struct_size = 0};
    if (options == NULL || options->struct_size < offsetof(strid_store_options, ordered) ||
        options->struct_size > sizeof taken)
        return error_set(err, STRID_EINVAL, "pipeline",
                         "store options have the wrong size; begin them with "
                         "STRID_STORE_OPTIONS_INIT, and use a library that is not older than the "
                         "headers");
    memcpy(&taken, options, options->struct_size); /* the rest came later: the default */
    if (taken.ttl_ms < 0)
        return error_set(err, STRID_ECONFIG, "pipeline",
                         "a time to live of %lld ms for store \"%s\": expected at least 0",
                         (long long)taken.ttl_ms, name == NULL ? "" : name);
    strid_status status = definition_add_store(pipeline->definition, name, store, err);
    if (status != STRID_OK)
        return status;
    pipeline->definition->store_ordered[*store] = taken.ordered;
    return definition_set_ttl(pipeline->definition, *store, taken.ttl_ms, err);
}

strid_status strid_pipeline_add_sink(strid_pipeline *pipeline, const char *name, const char *url,
                                     strid_error *err)
{
    return definition_add_sink(pipeline->definition, name, url, err);
}

strid_status strid_pipeline_add_field(strid_pipeline *pipeline, const char *name, uint32_t *index,
                                      strid_error *err)
{
    return definition_add_field(pipeline->definition, name, index, err);
}

strid_status strid_pipeline_on(strid_pipeline *pipeline, const char *type_glob,
                               strid_handler handler, void *user, strid_error *err)
{
    char name[32];
    (void)snprintf(name, sizeof name, "handler %u", pipeline->definition->route_count + 1);
    return definition_add_route(pipeline->definition, type_glob, name, handler, user, NULL, err);
}

void strid_pipeline_set_retry_hook(strid_pipeline *pipeline, strid_retry_hook hook, void *user)
{
    pipeline->definition->retry.hook = hook;
    pipeline->definition->retry.hook_user = user;
}

void strid_pipeline_stop(strid_pipeline *pipeline)
{
    /* Atomics and a system call that takes no lock: signal handlers call this. */
    int kept = errno;
    atomic_fetch_add_explicit(&pipeline->stop, 1, memory_order_release);
    parker_wake(&pipeline->control);
    errno = kept;
}

static const char *taken_sink(const struct definition *definition)
{
    for (uint32_t i = 0; i < definition->sink_count; i++)
        if (definition->sinks[i].ops->take != NULL)
            return definition->sinks[i].name;
    return NULL;
}

void strid_pipeline_get_info(const strid_pipeline *pipeline, strid_pipeline_info *info)
{
    strid_pipeline_info all = {.struct_size = info->struct_size,
                               .name = pipeline->definition->name,
                               .source = pipeline->definition->source.url,
                               .state = pipeline->definition->state_url,
                               .handlers = pipeline->definition->route_count,
                               .is_pushed = pipeline->definition->source.ops->push != NULL,
                               .taken = taken_sink(pipeline->definition)};
    memcpy(info, &all, info->struct_size < sizeof all ? info->struct_size : sizeof all);
}

void strid_pipeline_get_stats(const strid_pipeline *constant, strid_pipeline_stats *stats)
{
    strid_pipeline *pipeline = (strid_pipeline *)constant; /* constant to all but its own lock */
    pthread_mutex_lock(&pipeline->lock);
    strid_pipeline_stats now = pipeline->totals;
    if (pipeline->run != NULL)
        run_add_stats(pipeline->run, &now);
    pthread_mutex_unlock(&pipeline->lock);
    now.struct_size = stats->struct_size;
    size_t size = stats->struct_size < sizeof now ? stats->struct_size : sizeof now;
    memcpy(stats, &now, size < sizeof stats->struct_size ? sizeof stats->struct_size : size);
}

strid_status pipeline_open_source(strid_pipeline *pipeline, strid_error *err)
{
    if (pipeline->source != NULL)
        return STRID_OK;
    const struct source_definition *definition = &pipeline->definition->source;
    strid_connector_args args = {.struct_size = sizeof args,
                                 .scheme = definition->ops->name,
                                 .url = definition->url,
                                 .target = definition->target,
                                 .options = definition->options,
                                 .pipeline = pipeline->definition->name,
                                 .node = "",
                                 .log = &pipeline->log,
                                 .readers = run_readers_max(),
                                 .keeps_state = pipeline->definition->store_count > 0};
    args.memory_bytes = budget_source(run_memory(pipeline->definition, args.readers));
    strid_source *source = memory_alloc_zeroed(definition->ops->instance_size);
    strid_status status = definition->ops->open(source, &args, err);
    if (status == STRID_OK)
        pipeline->source = source;
    else
        memory_free(source);
    return status;
}

strid_status pipeline_prepare_dlq(strid_pipeline *pipeline, struct sink_instance *instance,
                                  strid_error *err)
{
    char url[4096];
    const char *chosen = pipeline->definition->dlq_url;
    if (pipeline->dlq.ops == NULL) {
        const strid_source_ops *ops = pipeline->definition->source.ops;
        if (chosen == NULL && ops->dlq_url != NULL && pipeline->source != NULL) {
            if (ops->dlq_url(pipeline->source, url, sizeof url) != STRID_OK)
                return error_set(err, STRID_ECONFIG, "pipeline",
                                 "the source's name is too long to name a dead-letter queue; add "
                                 "`dlq: { url: ... }`");
            chosen = url;
        }
        if (chosen == NULL)
            return STRID_OK;
        strid_status status = definition_make_sink("dlq", chosen, &pipeline->dlq, err);
        if (status != STRID_OK)
            return error_wrap(err, status, "dead-letter queue");
    }
    instance->definition = &pipeline->dlq;
    return STRID_OK;
}

strid_status pipeline_open_sinks(strid_pipeline *pipeline, strid_error *err)
{
    const struct definition *definition = pipeline->definition;
    strid_connector_args args = {.pipeline = definition->name, .node = "", .log = &pipeline->log};
    if (pipeline->sinks == NULL) {
        pipeline->sink_count = definition->sink_count;
        pipeline->sinks =
            memory_alloc_zeroed((definition->sink_count + 1) * sizeof *pipeline->sinks);
        for (uint32_t i = 0; i <= definition->sink_count; i++)
            pipeline->sinks[i].args = args;
    }
    if (pipeline->sink_count != definition->sink_count)
        return error_set(err, STRID_EINVAL, "pipeline",
                         "sinks have to be added before the first run, push or take");
    struct sink_instance *dlq = &pipeline->sinks[definition->sink_count];
    strid_status status = pipeline_prepare_dlq(pipeline, dlq, err);
    if (status == STRID_OK && pipeline->source != NULL)
        status = places_check_open(definition, pipeline->source, dlq->definition, err);
    /* One that was asked for has to work from the start; the source's default may stand in a place
     * where nothing can be written, and is opened with its first letter. */
    if (status == STRID_OK && definition->dlq_url != NULL)
        status = sink_instance_open(dlq, err);
    for (uint32_t i = 0; status == STRID_OK && i < definition->sink_count; i++) {
        pipeline->sinks[i].definition = &definition->sinks[i];
        status = sink_instance_open(&pipeline->sinks[i], err);
    }
    return status;
}

void pipeline_close_source(strid_pipeline *pipeline)
{
    if (pipeline->source == NULL)
        return;
    pipeline->definition->source.ops->close(pipeline->source);
    memory_free(pipeline->source);
    pipeline->source = NULL;
}

void pipeline_close(strid_pipeline *pipeline, bool all)
{
    if (all || pipeline->definition->source.ops->push == NULL)
        pipeline_close_source(pipeline);
    for (uint32_t i = 0; pipeline->sinks != NULL && i <= pipeline->sink_count; i++) {
        struct sink_instance *instance = &pipeline->sinks[i];
        if (instance->sink != NULL && (all || instance->definition->ops->take == NULL))
            sink_instance_close(instance);
    }
}

strid_status strid_push(strid_pipeline *pipeline, uint32_t partition, strid_bytes key,
                        strid_bytes value, int64_t timestamp_ms)
{
    const strid_source_ops *ops = pipeline->definition->source.ops;
    if (ops->push == NULL)
        return STRID_EUNSUPPORTED;
    pthread_mutex_lock(&pipeline->lock);
    strid_status status = pipeline_open_source(pipeline, NULL);
    pthread_mutex_unlock(&pipeline->lock);
    return status == STRID_OK ? ops->push(pipeline->source, partition, key, value, timestamp_ms)
                              : status;
}

void strid_push_end(strid_pipeline *pipeline)
{
    const strid_source_ops *ops = pipeline->definition->source.ops;
    pthread_mutex_lock(&pipeline->lock);
    if (ops->push_end != NULL && pipeline_open_source(pipeline, NULL) == STRID_OK)
        ops->push_end(pipeline->source);
    pthread_mutex_unlock(&pipeline->lock);
}

strid_status strid_take(strid_pipeline *pipeline, const char *sink, strid_output *out)
{
    struct sink_instance *instance = NULL;
    pthread_mutex_lock(&pipeline->lock);
    strid_status status = pipeline_open_source(pipeline, NULL);
    if (status == STRID_OK)
        status = pipeline_open_sinks(pipeline, NULL);
    for (uint32_t i = 0; status == STRID_OK && i <= pipeline->sink_count; i++)
        if (pipeline->sinks[i].definition != NULL &&
            strcmp(pipeline->sinks[i].definition->name, sink) == 0)
            instance = &pipeline->sinks[i];
    pthread_mutex_unlock(&pipeline->lock);
    if (status != STRID_OK)
        return status;
    if (instance == NULL)
        return STRID_ENOTFOUND;
    if (instance->definition->ops->take == NULL)
        return STRID_EUNSUPPORTED;
    /* The dead-letter queue is opened with the first dead letter. */
    return instance->sink == NULL ? STRID_AGAIN
                                  : instance->definition->ops->take(instance->sink, out);
}
