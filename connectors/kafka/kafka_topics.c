#include "kafka_topics.h"

#include "base/error.h"
#include "base/memory.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define COMPONENT "kafka"

struct resolving {
    rd_kafka_t *client;
    const char *brokers, *wanted;
    enum kafka_topics_use for_what;
};

static bool has_topic(const struct kafka_topics *topics, const char *name)
{
    for (uint32_t i = 0; i < topics->count; i++)
        if (strcmp(topics->items[i].name, name) == 0)
            return true;
    return false;
}

static void add_topic(struct kafka_topics *out, const rd_kafka_metadata_topic_t *found)
{
    if (has_topic(out, found->topic))
        return;
    out->items = memory_resize(out->items, (out->count + 1) * sizeof *out->items);
    struct kafka_topic *topic = &out->items[out->count++];
    *topic = (struct kafka_topic){.name = memory_copy_text(found->topic),
                                  .partitions = (uint32_t)found->partition_cnt};
    topic->leaders = memory_alloc((topic->partitions + 1) * sizeof *topic->leaders);
    for (uint32_t p = 0; p < topic->partitions; p++)
        topic->leaders[p] = -1;
    for (int p = 0; p < found->partition_cnt; p++)
        if (found->partitions[p].id >= 0 && found->partitions[p].id < found->partition_cnt)
            topic->leaders[found->partitions[p].id] = found->partitions[p].leader;
}

static strid_status refuse_topic(const char *brokers, const char *name, rd_kafka_resp_err_t code,
                                 strid_error *err)
{
    strid_status status = error_set(err, STRID_ENOTFOUND, COMPONENT,
                                    "topic %s on %s cannot be read: %s; create it, or check its "
                                    "name and the rights of this user",
                                    name, brokers, rd_kafka_err2str(code));
    if (err != NULL)
        err->native_code = code;
    return status;
}

static strid_status add_named(const struct resolving *resolving, const char *name,
                              struct kafka_topics *out, strid_error *err)
{
    rd_kafka_t *client = resolving->client;
    const char *brokers = resolving->brokers;
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, name, NULL);
    if (handle == NULL)
        return refuse_topic(brokers, name, rd_kafka_last_error(), err);
    strid_status status = kafka_client_metadata(client, brokers, handle, &metadata, err);
    rd_kafka_topic_destroy(handle);
    if (status != STRID_OK)
        return status;
    rd_kafka_resp_err_t code =
        metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topics[0].partition_cnt == 0)
        code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        add_topic(out, &metadata->topics[0]);
    else
        status = refuse_topic(brokers, name, code, err);
    rd_kafka_metadata_destroy(metadata);
    return status;
}

/* The dead letters of a topic that is wanted, too. Read by its pattern, each would come again as a
 * letter of a letter, without end. */
static bool is_queue_beside(const char *wanted, const char *name)
{
    size_t len = strlen(name), suffix = sizeof KAFKA_DLQ_SUFFIX - 1;
    if (len <= suffix || strcmp(name + len - suffix, KAFKA_DLQ_SUFFIX) != 0)
        return false;
    char *of = memory_copy_text(name);
    of[len - suffix] = '\0';
    bool found = kafka_topics_want(wanted, of);
    memory_free(of);
    return found;
}

static strid_status compile(const char *pattern, regex_t *out, strid_error *err)
{
    char why[128];
    int code = regcomp(out, pattern, REG_EXTENDED | REG_NOSUB);
    if (code == 0)
        return STRID_OK;
    (void)regerror(code, out, why, sizeof why);
    return error_set(err, STRID_ECONFIG, COMPONENT,
                     "\"%s\" is no regular expression (POSIX extended): %s", pattern, why);
}

/* None that matches is no error: topics may come. */
static strid_status add_matching(const struct resolving *resolving, const char *pattern,
                                 struct kafka_topics *out, strid_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    regex_t regex;
    STRID_TRY(compile(pattern, &regex, err));
    strid_status status =
        kafka_client_metadata(resolving->client, resolving->brokers, NULL, &metadata, err);
    for (int t = 0; status == STRID_OK && t < metadata->topic_cnt; t++) {
        const rd_kafka_metadata_topic_t *found = &metadata->topics[t];
        if (found->err == RD_KAFKA_RESP_ERR_NO_ERROR && strncmp(found->topic, "__", 2) != 0 &&
            regexec(&regex, found->topic, 0, NULL, 0) == 0 &&
            (resolving->for_what != KAFKA_TOPICS_TO_HANDLE ||
             !is_queue_beside(resolving->wanted, found->topic)))
            add_topic(out, found);
    }
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    regfree(&regex);
    return status;
}

