#include "runtime/instance.h"

#include "base/memory.h"

strid_status sink_instance_open(struct sink_instance *instance, strid_error *err)
{
    if (instance->sink != NULL)
        return STRID_OK;
    const struct sink_definition *definition = instance->definition;
    strid_sink *sink = memory_alloc_zeroed(definition->ops->instance_size);
    instance->args.struct_size = sizeof instance->args;
    instance->args.scheme = definition->ops->name;
    instance->args.url = definition->url;
    instance->args.target = definition->target;
    instance->args.options = definition->options;
    strid_status status = definition->ops->open(sink, &instance->args, err);
    if (status != STRID_OK) {
        memory_free(sink);
        return status;
    }
    instance->sink = sink;
    return STRID_OK;
}

void sink_instance_close(struct sink_instance *instance)
{
    if (instance->sink == NULL)
        return;
    instance->definition->ops->close(instance->sink);
    memory_free(instance->sink);
    instance->sink = NULL;
}
