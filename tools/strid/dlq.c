#include "dlq.h"

#include <strid/inspect.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "output.h"
#include "run.h"
#include "talk.h"

enum { VALUE_SHOWN_MAX = 60 };

struct listing {
    const struct command_call *call;
    const char *wanted; /* NULL: all; else an id or a position */
    uint64_t found;
};

static void put_json(const strid_output *letter)
{
    const strid_dead_letter *origin = letter->dead_letter;
    buffer_put_u8(&output_buffer, '{');
    output_bytes("id", letter->id);
    output_text("source", origin->source);
    output_bytes("topic", origin->topic);
    output_number("partition", origin->partition);
    output_position("position", origin->position, output_is_pair(origin->source));
    output_bytes("reason", origin->reason);
    if (origin->type.len > 0)
        output_bytes("type", origin->type);
    if (letter->key.data != NULL)
        output_bytes("key", letter->key);
    output_bytes("value", letter->value);
    output_number("attempts", origin->attempts);
    if (letter->timestamp_ms != STRID_TIMESTAMP_NONE) {
        output_name("timestamp_ms");
        buffer_printf(&output_buffer, "%" PRId64, letter->timestamp_ms);
    }
    output_name("first_failure_ms");
    buffer_printf(&output_buffer, "%" PRId64, origin->first_failure_ms);
    output_name("last_failure_ms");
    buffer_printf(&output_buffer, "%" PRId64, origin->last_failure_ms);
    if (origin->pipeline != NULL)
        output_text("pipeline", origin->pipeline);
    if (origin->node != NULL)
        output_text("node", origin->node);
    buffer_put_u8(&output_buffer, '}');
    output_line();
}

static void put_short(const strid_output *letter)
{
    const strid_dead_letter *origin = letter->dead_letter;
    output_plain(origin->topic);
    buffer_put_u8(&output_buffer, '\t');
    output_plain_position(origin->position, output_is_pair(origin->source));
    buffer_put_u8(&output_buffer, '\t');
    output_plain(origin->reason);
    buffer_put_u8(&output_buffer, '\t');
    size_t shown = letter->value.len;
    if (shown > VALUE_SHOWN_MAX) {
        /* not in the middle of a character */
        shown = VALUE_SHOWN_MAX;
        while (shown > 0 && (letter->value.data[shown] & 0xc0) == 0x80)
            shown--;
    }
    output_plain(strid_bytes_of(letter->value.data, shown));
    if (shown < letter->value.len)
        buffer_printf(&output_buffer, "...");
    output_line();
}

static void put_part(const char *name, strid_bytes value)
{
    buffer_printf(&output_buffer, "%-14s ", name);
    output_plain(value);
    output_line();
}

static void put_moment(const char *name, int64_t moment_ms)
{
    char text[40];
    struct tm parts;
    time_t seconds = (time_t)(moment_ms / 1000);
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
        return;
    put_part(name, strid_bytes_of_text(text));
}

static void put_long(const strid_output *letter)
{
    const strid_dead_letter *origin = letter->dead_letter;
    put_part("id", letter->id);
    put_part("source", strid_bytes_of_text(origin->source));
    put_part("topic", origin->topic);
    buffer_printf(&output_buffer, "%-14s %" PRIu32 "\n%-14s ", "partition", origin->partition,
                  "position");
    output_plain_position(origin->position, output_is_pair(origin->source));
    output_line();
    put_part("reason", origin->reason);
    if (origin->type.len > 0)
        put_part("type", origin->type);
    buffer_printf(&output_buffer, "%-14s %" PRIu32, "attempts", origin->attempts);
    output_line();
    put_moment("first failure", origin->first_failure_ms);
    put_moment("last failure", origin->last_failure_ms);
    if (letter->key.data != NULL)
        put_part("key", letter->key);
    put_part("value", letter->value);
}

static bool is_wanted(const strid_output *letter, const char *wanted)
{
    char position[48];
    strid_position at = letter->dead_letter->position;
    if (at.high != 0 || output_is_pair(letter->dead_letter->source))
        (void)snprintf(position, sizeof position, "%" PRIu64 "-%" PRIu64, at.high, at.low);
    else
        (void)snprintf(position, sizeof position, "%" PRIu64, at.low);
    return strcmp(position, wanted) == 0 ||
           strid_bytes_equal(letter->id, strid_bytes_of_text(wanted)) != 0;
}

static bool take_letter(void *user, const strid_output *letter)
{
    struct listing *listing = user;
    if (letter->dead_letter == NULL ||
        (listing->wanted != NULL && !is_wanted(letter, listing->wanted)))
        return true;
    if (listing->call->json)
        put_json(letter);
    else if (listing->wanted == NULL)
        put_short(letter);
    else
        put_long(letter);
    listing->found++;
    return true;
}

static enum command_exit browse(struct listing *listing)
{
    enum command_exit code = COMMAND_FINE;
    strid_pipeline *pipeline = run_load(listing->call, &code);
    if (pipeline == NULL)
        return code;
    strid_error err = STRID_ERROR_INIT;
    strid_status status = strid_dlq_list(pipeline, take_letter, listing, &err);
    if (status != STRID_OK) {
        talk_error("%s", err.message);
        code = command_exit_of(status);
    }
    strid_pipeline_destroy(pipeline);
    return code;
}

enum command_exit dlq_list(const struct command_call *call)
{
    return browse(&(struct listing){.call = call});
}

enum command_exit dlq_show(const struct command_call *call)
{
    struct listing listing = {.call = call, .wanted = call->arguments[1]};
    enum command_exit code = browse(&listing);
    if (code == COMMAND_FINE && listing.found == 0) {
        talk_error("no dead letter of %s has the id or position '%s': 'strid dlq list %s' lists "
                   "them",
                   call->arguments[0], listing.wanted, call->arguments[0]);
        code = COMMAND_FAILED;
    }
    return code;
}
