/* Main thread reads and writes. A signal ends the reading; what was read is written out. */
#include "consume.h"

#include <strid/reader.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "format.h"
#include "output.h"
#include "range.h"
#include "talk.h"

struct consume {
    const struct command_call *call;
    struct format format;
    uint64_t count;
};

/* Only read and set: between records the main thread looks. */
static _Atomic bool interrupted;

static void on_signal(int number)
{
    (void)number;
    atomic_store_explicit(&interrupted, true, memory_order_relaxed);
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static bool take(void *user, const strid_read_record *read)
{
    struct consume *consume = user;
    if (atomic_load_explicit(&interrupted, memory_order_relaxed))
        return false;
    if (read == NULL) /* a pause: whoever waits for it gets what there is */
        return output_now();
    struct format_record what = {.record = read->record,
                                 .timestamp_type = read->timestamp_type,
                                 .error = strid_bytes_of_text(read->fault),
                                 .broker = read->broker,
                                 .position_pair = read->is_pair};
    if (consume->call->json) {
        format_put_json(&output_buffer, &what);
        output_line();
    } else {
        format_put(&consume->format, &output_buffer, &what);
        output_part();
    }
    consume->count++;
    return consume->call->count == 0 || consume->count < (uint64_t)consume->call->count;
}

static bool parse_range(const struct command_call *call, bool from_end, strid_read_range *out)
{
    static const strid_read_start starts[] = {
        [RANGE_START_BEGINNING] = STRID_READ_BEGINNING,
        [RANGE_START_END] = STRID_READ_END,
        [RANGE_START_STORED] = STRID_READ_STORED,
        [RANGE_START_POSITION] = STRID_READ_POSITION,
        [RANGE_START_LAST] = STRID_READ_LAST,
        [RANGE_START_TIME] = STRID_READ_TIME,
    };
    struct range range;
    strid_error err = STRID_ERROR_INIT;
    range_init(&range);
    range.start = from_end ? RANGE_START_END : RANGE_START_BEGINNING;
    bool is_pair = output_is_pair(call->arguments[0]);
    for (int i = 0; i < 2; i++)
        if (call->offset[i] != NULL &&
            range_parse(&range, call->offset[i], is_pair, &err) != STRID_OK) {
            talk_error("--offset: %s", err.message);
            return false;
        }
    *out = (strid_read_range){.start = starts[range.start],
                              .position = range.position,
                              .count = range.count,
                              .start_ms = range.start_ms,
                              .end_ms = range.end_ms,
                              .follow = !call->exit_at_end};
    return true;
}

static enum command_exit run(const struct command_call *call, bool from_end)
{
    struct consume consume = {.call = call};
    strid_reader_options options = {STRID_READER_OPTIONS_INIT, .url = call->arguments[0],
                                    .name = "strid-consume", .log = talk_log};
    strid_read_range range;
    strid_error err = STRID_ERROR_INIT;
    if (call->json && call->format != NULL) {
        talk_error("--json and --format contradict each other: give one of them");
        return COMMAND_USAGE;
    }
    if (!parse_range(call, from_end, &range))
        return COMMAND_USAGE;
    if (format_parse(&consume.format, call->format == NULL ? "%s\\n" : call->format, &err) !=
        STRID_OK) {
        talk_error("--format: %s", err.message);
        return COMMAND_USAGE;
    }
    watch_signals();
    strid_status status = strid_read(&options, &range, take, &consume, &err);
    if (status != STRID_OK)
        talk_error("%s", err.message);
    format_fini(&consume.format);
    return command_exit_of(status);
}

enum command_exit consume_run(const struct command_call *call) { return run(call, false); }

enum command_exit consume_tap(const struct command_call *call) { return run(call, true); }
