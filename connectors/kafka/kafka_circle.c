#include "kafka_circle.h"

#include "base/memory.h"

#include "kafka_sink.h"

#include <string.h>

static const char placeholder[] = KAFKA_SINK_TOPIC;

/* A queue with {topic} in its name, for the letters of `topic`. */
static bool is_read(const char *wanted, const char *queue, const char *topic)
{
    char *name = kafka_sink_topic_for(queue, strid_bytes_of_text(topic));
    /* What is named is read, too; but its letters are in a topic of another name, and so on. */
    bool found = strcmp(name, topic) == 0 || kafka_topics_match(wanted, name);
    memory_free(name);
    return found;
}

/* Of whatever topic that an expression matches: one without an end matches what begins like it. */
static bool is_open(const char *wanted, const char *queue)
{
    bool found = strcmp(queue, placeholder) == 0;
    char *list = memory_copy_text(wanted), *rest = list;
    size_t len = strlen(queue), suffix = sizeof KAFKA_DLQ_SUFFIX - 1;
    bool is_left_out = len > suffix && strcmp(queue + len - suffix, KAFKA_DLQ_SUFFIX) == 0;
    bool begins = strncmp(queue, placeholder, sizeof placeholder - 1) == 0;
    for (char *name; !found && begins && !is_left_out && (name = strsep(&rest, ",")) != NULL;)
        found = *name == '^' && strchr(name, '$') == NULL;
    memory_free(list);
    return found;
}

static bool closes(const char *wanted, const char *queue, const struct kafka_topics *topics)
{
    if (strstr(queue, placeholder) == NULL)
        return kafka_topics_handle(wanted, queue);
    bool found = is_open(wanted, queue);
    for (uint32_t t = 0; topics != NULL && !found && t < topics->count; t++)
        found = is_read(wanted, queue, topics->items[t].name);
    return found;
}

bool kafka_circle_closes(const char *source, const char *queue, const struct kafka_topics *topics)
{
    struct kafka_target from, to;
    if (kafka_target_parse(source, &from, NULL) != STRID_OK)
        return false;
    if (kafka_target_parse(queue, &to, NULL) != STRID_OK) {
        kafka_target_fini(&from);
        return false;
    }
    bool found = strcmp(from.brokers, to.brokers) == 0 && closes(from.topic, to.topic, topics);
    kafka_target_fini(&from);
    kafka_target_fini(&to);
    return found;
}
