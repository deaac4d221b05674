/* Which connectors there are, by URL scheme. Filled once by connectors/registry, before any
 * pipeline is made; then constant. */
#ifndef PIPELINE_REGISTRY_H
#define PIPELINE_REGISTRY_H

#include <strid/sink.h>
#include <strid/source.h>

/* Defined by connectors/registry/registry.c: NULL-terminated tables. The engine names no connector.
 */
extern const strid_source_ops *const registry_sources[];
extern const strid_sink_ops *const registry_sinks[];

const strid_source_ops *registry_find_source(const char *scheme, size_t len);
const strid_sink_ops *registry_find_sink(const char *scheme, size_t len);

#endif
