/* Looking at a source without a pipeline. @thread the caller's */
#include <strid/reader.h>

#include "api/pipeline.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "pipeline/endpoint.h"
#include "pipeline/substitute.h"

#define COMPONENT "reader"

struct look {
    struct log log;
    const strid_inspect_ops *ops;
    const strid_option *table;
    char *url, *target;
    void *values;
    bool borrowed; /* from a pipeline */
    strid_connector_args args;
};

static strid_status refuse_kind(const char *url, const char *kind, strid_error *err)
{
    return error_set(err, STRID_EUNSUPPORTED, COMPONENT,
                     "%s: a source of kind \"%s:\" cannot be looked at without a pipeline; redis:, "
                     "rediss: and kafka: can",
                     url, kind);
}

static strid_status borrow(struct look *look, const strid_pipeline *pipeline, strid_error *err)
{
    const struct source_definition *source = &pipeline->definition->source;
    look->borrowed = true;
    look->ops = source->ops->inspect;
    look->url = source->url;
    look->target = source->target;
    look->values = source->options;
    return look->ops != NULL ? STRID_OK : refuse_kind(source->url, source->ops->name, err);
}

static strid_status find(struct look *look, const char *text, strid_error *err)
{
    struct endpoint endpoint;
    char *url = NULL;
    STRID_TRY(substitute(text, &url, err));
    strid_status status = endpoint_open_source(&endpoint, url, err);
    memory_free(url);
    if (status != STRID_OK)
        return status;
    const strid_source_ops *source = endpoint.source;
    status = endpoint_finish(&endpoint, &look->url, &look->target, &look->values, err);
    endpoint_fini(&endpoint);
    look->table = source->options;
    look->ops = source->inspect;
    if (status == STRID_OK && look->ops == NULL)
        status = refuse_kind(look->url, source->name, err);
    return status;
}

static strid_status look_begin(struct look *look, const strid_reader_options *options,
                               strid_error *err)
{
    *look = (struct look){.ops = NULL};
    log_init(&look->log, options == NULL ? NULL : options->log,
             options == NULL ? NULL : options->log_user);
    if (options == NULL || options->struct_size < sizeof *options ||
        (options->url == NULL) == (options->pipeline == NULL))
        return error_set(
            err, STRID_EINVAL, COMPONENT,
            "reading needs options with STRID_READER_OPTIONS_INIT and a URL or a pipeline");
    strid_status status = options->pipeline != NULL ? borrow(look, options->pipeline, err)
                                                    : find(look, options->url, err);
    look->args = (strid_connector_args){.struct_size = sizeof look->args,
                                        .url = look->url,
                                        .target = look->target,
                                        .options = look->values,
                                        .pipeline = options->name == NULL ? "strid" : options->name,
                                        .node = "",
                                        .log = &look->log};
    return status;
}

static void look_end(struct look *look)
{
    if (!look->borrowed) {
        memory_free(look->url);
        memory_free(look->target);
        options_free(look->table, look->values);
    }
    log_fini(&look->log);
}

strid_status strid_read(const strid_reader_options *options, const strid_read_range *range,
                        strid_read_fn fn, void *user, strid_error *err)
{
    struct look look;
    strid_status status = look_begin(&look, options, err);
    if (status == STRID_OK)
        status = look.ops->read(&look.args, range, fn, user, err);
    look_end(&look);
    return status;
}

strid_status strid_list_topics(const strid_reader_options *options, strid_topic_fn fn, void *user,
                               strid_error *err)
{
    struct look look;
    strid_status status = look_begin(&look, options, err);
    if (status == STRID_OK)
        status = look.ops->topics(&look.args, fn, user, err);
    look_end(&look);
    return status;
}

strid_status strid_list_groups(const strid_reader_options *options, strid_group_fn fn, void *user,
                               strid_error *err)
{
    struct look look;
    strid_status status = look_begin(&look, options, err);
    if (status == STRID_OK)
        status = look.ops->groups(&look.args, fn, user, err);
    look_end(&look);
    return status;
}
