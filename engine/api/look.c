#include "api/look.h"

#include "base/error.h"
#include "base/memory.h"
#include "pipeline/endpoint.h"
#include "pipeline/substitute.h"

static void borrow(struct look *look, const strid_pipeline *pipeline)
{
    const struct source_definition *source = &pipeline->definition->source;
    look->borrowed = true;
    look->ops = source->ops;
    look->url = source->url;
    look->target = source->target;
    look->values = source->options;
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
    look->ops = endpoint.source;
    look->table = look->ops->options;
    status = endpoint_finish(&endpoint, &look->url, &look->target, &look->values, err);
    endpoint_fini(&endpoint);
    return status;
}

strid_status look_begin(struct look *look, const strid_reader_options *options, strid_error *err)
{
    *look = (struct look){.ops = NULL};
    log_init(&look->log, options == NULL ? NULL : options->log,
             options == NULL ? NULL : options->log_user);
    if (options == NULL || options->struct_size < sizeof *options ||
        (options->url == NULL) == (options->pipeline == NULL))
        return error_set(
            err, STRID_EINVAL, "reader",
            "reading needs options with STRID_READER_OPTIONS_INIT and a URL or a pipeline");
    strid_status status = STRID_OK;
    if (options->pipeline != NULL)
        borrow(look, options->pipeline);
    else
        status = find(look, options->url, err);
    look->args = (strid_connector_args){.struct_size = sizeof look->args,
                                        .scheme = look->ops == NULL ? NULL : look->ops->name,
                                        .url = look->url,
                                        .target = look->target,
                                        .options = look->values,
                                        .pipeline = options->name == NULL ? "strid" : options->name,
                                        .node = "",
                                        .log = &look->log};
    return status;
}

void look_end(struct look *look)
{
    if (!look->borrowed) {
        memory_free(look->url);
        memory_free(look->target);
        options_free(look->table, look->values);
    }
    log_fini(&look->log);
}
