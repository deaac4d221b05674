#include "groups.h"

#include <strid/reader.h>

#include <inttypes.h>
#include <stdio.h>

#include "format.h"
#include "output.h"
#include "run.h"
#include "table.h"
#include "talk.h"

static const char *const topic_columns[] = {"TOPIC",  "PARTITIONS",     "RECORDS",
                                            "GROUPS", "WITHOUT-LEADER", NULL};
static const char *const kafka_columns[] = {
    "GROUP", "TOPIC",       "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET",
    "LAG",   "CONSUMER-ID", "HOST",      "CLIENT-ID",      NULL};
static const char *const kafka_lag_columns[] = {
    "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", NULL};
static const char *const redis_columns[] = {"GROUP",    "STREAM", "LENGTH",  "LAST-DELIVERED",
                                            "LAST",     "LAG",    "PENDING", "DEAD-LETTERS",
                                            "CONSUMER", "IDLE",   NULL};
static const char *const redis_lag_columns[] = {
    "GROUP", "STREAM", "LENGTH", "LAST-DELIVERED", "LAST", "LAG", "PENDING", "DEAD-LETTERS", NULL};

struct listing {
    const struct command_call *call;
    bool lag_only;
    struct table table; /* of no columns before the first row */
    uint64_t rows;
};

static void put_number(struct table *table, uint64_t number, const char *unknown)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    table_put(table, number == STRID_UNKNOWN ? unknown : text);
}

static void put_position(struct table *table, bool is_known, strid_position position, bool is_pair)
{
    struct buffer text = {0};
    format_put_position(&text, position, is_pair);
    buffer_put_u8(&text, 0);
    table_put(table, is_known ? (const char *)text.data : "-");
    buffer_fini(&text);
}

static void put_text(struct table *table, const char *text)
{
    table_put(table, text == NULL || *text == '\0' ? "-" : text);
}

static void put_kafka(struct listing *listing, const strid_group_info *group)
{
    struct table *table = &listing->table;
    if (table->columns == 0)
        table_init(table, listing->lag_only ? kafka_lag_columns : kafka_columns);
    table_put(table, group->group);
    table_put(table, group->topic);
    put_number(table, group->partition, "-");
    put_position(table, group->has_current, group->current, false);
    put_position(table, group->has_end, group->end, false);
    put_number(table, group->lag, "-");
    if (listing->lag_only)
        return;
    put_text(table, group->consumer);
    put_text(table, group->host);
    put_text(table, group->client);
}

static void put_redis(struct listing *listing, const strid_group_info *group)
{
    struct table *table = &listing->table;
    char idle[32] = "-";
    if (table->columns == 0)
        table_init(table, listing->lag_only ? redis_lag_columns : redis_columns);
    table_put(table, group->group);
    table_put(table, group->topic);
    put_number(table, group->length, "-");
    put_position(table, group->has_current, group->current, true);
    put_position(table, group->has_end, group->end, true);
    put_number(table, group->lag, group->is_member ? "-" : "unknown");
    put_number(table, group->pending, "-");
    put_number(table, group->dead_letters, group->is_member ? "-" : "unknown");
    if (listing->lag_only)
        return;
    put_text(table, group->consumer);
    if (group->idle_ms != STRID_UNKNOWN)
        (void)snprintf(idle, sizeof idle, "%.1fs", (double)group->idle_ms / 1000.0);
    table_put(table, idle);
}

static void put_known(const char *name, uint64_t number)
{
    if (number != STRID_UNKNOWN)
        output_number(name, number);
}

