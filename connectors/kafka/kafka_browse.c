#include "kafka_browse.h"

#include "base/log.h"
#include "base/units.h"

#include "kafka_walk.h"

#include <inttypes.h>

struct browse {
    bool (*fn)(void *user, const strid_output *letter);
    void *user;
    uint64_t passed_over;
};

static strid_status see(void *user, const struct kafka_walk_record *record, bool *more,
                        strid_error *err)
{
    struct browse *browse = user;
    (void)err;
    if (record->letter == NULL)
        browse->passed_over++;
    else if (record->mark.kind != KAFKA_MARK_PURGED)
        *more = browse->fn(browse->user, &record->letter->output);
    return STRID_OK;
}

strid_status kafka_browse(const strid_connector_args *args,
                          bool (*fn)(void *user, const strid_output *letter), void *user,
                          strid_error *err)
{
    struct browse browse = {.fn = fn, .user = user};
    struct kafka_walk walk;
    strid_status status = kafka_walk_open(&walk, args, err);
    if (status == STRID_OK)
        status = kafka_walk_marks(&walk, kafka_walk_all(&walk), err);
    if (status == STRID_OK)
        status = kafka_walk_records(&walk, kafka_walk_all(&walk), see, &browse, err);
    kafka_walk_close(&walk);
    if (browse.passed_over > 0 && args->log != NULL)
        log_warn((const struct log *)args->log, "kafka",
                 "%s: passed over %" PRIu64 " record%s without a dead letter", args->url,
                 browse.passed_over, units_plural(browse.passed_over));
    return status;
}
