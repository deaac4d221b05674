/* Sinks in the way of the source or of each other: records that are read again as they are written
 * never end, and of two writers of one file the second waits for the first for ever.
 * @thread control */
#ifndef PLACES_H
#define PLACES_H

#include <strid/source.h>

#include "definition.h"

/* What the definition alone shows. STRID_ECONFIG; `*at` is then the name of the sink at fault,
 * which lives as long as the definition. */
strid_status places_check(const struct definition *definition, const char **at, strid_error *err);

/* What is known once the source is open. `dlq` may be NULL. STRID_ECONFIG */
strid_status places_check_open(const struct definition *definition, strid_source *source,
                               const struct sink_definition *dlq, strid_error *err);

#endif
