#include "kafka_others.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define COMPONENT "kafka"

enum { ANSWER_MS = 10000, SESSION_MS = 45000, MORE_MS = 2000 };
static const int64_t look_ns = 500000000, ms_ns = 1000000;

/* How long a group keeps a member that is silent; librdkafka has checked the number. */
static int64_t session_ms(const struct kafka_source_options *options)
{
    for (const strid_property *at = options->properties; at != NULL; at = at->next)
        if (strcmp(at->name, "session.timeout.ms") == 0)
            return strtoll(at->value, NULL, 10);
    return SESSION_MS;
}

/* Who is there, for people: the first of them. */
static int count_members(const struct rd_kafka_group_list *list, const char *group,
                         const struct rd_kafka_group_member_info **first)
{
    for (int g = 0; g < list->group_cnt; g++)
        if (strcmp(list->groups[g].group, group) == 0 && list->groups[g].member_cnt > 0) {
            *first = &list->groups[g].members[0];
            return list->groups[g].member_cnt;
        }
    return 0;
}

strid_status kafka_others_look(struct kafka_others *others, const struct kafka_place *place,
                               bool *alone, strid_error *err)
{
    const char *group = place->options->group;
    const struct rd_kafka_group_list *list = NULL;
    const struct rd_kafka_group_member_info *first = NULL;
    int64_t now_ns = clock_monotonic_ns(&clock_system);
    strid_status status = STRID_OK;
    *alone = false;
    if (now_ns < others->next_ns)
        return STRID_OK;
    others->next_ns = now_ns + look_ns;
    rd_kafka_resp_err_t code = rd_kafka_list_groups(place->client, group, &list, ANSWER_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || list == NULL) {
        log_warn(place->log, COMPONENT, "the members of group %s are not known: %s; asked again",
                 group, rd_kafka_err2str(code));
        if (list != NULL)
            rd_kafka_group_list_destroy(list);
        return STRID_OK;
    }
    int count = count_members(list, group, &first);
    *alone = count == 0;
    if (count > 0 && others->until_ns == 0) {
        others->until_ns = now_ns + (session_ms(place->options) + MORE_MS) * ms_ns;
        log_warn(place->log, COMPONENT,
                 "group %s has %d member%s (%s%s): waits up to %d s for the end of a node that "
                 "died",
                 group, count, count == 1 ? "" : "s", first->client_id, first->client_host,
                 (int)((others->until_ns - now_ns) / ms_ns / 1000));
    } else if (count > 0 && now_ns >= others->until_ns) {
        status =
            error_set(err, STRID_ESTATE, COMPONENT,
                      "group %s has %d other member%s (%s%s); this pipeline keeps state, "
                      "which does not move with partitions: end the others, use `assign: "
                      "static` where no other node reads these topics, or give it a group "
                      "of its own",
                      group, count, count == 1 ? "" : "s", first->client_id, first->client_host);
    }
    rd_kafka_group_list_destroy(list);
    return status;
}
