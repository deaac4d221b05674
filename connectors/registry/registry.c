/* The connectors of this build, by hand and in one place: no constructors, nothing generated. The
 * tables are constant, so any thread may read them. */
#include "engine/pipeline/registry.h"

#include "connectors/file/file_sink.h"
#include "connectors/file/file_source.h"
#include "connectors/generator/generator_source.h"
#include "connectors/kafka/kafka_sink.h"
#include "connectors/kafka/kafka_source.h"
#include "connectors/memory/memory_sink.h"
#include "connectors/memory/memory_source.h"
#include "connectors/redis/redis_sink.h"
#include "connectors/redis/redis_source.h"

const strid_source_ops *const registry_sources[] = {
    &file_source_ops,
    &generator_source_ops,
    &kafka_source_ops,
    &memory_source_ops,
    &redis_source_ops,
    &redis_source_tls_ops,
    &redis_source_sentinel_ops,
    &redis_source_sentinel_tls_ops,
    NULL,
};

const strid_sink_ops *const registry_sinks[] = {
    &file_sink_ops,
    &kafka_sink_ops,
    &memory_sink_ops,
    &redis_sink_ops,
    &redis_sink_tls_ops,
    &redis_sink_sentinel_ops,
    &redis_sink_sentinel_tls_ops,
    NULL,
};
