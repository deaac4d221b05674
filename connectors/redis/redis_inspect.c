#include "redis_inspect.h"

#include "redis_groups.h"
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

static strid_status topics_plain(const strid_connector_args *args, strid_topic_fn fn, void *user,
                                 strid_error *err)
{
    return redis_groups_topics("redis", args, fn, user, err);
}

static strid_status groups_plain(const strid_connector_args *args, strid_group_fn fn, void *user,
                                 strid_error *err)
{
    return redis_groups_list("redis", args, fn, user, err);
}

const strid_inspect_ops redis_inspect_ops = {
    .read = read_plain,
    .topics = topics_plain,
    .groups = groups_plain,
};

static strid_status topics_tls(const strid_connector_args *args, strid_topic_fn fn, void *user,
                               strid_error *err)
{
    return redis_groups_topics("rediss", args, fn, user, err);
}

static strid_status groups_tls(const strid_connector_args *args, strid_group_fn fn, void *user,
                               strid_error *err)
{
    return redis_groups_list("rediss", args, fn, user, err);
}

const strid_inspect_ops redis_inspect_tls_ops = {
    .read = read_tls,
    .topics = topics_tls,
    .groups = groups_tls,
};