static bool matches(const char *pattern, const char *name)
{
    regex_t regex;
    if (*pattern != '^')
        return strcmp(pattern, name) == 0;
    if (strncmp(name, "__", 2) == 0 || regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool found = regexec(&regex, name, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

strid_status kafka_topics_check(const char *wanted, strid_error *err)
{
    char *list = memory_copy_text(wanted), *rest = list;
    strid_status status = STRID_OK;
    for (char *name; status == STRID_OK && (name = strsep(&rest, ",")) != NULL;) {
        regex_t regex;
        if (*name != '^')
            continue;
        status = compile(name, &regex, err);
        if (status == STRID_OK)
            regfree(&regex);
    }
    memory_free(list);
    return status;
}

bool kafka_topics_want(const char *wanted, const char *name)
{
    char *list = memory_copy_text(wanted), *rest = list;
    bool found = false;
    for (char *pattern; !found && (pattern = strsep(&rest, ",")) != NULL;)
        found = matches(pattern, name);
    memory_free(list);
    return found;
}

static bool is_matched(const char *wanted, const char *name, bool named_too)
{
    char *list = memory_copy_text(wanted), *rest = list;
    bool found = false;
    for (char *pattern; !found && (pattern = strsep(&rest, ",")) != NULL;)
        found = (*pattern == '^' ? !is_queue_beside(wanted, name) : named_too) &&
                matches(pattern, name);
    memory_free(list);
    return found;
}

bool kafka_topics_match(const char *wanted, const char *name)
{
    return is_matched(wanted, name, false);
}

bool kafka_topics_handle(const char *wanted, const char *name)
{
    return is_matched(wanted, name, true);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct kafka_topic *)a)->name, ((const struct kafka_topic *)b)->name);
}

strid_status kafka_topics_open(rd_kafka_t *client, const char *brokers, struct kafka_topics *topics,
                               strid_error *err)
{
    for (uint32_t i = 0; i < topics->count; i++) {
        struct kafka_topic *topic = &topics->items[i];
        topic->handle = rd_kafka_topic_new(client, topic->name, NULL);
        if (topic->handle == NULL)
            return refuse_topic(brokers, topic->name, rd_kafka_last_error(), err);
    }
    return STRID_OK;
}

strid_status kafka_topics_resolve(rd_kafka_t *client, const char *brokers, const char *wanted,
                                  enum kafka_topics_use for_what, struct kafka_topics *out,
                                  strid_error *err)
{
    const struct resolving resolving = {client, brokers, wanted, for_what};
    char *list = memory_copy_text(wanted), *rest = list;
    strid_status status = STRID_OK;
    *out = (struct kafka_topics){0};
    for (char *name; status == STRID_OK && (name = strsep(&rest, ",")) != NULL;) {
        if (*name == '^')
            status = add_matching(&resolving, name, out, err);
        else
            status = add_named(&resolving, name, out, err);
    }
    memory_free(list);
    if (out->count > 0)
        qsort(out->items, out->count, sizeof *out->items, by_name);
    for (uint32_t i = 0; i < out->count; i++) {
        out->items[i].first = out->partitions;
        out->partitions += out->items[i].partitions;
    }
    if (status != STRID_OK)
        kafka_topics_fini(out);
    return status;
}

void kafka_topics_fini(struct kafka_topics *topics)
{
    for (uint32_t i = 0; i < topics->count; i++) {
        if (topics->items[i].handle != NULL)
            rd_kafka_topic_destroy(topics->items[i].handle);
        memory_free(topics->items[i].name);
        memory_free(topics->items[i].leaders);
    }
    memory_free(topics->items);
    *topics = (struct kafka_topics){0};
}

strid_status kafka_topics_miss(rd_kafka_t *client, const char *brokers, struct kafka_topics *topics,
                               const struct kafka_topics *now, strid_error *err)
{
    for (uint32_t i = 0; i < topics->count; i++) {
        struct kafka_topic *topic = &topics->items[i];
        const rd_kafka_metadata_t *metadata = NULL;
        if (has_topic(now, topic->name)) {
            topic->missed = 0;
            continue;
        }
        STRID_TRY(kafka_client_metadata(client, brokers, topic->handle, &metadata, err));
        bool is_gone = metadata->topic_cnt == 1 &&
                       metadata->topics[0].err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        topic->missed = is_gone ? topic->missed + 1 : 0;
        rd_kafka_metadata_destroy(metadata);
    }
    return STRID_OK;
}

bool kafka_topics_grown(const struct kafka_topics *topics, const struct kafka_topics *now)
{
    for (uint32_t n = 0; n < now->count; n++) {
        bool known = false;
        for (uint32_t i = 0; i < topics->count && !known; i++)
            known = strcmp(topics->items[i].name, now->items[n].name) == 0 &&
                    topics->items[i].partitions >= now->items[n].partitions;
        if (!known)
            return true;
    }
    return false;
}
