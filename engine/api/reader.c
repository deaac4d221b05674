/* Looking at a source without a pipeline. @thread the caller's */
#include <strid/reader.h>

#include "api/look.h"
#include "base/error.h"

static strid_status begin(struct look *look, const strid_reader_options *options, strid_error *err)
{
    STRID_TRY(look_begin(look, options, err));
    if (look->ops->inspect != NULL)
        return STRID_OK;
    return error_set(err, STRID_EUNSUPPORTED, "reader",
                     "%s: a source of kind \"%s:\" has no server that could be asked, as those of "
                     "Redis and Kafka have; 'strid status FILE' says how far the pipeline of FILE "
                     "has read it",
                     look->url, look->ops->name);
}

strid_status strid_read(const strid_reader_options *options, const strid_read_range *range,
                        strid_read_fn fn, void *user, strid_error *err)
{
    struct look look;
    strid_status status = begin(&look, options, err);
    if (status == STRID_OK)
        status = look.ops->inspect->read(&look.args, range, fn, user, err);
    look_end(&look);
    return status;
}

strid_status strid_list_topics(const strid_reader_options *options, strid_topic_fn fn, void *user,
                               strid_error *err)
{
    struct look look;
    strid_status status = begin(&look, options, err);
    if (status == STRID_OK)
        status = look.ops->inspect->topics(&look.args, fn, user, err);
    look_end(&look);
    return status;
}

strid_status strid_list_groups(const strid_reader_options *options, strid_group_fn fn, void *user,
                               strid_error *err)
{
    struct look look;
    strid_status status = begin(&look, options, err);
    if (status == STRID_OK)
        status = look.ops->inspect->groups(&look.args, fn, user, err);
    look_end(&look);
    return status;
}
