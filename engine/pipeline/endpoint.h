/* A connector's URL and options on their way into a definition: opened from the URL, further
 * options put, then taken by the definition. @thread the owner */
#ifndef PIPELINE_ENDPOINT_H
#define PIPELINE_ENDPOINT_H

#include <strid/sink.h>
#include <strid/source.h>

#include "options.h"
#include "url.h"

struct endpoint {
    const strid_source_ops *source; /* one of the two */
    const strid_sink_ops *sink;
    struct url url;
    struct options options;
};

/* Finds the connector and puts the URL's parameters. STRID_ECONFIG: no URL, no such connector, a
 * bad parameter. On failure nothing is left to be freed. */
strid_status endpoint_open_source(struct endpoint *endpoint, const char *url, strid_error *err);
strid_status endpoint_open_sink(struct endpoint *endpoint, const char *url, strid_error *err);
void endpoint_fini(struct endpoint *endpoint);

/* Sets fallbacks and asks the connector whether it could work like that; opens nothing.
 * STRID_ECONFIG */
strid_status endpoint_check(struct endpoint *endpoint, strid_error *err);

/* Sets fallbacks and hands everything over; the endpoint is empty then. */
strid_status endpoint_finish(struct endpoint *endpoint, char **url, char **target, void **options,
                             strid_error *err);

#endif
