/* Moving where a group goes on in its streams, for tools. @thread the caller's */
#ifndef REDIS_RESET_H
#define REDIS_RESET_H

#include <strid/source.h>

#include "redis_address.h"

/* As `locate` and `move_group` of the source contract say. A partition is a stream of the address.
 */
strid_status redis_reset_locate(const struct redis_address *address,
                                const struct redis_source_options *options, const strid_place *to,
                                strid_relocation *partitions, uint32_t count, strid_error *err);
strid_status redis_reset_move(const struct redis_address *address,
                              const struct redis_source_options *options,
                              const strid_relocation *partitions, uint32_t count, strid_error *err);

#endif
