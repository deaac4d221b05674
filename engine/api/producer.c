/* A producer: a sink without a pipeline. Connectors that can tell of single records have functions
 * of their own for it; of the others all that was not flushed is refused together.
 * @thread the caller's */
#include <strid/producer.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "pipeline/definition.h"
#include "pipeline/substitute.h"

#define COMPONENT "producer"

struct strid_producer {
    struct log log;
    struct sink_definition definition;
    strid_sink *sink; /* NULL: not open */
    char *name;
    strid_connector_args args;
};

static strid_status open_sink(strid_producer *producer, const strid_producer_options *options,
                              strid_error *err)
{
    const strid_produce_ops *produce = producer->definition.ops->produce;
    producer->args = (strid_connector_args){.struct_size = sizeof producer->args,
                                            .scheme = producer->definition.ops->name,
                                            .url = producer->definition.url,
                                            .target = producer->definition.target,
                                            .options = producer->definition.options,
                                            .pipeline = producer->name,
                                            .node = "",
                                            .log = &producer->log};
    strid_sink *sink = memory_alloc_zeroed(
        produce != NULL ? produce->instance_size : producer->definition.ops->instance_size);
    strid_status status =
        produce != NULL ? produce->open(sink, &producer->args, options->refused, options->user, err)
                        : producer->definition.ops->open(sink, &producer->args, err);
    if (status == STRID_OK)
        producer->sink = sink;
    else
        memory_free(sink);
    return status;
}

strid_producer *strid_producer_create(const strid_producer_options *options, strid_error *err)
{
    if (options == NULL || options->struct_size < sizeof *options || options->url == NULL) {
        (void)error_set(err, STRID_EINVAL, COMPONENT,
                        "a producer needs options with STRID_PRODUCER_OPTIONS_INIT and a URL");
        return NULL;
    }
    strid_producer *producer = memory_alloc_zeroed(sizeof *producer);
    log_init(&producer->log, options->log, options->log_user);
    producer->name = memory_copy_text(options->name == NULL ? "strid" : options->name);
    char *url = NULL;
    strid_status status = substitute(options->url, &url, err);
    if (status == STRID_OK)
        status = definition_make_sink("out", url, &producer->definition, err);
    memory_free(url);
    if (status == STRID_OK && producer->definition.ops->take != NULL)
        status = error_set(err, STRID_ECONFIG, COMPONENT,
                           "%s: nobody could take what a producer sends to %s:, it would be lost; "
                           "name a file, a topic or a stream",
                           producer->definition.url, producer->definition.ops->name);
    if (status == STRID_OK)
        status = open_sink(producer, options, err);
    if (status == STRID_OK)
        return producer;
    strid_producer_destroy(producer);
    return NULL;
}

strid_status strid_producer_send(strid_producer *producer, const strid_output *output,
                                 uint64_t number, strid_error *err)
{
    const strid_produce_ops *produce = producer->definition.ops->produce;
    if (output->dead_letter != NULL)
        return error_set(err, STRID_EINVAL, COMPONENT, "a producer sends no dead letters");
    return produce != NULL ? produce->send(producer->sink, output, number, err)
                           : producer->definition.ops->write(producer->sink, output, 1, err);
}

strid_status strid_producer_flush(strid_producer *producer, strid_error *err)
{
    const strid_produce_ops *produce = producer->definition.ops->produce;
    return produce != NULL ? produce->settle(producer->sink, err)
                           : producer->definition.ops->flush(producer->sink, err);
}

const char *strid_producer_url(const strid_producer *producer) { return producer->definition.url; }

void strid_producer_destroy(strid_producer *producer)
{
    if (producer == NULL)
        return;
    if (producer->sink != NULL && producer->definition.ops->produce != NULL)
        producer->definition.ops->produce->close(producer->sink);
    else if (producer->sink != NULL)
        producer->definition.ops->close(producer->sink);
    memory_free(producer->sink);
    definition_free_sink(&producer->definition);
    memory_free(producer->name);
    log_fini(&producer->log);
    memory_free(producer);
}
