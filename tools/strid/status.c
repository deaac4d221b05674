/* What can be told of a node from outside: where its state stands while it does not run, and how
 * far its group is at the broker. */
#include "status.h"

#include <strid/inspect.h>
#include <strid/reader.h>

#include <inttypes.h>
#include <string.h>

#include "base/units.h"

#include "format.h"
#include "output.h"
#include "run.h"
#include "talk.h"

struct status {
    bool json;
    bool any_group;
};

static void put_line(const char *name, const char *value)
{
    buffer_printf(&output_buffer, "%-14s ", name);
    output_plain(strid_bytes_of_text(value));
    output_line();
}

static void put_state_json(const strid_state_stats *stats)
{
    output_name("partitions");
    buffer_put_u8(&output_buffer, '[');
    for (uint32_t i = 0; i < stats->partition_count; i++) {
        buffer_printf(&output_buffer, "%s{", i == 0 ? "" : ",");
        output_text("identity", stats->partitions[i].identity);
        output_position("low", stats->partitions[i].low,
                        output_is_pair(stats->partitions[i].identity));
        buffer_put_u8(&output_buffer, '}');
    }
    buffer_put_u8(&output_buffer, ']');
    output_number("waiting", stats->waiting);
    output_number("parked", stats->parked);
    output_number("dead_letters_to_send", stats->outbox_entries);
}

static void put_state(const strid_state_stats *stats)
{
    for (uint32_t i = 0; i < stats->partition_count; i++) {
        const char *identity = stats->partitions[i].identity;
        buffer_printf(&output_buffer, "%-14s ", "partition");
        output_plain(strid_bytes_of_text(identity));
        buffer_printf(&output_buffer, " goes on at ");
        output_plain_position(stats->partitions[i].low, output_is_pair(identity));
        output_line();
    }
    buffer_printf(&output_buffer, "%-14s %" PRIu64 " record%s, %" PRIu64 " parked behind %s",
                  "waiting", stats->waiting, units_plural(stats->waiting), stats->parked,
                  stats->waiting == 1 ? "it" : "them");
    output_line();
    buffer_printf(&output_buffer, "%-14s %" PRIu64 " to be sent by the next run", "dead letters",
                  stats->outbox_entries);
    output_line();
}

/* Returns what the node does: "stopped", "running", "new" (no state yet), "stateless". */
static const char *look_at(const char *url, strid_state_reader **reader, strid_error *err)
{
    if (url == NULL || strncmp(url, "memory:", 7) == 0)
        return "stateless";
    *reader = strid_state_reader_open(url, err);
    if (*reader != NULL)
        return "stopped";
    if (err->status == STRID_ENOTFOUND)
        return "new";
    return err->status == STRID_EBUSY ? "running" : NULL;
}

static bool take_group(void *user, const strid_group_info *group)
{
    struct status *status = user;
    if (group->is_member)
        return true;
    if (status->json) {
        buffer_printf(&output_buffer, "%s{", status->any_group ? "," : "");
        output_bytes("group", strid_bytes_of_text(group->group));
        output_bytes("topic", strid_bytes_of_text(group->topic));
        output_number("partition", group->partition);
        if (group->lag != STRID_UNKNOWN)
            output_number("lag", group->lag);
        buffer_put_u8(&output_buffer, '}');
    } else {
        buffer_printf(&output_buffer, "%-14s ", "lag");
        output_plain(strid_bytes_of_text(group->group));
        buffer_put_u8(&output_buffer, ' ');
        output_plain(strid_bytes_of_text(group->topic));
        if (group->lag == STRID_UNKNOWN)
            buffer_printf(&output_buffer, " [%" PRIu32 "] unknown", group->partition);
        else
            buffer_printf(&output_buffer, " [%" PRIu32 "] %" PRIu64, group->partition, group->lag);
        output_line();
    }
    status->any_group = true;
    return true;
}

/* A source of files has no groups; a broker that is away does not hide what is known here. */
static strid_status put_groups(strid_pipeline *pipeline, bool json, strid_error *err)
{
    struct status status = {.json = json};
    strid_reader_options options = {STRID_READER_OPTIONS_INIT, .pipeline = pipeline,
                                    .name = "strid-inspect", .log = talk_log};
    if (json) {
        output_name("groups");
        buffer_put_u8(&output_buffer, '[');
    }
    strid_status result = strid_list_groups(&options, take_group, &status, err);
    if (json)
        buffer_put_u8(&output_buffer, ']');
    return result == STRID_EUNSUPPORTED ? STRID_OK : result;
}

static void put_node(bool json, const strid_pipeline_info *info, const char *node,
                     const strid_state_stats *stats)
{
    if (json) {
        buffer_put_u8(&output_buffer, '{');
        output_text("pipeline", info->name);
        output_text("source", info->source);
        output_text("node", node);
    } else {
        put_line("pipeline", info->name);
        put_line("source", info->source);
        put_line("node", node);
    }
    if (stats != NULL && json)
        put_state_json(stats);
    else if (stats != NULL)
        put_state(stats);
}

/* The state is let go of before the broker is asked, which may take long: a node that starts
 * meanwhile would find it in use. */
static strid_status show(const struct command_call *call, strid_pipeline *pipeline,
                         strid_error *err)
{
    strid_pipeline_info info = {.struct_size = sizeof info};
    strid_state_stats stats;
    strid_state_reader *reader = NULL;
    strid_pipeline_get_info(pipeline, &info);
    const char *node = look_at(info.state, &reader, err);
    if (node == NULL)
        return err->status;
    strid_status status = reader == NULL ? STRID_OK : strid_state_reader_stats(reader, &stats, err);
    if (status == STRID_OK)
        put_node(call->json, &info, node, reader == NULL ? NULL : &stats);
    strid_state_reader_close(reader);
    if (status != STRID_OK)
        return status;
    status = put_groups(pipeline, call->json, err);
    if (call->json) {
        buffer_put_u8(&output_buffer, '}');
        output_line();
    }
    return status;
}

enum command_exit status_run(const struct command_call *call)
{
    enum command_exit code = COMMAND_FINE;
    strid_error err = STRID_ERROR_INIT;
    strid_pipeline *pipeline = run_load(call, &code);
    if (pipeline == NULL)
        return code;
    strid_status status = show(call, pipeline, &err);
    if (status != STRID_OK)
        talk_error("%s", err.message);
    strid_pipeline_destroy(pipeline);
    return command_exit_of(status);
}
