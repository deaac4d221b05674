#include "redis_inspect.h"

#include "redis_groups.h"
#include "redis_read.h"

const strid_inspect_ops redis_inspect_ops = {
    .read = redis_read,
    .topics = redis_groups_topics,
    .groups = redis_groups_list,
};
