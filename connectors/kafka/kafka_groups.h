/* Topics, groups and how far they are, for tools. */
#ifndef KAFKA_GROUPS_H
#define KAFKA_GROUPS_H

#include <strid/source.h>

strid_status kafka_groups_topics(const strid_connector_args *args, strid_topic_fn fn, void *user,
                                 strid_error *err);
strid_status kafka_groups_list(const strid_connector_args *args, strid_group_fn fn, void *user,
                               strid_error *err);

#endif
