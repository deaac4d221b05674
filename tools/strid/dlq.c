#include "dlq.h"

#include <strid/inspect.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/units.h"

#include "dlq_filter.h"
#include "format.h"
#include "output.h"
#include "run.h"
#include "talk.h"

enum { VALUE_SHOWN_MAX = 60 };

struct listing {
    const struct command_call *call;
    bool whole;
    const char *wanted; /* NULL: all; else an id or a position */
    struct dlq_filter filter;
    uint64_t found;
    bool quiet; /* counted only */
    strid_dlq_replayed replayed;
    strid_dlq_purged purged;
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
    if (letter->value.data != NULL) {
        output_bytes("value", letter->value);
    } else {
        output_name("value");
        buffer_printf(&output_buffer, "null");
    }
    if (letter->header_count > 0) {
        output_name("headers");
        format_put_headers(&output_buffer, letter->headers, letter->header_count);
    }
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
    if (origin->replayed) {
        output_name("replayed");
        buffer_printf(&output_buffer, "true");
    }
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
    if (origin->replayed)
        buffer_printf(&output_buffer, "\treplayed");
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

static void put_headers(const strid_output *letter)
{
    for (uint32_t i = 0; i < letter->header_count; i++) {
        buffer_printf(&output_buffer, "%-14s ", "header");
        output_plain(letter->headers[i].name);
        if (letter->headers[i].value.data != NULL)
            buffer_printf(&output_buffer, ": ");
        output_plain(letter->headers[i].value);
        output_line();
    }
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
    if (origin->pipeline != NULL && origin->pipeline[0] != '\0')
        put_part("pipeline", strid_bytes_of_text(origin->pipeline));
    if (origin->node != NULL && origin->node[0] != '\0')
        put_part("node", strid_bytes_of_text(origin->node));
    if (origin->replayed)
        put_part("replayed", strid_bytes_of_text("yes"));
    if (letter->timestamp_ms != STRID_TIMESTAMP_NONE)
        put_moment("timestamp", letter->timestamp_ms);
    put_headers(letter);
    if (letter->key.data != NULL)
        put_part("key", letter->key);
    put_part("value", letter->value);
}

static bool take_letter(void *user, const strid_output *letter)
{
    struct listing *listing = user;
    if ((listing->wanted != NULL &&
         (letter->dead_letter == NULL || !dlq_filter_is_named(letter, listing->wanted))) ||
        !dlq_filter_take(&listing->filter, letter))
        return listing->filter.left > 0;
    listing->found++;
    if (listing->quiet)
        return true;
    if (listing->call->json)
        put_json(letter);
    else if (listing->whole)
        put_long(letter);
    else
        put_short(letter);
    return true;
}

static bool choose_letter(void *user, const strid_output *letter)
{
    struct listing *listing = user;
    bool goes = dlq_filter_take(&listing->filter, letter);
    listing->found += goes ? 1 : 0;
    return goes;
}

typedef strid_status (*letters_fn)(strid_pipeline *pipeline, strid_dead_letter_fn fn, void *user,
                                   strid_error *err);

static enum command_exit go_through(struct listing *listing, letters_fn walk,
                                    strid_dead_letter_fn fn)
{
    enum command_exit code = COMMAND_FINE;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (!dlq_filter_init(&listing->filter, listing->call,
                         (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000))
        return COMMAND_USAGE;
    strid_pipeline *pipeline = run_load(listing->call, &code);
    if (pipeline == NULL)
        return code;
    strid_error err = STRID_ERROR_INIT;
    strid_status status = walk(pipeline, fn, listing, &err);
    if (status != STRID_OK) {
        talk_error("%s", err.message);
        code = command_exit_of(status);
    }
    strid_pipeline_destroy(pipeline);
    return code;
}

enum command_exit dlq_list(const struct command_call *call)
{
    return go_through(&(struct listing){.call = call}, strid_dlq_list, take_letter);
}

enum command_exit dlq_show(const struct command_call *call)
{
    struct listing listing = {.call = call, .whole = true, .wanted = call->arguments[1]};
    enum command_exit code = go_through(&listing, strid_dlq_list, take_letter);
    if (code != COMMAND_FINE || listing.found > 0)
        return code;
    if (listing.wanted != NULL && !dlq_filter_is_any(call))
        talk_error("no dead letter of %s has the id or position '%s': 'strid dlq list %s' lists "
                   "them",
                   call->arguments[0], listing.wanted, call->arguments[0]);
    else if (!dlq_filter_is_any(call))
        talk_error("%s has no dead letters", call->arguments[0]);
    else
        talk_error("no dead letter of %s is like that: 'strid dlq list %s' lists them",
                   call->arguments[0], call->arguments[0]);
    return COMMAND_FAILED;
}

/* Whether it was said which letters, and that it is meant. */
static bool is_meant(const struct command_call *call, const char *what)
{
    bool filtered = dlq_filter_is_any(call);
    if (filtered == call->all) {
        talk_error(filtered ? "--all and a filter contradict each other: give one of them"
                            : "which dead letters? give a filter such as --reason not_json, or "
                              "--all");
        return false;
    }
    if (!call->dry_run && !call->yes) {
        talk_error("this %s: add --yes, or --dry-run to see which", what);
        return false;
    }
    return true;
}

static strid_status purge(strid_pipeline *pipeline, strid_dead_letter_fn fn, void *user,
                          strid_error *err)
{
    struct listing *listing = user;
    return strid_dlq_purge(pipeline, fn, user, &listing->purged, err);
}

enum command_exit dlq_purge(const struct command_call *call)
{
    struct listing listing = {.call = call};
    if (!is_meant(call, "deletes dead letters for good"))
        return COMMAND_USAGE;
    enum command_exit code = call->dry_run ? go_through(&listing, strid_dlq_list, take_letter)
                                           : go_through(&listing, purge, choose_letter);
    if (code == COMMAND_FINE)
        talk_say("%" PRIu64 " dead letter%s %s", listing.found, units_plural(listing.found),
                 call->dry_run ? "would be deleted" : "deleted");
    if (code == COMMAND_FINE && listing.purged.kept > 0)
        talk_say("%" PRIu64 " message%s of purged letters (%" PRIu64 " bytes) stand%s in the topic "
                 "behind letters that stay: nobody is shown them, and its retention takes them",
                 listing.purged.kept, units_plural(listing.purged.kept), listing.purged.kept_bytes,
                 listing.purged.kept == 1 ? "s" : "");
    return code;
}

/* What a dry run lists, and what is told with --json: those that go. What stays takes nothing of
 * --limit, so that those behind it have their turn. */
static bool replay_letter(void *user, const strid_output *letter)
{
    struct listing *listing = user;
    uint64_t left = listing->filter.left;
    if (letter->dead_letter != NULL && letter->dead_letter->stays) {
        bool chosen = dlq_filter_take(&listing->filter, letter);
        listing->filter.left = left;
        return chosen;
    }
    (void)take_letter(user, letter);
    return listing->filter.left < left;
}

static strid_status replay(strid_pipeline *pipeline, strid_dead_letter_fn fn, void *user,
                           strid_error *err)
{
    struct listing *listing = user;
    uint32_t flags = (listing->call->again ? STRID_REPLAY_AGAIN : 0) |
                     (listing->call->dry_run ? STRID_REPLAY_DRY : 0);
    return strid_dlq_replay(pipeline, flags, fn, user, &listing->replayed, err);
}

enum command_exit dlq_replay(const struct command_call *call)
{
    struct listing listing = {.call = call, .quiet = !call->dry_run && !call->json};
    if (!is_meant(call, "hands dead letters back, which are then handled again"))
        return COMMAND_USAGE;
    enum command_exit code = go_through(&listing, replay, replay_letter);
    const strid_dlq_replayed *replayed = &listing.replayed;
    if (code != COMMAND_FINE && (call->dry_run || replayed->replayed == 0))
        return code;
    talk_say("%" PRIu64 " dead letter%s %s", replayed->replayed, units_plural(replayed->replayed),
             call->dry_run ? "would be handed back" : "handed back, to be handled again");
    if (replayed->unreadable > 0)
        talk_error("%" PRIu64 " dead letter%s still unreadable for this pipeline, or %s: left",
                   replayed->unreadable, replayed->unreadable == 1 ? " is" : "s are",
                   replayed->unreadable == 1 ? "a piece of a line" : "pieces of lines");
    if (replayed->orphaned > 0)
        talk_error("%" PRIu64 " dead letter%s read from what the source does not have any more: "
                   "left",
                   replayed->orphaned, replayed->orphaned == 1 ? " was" : "s were");
    if (replayed->left > 0)
        talk_error("%" PRIu64 " are left: run it again", replayed->left);
    return code == COMMAND_FINE && replayed->unreadable + replayed->orphaned + replayed->left > 0
               ? COMMAND_FAILED
               : code;
}
