#include "kafka_inspect.h"

#include "kafka_read.h"

const strid_inspect_ops kafka_inspect_ops = {
    .read = kafka_read,
};
