#include "redis_inspect.h"

#include "redis_read.h"

static strid_status read_plain(const strid_connector_args *args, const strid_read_range *range,
                               strid_read_fn fn, void *user, strid_error *err)
{
    return redis_read("redis", args, range, fn, user, err);
}

static strid_status read_tls(const strid_connector_args *args, const strid_read_range *range,
                             strid_read_fn fn, void *user, strid_error *err)
{
    return redis_read("rediss", args, range, fn, user, err);
}

const strid_inspect_ops redis_inspect_ops = {
    .read = read_plain,
};

const strid_inspect_ops redis_inspect_tls_ops = {
    .read = read_tls,
};
