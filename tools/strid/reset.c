#include "reset.h"

#include <strid/reset.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"

#include "format.h"
#include "moment.h"
#include "output.h"
#include "range.h"
#include "run.h"
#include "table.h"
#include "talk.h"

static const char *const offset_columns[] = {
    "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NODE-OFFSET", "NEW-OFFSET", NULL};
static const char *const id_columns[] = {"GROUP",   "STREAM", "CURRENT-ID",
                                         "NODE-ID", "NEW-ID", NULL};

struct listing {
    const struct command_call *call;
    struct table table; /* of no columns before the first row */
};

static void put_position(struct table *table, bool is_known, strid_position position, bool is_pair)
{
    struct buffer text = {0};
    format_put_position(&text, position, is_pair);
    buffer_put_u8(&text, 0);
    table_put(table, is_known ? (const char *)text.data : "-");
    buffer_fini(&text);
}

static void put_row(struct table *table, const strid_reset_row *row)
{
    struct buffer number = {0};
    if (table->columns == 0)
        table_init(table, row->is_pair ? id_columns : offset_columns);
    table_put(table, row->group == NULL ? "-" : row->group);
    table_put(table, row->topic);
    buffer_printf(&number, "%" PRIu32, row->partition);
    buffer_put_u8(&number, 0);
    if (!row->is_pair)
        table_put(table, (const char *)number.data);
    buffer_fini(&number);
    put_position(table, row->has_current, row->current, row->is_pair);
    put_position(table, row->has_node, row->node, row->is_pair);
    put_position(table, true, row->wanted, row->is_pair);
}

/* Not written before it is known whether it is true. */
static void put_json(const strid_reset_row *row)
{
    buffer_put_u8(&output_buffer, '{');
    if (row->group != NULL)
        output_bytes("group", strid_bytes_of_text(row->group));
    output_bytes("topic", strid_bytes_of_text(row->topic));
    output_number("partition", row->partition);
    if (row->has_current)
        output_position("current", row->current, row->is_pair);
    if (row->has_node)
        output_position("node", row->node, row->is_pair);
    output_position("new", row->wanted, row->is_pair);
    buffer_printf(&output_buffer, "}\n");
}

static void take_row(void *user, const strid_reset_row *row)
{
    struct listing *listing = user;
    if (listing->call->json)
        put_json(row);
    else
        put_row(&listing->table, row);
}

static bool parse_to(const char *text, bool is_pair, strid_place *to)
{
    static const struct {
        const char *name;
        strid_place_kind kind;
    } words[] = {{"earliest", STRID_PLACE_EARLIEST},
                 {"beginning", STRID_PLACE_EARLIEST},
                 {"latest", STRID_PLACE_LATEST},
                 {"end", STRID_PLACE_LATEST}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].name, text) == 0) {
            to->kind = words[i].kind;
            return true;
        }
    to->kind = STRID_PLACE_POSITION;
    if (range_parse_position(text, is_pair, &to->position))
        return true;
    talk_error("--to needs earliest, latest or a position (%s), not '%s'",
               is_pair ? "MILLISECONDS-SEQUENCE" : "a number", text);
    return false;
}

static bool parse_by(const char *text, strid_place *to)
{
    char *end = NULL;
    errno = 0;
    to->kind = STRID_PLACE_SHIFT;
    to->shift = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && to->shift != 0)
        return true;
    talk_error("--by needs how many records, such as 100 or -100, not '%s'", text);
    return false;
}

static bool parse_place(const struct command_call *call, bool is_pair, strid_place *to)
{
    struct timespec now;
    if (call->to != NULL)
        return parse_to(call->to, is_pair, to);
    if (call->by != NULL)
        return parse_by(call->by, to);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    to->kind = STRID_PLACE_TIME;
    return moment_parse("to-time", call->to_time,
                        (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, &to->time_ms);
}

static bool parse_partition(const struct command_call *call, strid_reset_options *options)
{
    strid_position number = {0, 0};
    if (call->partition == NULL)
        return true;
    if (!range_parse_position(call->partition, false, &number) || number.low > UINT32_MAX) {
        talk_error("--partition needs the number of a partition, not '%s'", call->partition);
        return false;
    }
    options->one_partition = true;
    options->partition = (uint32_t)number.low;
    return true;
}

/* Whether it was said where to, and that it is meant. */
static bool is_meant(const struct command_call *call)
{
    int given = (call->to != NULL) + (call->to_time != NULL) + (call->by != NULL);
    if (given != 1) {
        talk_error(given == 0 ? "where to? give one of --to, --to-time and --by"
                              : "--to, --to-time and --by contradict each other: give one of them");
        return false;
    }
    if (!call->dry_run && !call->yes) {
        talk_error("this moves where reading goes on: add --yes, or --dry-run to see where to");
        return false;
    }
    return true;
}

static enum command_exit failed(const strid_reset_result *result, const strid_error *err)
{
    talk_error("%s%s", err->message,
               result->group_moved ? "; the group was moved, the node was not: run it again" : "");
    return command_exit_of(err->status);
}

static enum command_exit reset(const struct command_call *call, const strid_reset_options *options)
{
    struct listing listing = {.call = call};
    strid_reset_result result;
    strid_error err = STRID_ERROR_INIT;
    if (strid_reset(options, take_row, &listing, &result, &err) != STRID_OK) {
        buffer_clear(&output_buffer);
        buffer_fini(&listing.table.texts);
        return failed(&result, &err);
    }
    if (call->json)
        output_part();
    else
        table_print(&listing.table);
    const char *both = result.group_moved ? "the group and the node" : "the node";
    talk_say("%s: %s, %" PRIu32 " partition%s", call->dry_run ? "would be moved" : "moved",
             result.node_moved ? both : "the group", result.partitions,
             units_plural(result.partitions));
    return COMMAND_FINE;
}

enum command_exit reset_run(const struct command_call *call)
{
    const char *what = call->arguments[0];
    strid_reset_options options = {STRID_RESET_OPTIONS_INIT, .topic = call->topic,
                                   .dry_run = call->dry_run, .log = talk_log};
    enum command_exit code = COMMAND_USAGE;
    if (!is_meant(call) || !parse_partition(call, &options))
        return COMMAND_USAGE;
    if (run_is_url(what)) {
        options.url = what;
        return parse_place(call, output_is_pair(what), &options.to) ? reset(call, &options) : code;
    }
    strid_pipeline *pipeline = run_load(call, &code);
    if (pipeline == NULL)
        return code;
    strid_pipeline_info info = {.struct_size = sizeof info};
    strid_pipeline_get_info(pipeline, &info);
    options.pipeline = pipeline;
    code = COMMAND_USAGE;
    if (parse_place(call, output_is_pair(info.source), &options.to))
        code = reset(call, &options);
    strid_pipeline_destroy(pipeline);
    return code;
}
