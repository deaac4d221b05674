#include "kafka_inspect.h"

#include "kafka_groups.h"
#include "kafka_read.h"

const strid_inspect_ops kafka_inspect_ops = {
    .read = kafka_read,
    .topics = kafka_groups_topics,
    .groups = kafka_groups_list,
};
