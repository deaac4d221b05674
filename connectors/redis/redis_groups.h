/* Streams, their groups and consumers, for tools. */
#ifndef REDIS_GROUPS_H
#define REDIS_GROUPS_H

#include <strid/source.h>

strid_status redis_groups_topics(const strid_connector_args *args, strid_topic_fn fn, void *user,
                                 strid_error *err);
strid_status redis_groups_list(const strid_connector_args *args, strid_group_fn fn, void *user,
                               strid_error *err);

#endif
