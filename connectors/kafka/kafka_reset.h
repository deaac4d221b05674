/* Moving what a group has committed, for tools. @thread the caller's */
#ifndef KAFKA_RESET_H
#define KAFKA_RESET_H

#include "kafka_session.h"
#include "kafka_source_config.h"

struct kafka_reset {
    struct kafka_session *session;
    const char *brokers;
    const struct kafka_source_options *options;
};

/* As `locate` and `move_group` of the source contract say. A group that nobody knows is one where
 * the node's state is held: brokers forget what was committed long ago. */
strid_status kafka_reset_locate(const struct kafka_reset *reset, const strid_place *to,
                                strid_relocation *partitions, uint32_t count, strid_error *err);
strid_status kafka_reset_move(const struct kafka_reset *reset, const strid_relocation *partitions,
                              uint32_t count, strid_error *err);

#endif
