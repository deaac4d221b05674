#include "dlq_filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "moment.h"
#include "output.h"
#include "talk.h"

bool dlq_filter_init(struct dlq_filter *filter, const struct command_call *call, int64_t now_ms)
{
    *filter = (struct dlq_filter){.call = call,
                                  .since_ms = INT64_MIN,
                                  .until_ms = INT64_MAX,
                                  .left = call->limit == 0 ? UINT64_MAX : (uint64_t)call->limit};
    if (call->since != NULL && !moment_parse("since", call->since, now_ms, &filter->since_ms))
        return false;
    if (call->until != NULL && !moment_parse("until", call->until, now_ms, &filter->until_ms))
        return false;
    if (filter->since_ms < filter->until_ms)
        return true;
    char since[MOMENT_TEXT_MAX], until[MOMENT_TEXT_MAX];
    talk_error("nothing lies between --since %s (%s) and --until %s (%s): the first has to be the "
               "earlier one",
               call->since == NULL ? "" : call->since, moment_text(filter->since_ms, since),
               call->until == NULL ? "" : call->until, moment_text(filter->until_ms, until));
    return false;
}

bool dlq_filter_is_any(const struct command_call *call)
{
    return call->since != NULL || call->until != NULL || call->reason != NULL ||
           call->type != NULL || call->key != NULL || call->position != NULL || call->replayed;
}

bool dlq_filter_is_named(const strid_output *letter, const char *name)
{
    char position[48];
    strid_position at = letter->dead_letter->position;
    if (at.high != 0 || output_is_pair(letter->dead_letter->source))
        (void)snprintf(position, sizeof position, "%" PRIu64 "-%" PRIu64, at.high, at.low);
    else
        (void)snprintf(position, sizeof position, "%" PRIu64, at.low);
    return strcmp(position, name) == 0 ||
           strid_bytes_equal(letter->id, strid_bytes_of_text(name)) != 0;
}

static bool is_same(strid_bytes has, const char *wanted)
{
    return wanted == NULL || strid_bytes_equal(has, strid_bytes_of_text(wanted)) != 0;
}

/* `rejected` means every "rejected: why", too. */
static bool is_reason(strid_bytes reason, const char *wanted)
{
    size_t len = wanted == NULL ? 0 : strlen(wanted);
    if (wanted == NULL || is_same(reason, wanted))
        return true;
    return reason.len > len && memcmp(reason.data, wanted, len) == 0 && reason.data[len] == ':';
}

bool dlq_filter_take(struct dlq_filter *filter, const strid_output *letter)
{
    const struct command_call *call = filter->call;
    const strid_dead_letter *origin = letter->dead_letter;
    if (origin == NULL || filter->left == 0 || origin->last_failure_ms < filter->since_ms ||
        origin->last_failure_ms >= filter->until_ms || !is_reason(origin->reason, call->reason) ||
        !is_same(origin->type, call->type) || (call->replayed && !origin->replayed) ||
        (call->key != NULL && (letter->key.data == NULL || !is_same(letter->key, call->key))) ||
        (call->position != NULL && !dlq_filter_is_named(letter, call->position)))
        return false;
    filter->left--;
    return true;
}
