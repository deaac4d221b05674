/* A source that is looked at from outside: the one that a URL names, or that of a pipeline.
 * @thread the caller's */
#ifndef API_LOOK_H
#define API_LOOK_H

#include <strid/reader.h>

#include "api/pipeline.h"

struct look {
    struct log log;
    const strid_source_ops *ops;
    const strid_option *table;
    char *url, *target;
    void *values;
    bool borrowed; /* from a pipeline */
    strid_connector_args args;
};

/* STRID_ECONFIG: a bad URL; STRID_EINVAL: options that are none. look_end() in any case. */
strid_status look_begin(struct look *look, const strid_reader_options *options, strid_error *err);
void look_end(struct look *look);

#endif