static void put_json(const strid_group_info *group)
{
    buffer_put_u8(&output_buffer, '{');
    output_bytes("group", strid_bytes_of_text(group->group));
    output_bytes("topic", strid_bytes_of_text(group->topic));
    output_number("partition", group->partition);
    if (group->has_current)
        output_position("current", group->current, group->is_pair);
    if (group->has_end)
        output_position("end", group->end, group->is_pair);
    put_known("lag", group->lag);
    put_known("pending", group->pending);
    put_known("length", group->length);
    put_known("dead_letters", group->dead_letters);
    put_known("idle_ms", group->idle_ms);
    if (group->state != NULL)
        output_text("state", group->state);
    if (group->consumer != NULL)
        output_bytes("consumer", strid_bytes_of_text(group->consumer));
    if (group->host != NULL)
        output_bytes("host", strid_bytes_of_text(group->host));
    if (group->client != NULL)
        output_bytes("client", strid_bytes_of_text(group->client));
    buffer_put_u8(&output_buffer, '}');
    output_line();
}

static bool take_group(void *user, const strid_group_info *group)
{
    struct listing *listing = user;
    if (listing->lag_only && group->is_member)
        return true;
    listing->rows++;
    if (listing->call->json)
        put_json(group);
    else if (group->is_pair)
        put_redis(listing, group);
    else
        put_kafka(listing, group);
    return true;
}

static bool take_topic(void *user, const strid_topic_info *topic)
{
    struct listing *listing = user;
    struct table *table = &listing->table;
    listing->rows++;
    if (listing->call->json) {
        buffer_put_u8(&output_buffer, '{');
        output_bytes("topic", strid_bytes_of_text(topic->topic));
        output_number("partitions", topic->partitions);
        put_known("records", topic->records);
        put_known("groups", topic->groups);
        put_known("without_leader", topic->without_leader);
        buffer_put_u8(&output_buffer, '}');
        output_line();
        return true;
    }
    if (table->columns == 0)
        table_init(table, topic_columns);
    table_put(table, topic->topic);
    put_number(table, topic->partitions, "-");
    put_number(table, topic->records, "unknown");
    put_number(table, topic->groups, "-");
    put_number(table, topic->without_leader, "-");
    return true;
}

static enum command_exit finish(struct listing *listing, const strid_error *err, const char *none)
{
    if (listing->table.columns > 0)
        table_print(&listing->table);
    if (err->status != STRID_OK)
        talk_error("%s", err->message);
    else if (listing->rows == 0 && !listing->call->json)
        talk_say("%s", none);
    return command_exit_of(err->status);
}

static strid_reader_options options_of(const char *url)
{
    return (strid_reader_options){STRID_READER_OPTIONS_INIT, .url = url, .name = "strid-inspect",
                                  .log = talk_log};
}

enum command_exit groups_topics(const struct command_call *call)
{
    struct listing listing = {.call = call};
    strid_reader_options options = options_of(call->arguments[0]);
    strid_error err = STRID_ERROR_INIT;
    if (strid_list_topics(&options, take_topic, &listing, &err) == STRID_OK)
        err.status = STRID_OK;
    return finish(&listing, &err, "there are no topics");
}

static enum command_exit list(struct listing *listing, const strid_reader_options *options)
{
    strid_error err = STRID_ERROR_INIT;
    if (strid_list_groups(options, take_group, listing, &err) == STRID_OK)
        err.status = STRID_OK;
    return finish(listing, &err, "there are no groups");
}

static enum command_exit list_of(struct listing *listing)
{
    const struct command_call *call = listing->call;
    strid_reader_options options = options_of(call->arguments[0]);
    if (run_is_url(call->arguments[0]))
        return list(listing, &options);
    enum command_exit code = COMMAND_FINE;
    options.pipeline = run_load(call, &code);
    options.url = NULL;
    if (options.pipeline == NULL)
        return code;
    code = list(listing, &options);
    strid_pipeline_destroy(options.pipeline);
    return code;
}

enum command_exit groups_list(const struct command_call *call)
{
    return list_of(&(struct listing){.call = call});
}

enum command_exit groups_lag(const struct command_call *call)
{
    return list_of(&(struct listing){.call = call, .lag_only = true});
}
