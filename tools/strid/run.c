/* Main thread runs the pipeline; a signal asks it to drain, a second one to stop at once: the
 * handler does nothing but call strid_pipeline_stop(), which is safe there. */
#include "run.h"

#include <strid/version.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

#include "output.h"
#include "progress.h"
#include "talk.h"

/* what signals stop; release by the main thread, acquire by the handler */
static _Atomic(strid_pipeline *) running;

static void on_signal(int number)
{
    (void)number;
    strid_pipeline *pipeline = atomic_load_explicit(&running, memory_order_acquire);
    if (pipeline != NULL)
        strid_pipeline_stop(pipeline);
}

static void watch_signals(strid_pipeline *pipeline)
{
    atomic_store_explicit(&running, pipeline, memory_order_release);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    /* a reader of our output that went away must not end the pipeline */
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

bool run_is_url(const char *what) { return what[strcspn(what, ":/")] == ':'; }

strid_pipeline *run_load(const struct command_call *call, enum command_exit *code)
{
    strid_pipeline_options overrides = {STRID_PIPELINE_OPTIONS_INIT,
                                        .workers = (uint32_t)call->workers, .log = talk_log};
    strid_error err = STRID_ERROR_INIT;
    strid_pipeline *pipeline = strid_pipeline_load(call->arguments[0], &overrides, &err);
    if (pipeline == NULL) {
        talk_error("%s", err.message);
        *code = err.status == STRID_ENOMEM ? COMMAND_FAILED : COMMAND_USAGE;
    }
    return pipeline;
}

/* Files may also be for programs that register their own handlers, push records and take outputs:
 * this one does none of that, and would wait for ever or lose what it wrote. */
static bool is_for_command(const struct command_call *call, const strid_pipeline_info *info)
{
    const char *file = call->arguments[0];
    if (info->handlers == 0)
        talk_error("%s has no handler, so nothing would become of its records: add some, such as "
                   "handlers: [ { count: { store: n } } ]",
                   file);
    else if (info->is_pushed)
        talk_error("%s: only the program that runs the pipeline can give records to its source "
                   "%s, and 'strid' has none; name another source, such as file:PATH",
                   file, info->source);
    else if (info->taken != NULL)
        talk_error("%s: only the program that runs the pipeline can take the outputs of its sink "
                   "\"%s\", and 'strid' would lose them; name another one, such as file:PATH",
                   file, info->taken);
    else
        return true;
    return false;
}

static strid_pipeline *load_for_command(const struct command_call *call, enum command_exit *code)
{
    strid_pipeline *pipeline = run_load(call, code);
    if (pipeline == NULL)
        return NULL;
    strid_pipeline_info info = {.struct_size = sizeof info};
    strid_pipeline_get_info(pipeline, &info);
    if (is_for_command(call, &info))
        return pipeline;
    *code = COMMAND_USAGE;
    strid_pipeline_destroy(pipeline);
    return NULL;
}

static double rate_of(const strid_pipeline_stats *stats)
{
    return stats->elapsed_ms == 0 ? 0.0
                                  : (double)stats->records * 1000.0 / (double)stats->elapsed_ms;
}

static void put_summary_json(const struct command_call *call, const strid_pipeline_stats *stats,
                             strid_status status)
{
    buffer_put_u8(&output_buffer, '{');
    output_text("file", call->arguments[0]);
    output_text("status", strid_status_name(status));
    output_number("records", stats->records);
    output_number("done", stats->done);
    output_number("skipped", stats->skipped);
    output_number("unrouted", stats->unrouted);
    output_number("retried", stats->retried);
    output_number("timed_out", stats->timed_out);
    output_number("dead_lettered", stats->dead_lettered);
    output_number("handed_over", stats->handed_over);
    output_number("waiting", stats->waiting);
    output_number("parked", stats->parked);
    output_number("replayed", stats->replayed);
    output_number("outputs", stats->outputs);
    output_number("elapsed_ms", stats->elapsed_ms);
    output_number("records_per_s", (uint64_t)(rate_of(stats) + 0.5));
    buffer_put_u8(&output_buffer, '}');
    output_line();
}

static void say_summary(const struct command_call *call, const strid_pipeline_stats *stats)
{
    const struct {
        const char *name;
        uint64_t count;
    } parts[] = {{"done", stats->done},
                 {"skipped", stats->skipped},
                 {"unrouted", stats->unrouted},
                 {"retried", stats->retried},
                 {"dead-lettered", stats->dead_lettered}};
    struct buffer text = {0};
    output_grouped(&text, stats->records);
    buffer_printf(&text, " record%s in %.1f s (", units_plural(stats->records),
                  (double)stats->elapsed_ms / 1000.0);
    output_grouped(&text, (uint64_t)(rate_of(stats) + 0.5));
    buffer_printf(&text, " records/s): ");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        buffer_printf(&text, "%s", i == 0 ? "" : ", ");
        output_grouped(&text, parts[i].count);
        buffer_printf(&text, " %s", parts[i].name);
    }
    talk_say("%s: %.*s", call->arguments[0], (int)text.len, (const char *)text.data);
    if (stats->waiting > 0) {
        buffer_clear(&text);
        output_grouped(&text, stats->waiting);
        buffer_printf(&text, stats->waiting == 1 ? " record still waits for another attempt, "
                                                 : " records still wait for another attempt, ");
        output_grouped(&text, stats->parked);
        talk_say("%.*s %s parked behind %s: the next run goes on with them", (int)text.len,
                 (const char *)text.data, stats->parked == 1 ? "is" : "are",
                 stats->waiting == 1 ? "it" : "them");
    }
    buffer_fini(&text);
    if (stats->dead_lettered > 0)
        talk_say("see the dead letters: strid dlq list %s", call->arguments[0]);
}

enum command_exit run_pipeline(const struct command_call *call)
{
    enum command_exit code = COMMAND_FINE;
    strid_pipeline *pipeline = load_for_command(call, &code);
    if (pipeline == NULL)
        return code;
    watch_signals(pipeline);
    struct progress progress;
    progress_start(&progress, pipeline, call->arguments[0]);
    strid_error err = STRID_ERROR_INIT;
    strid_status status = strid_pipeline_run(pipeline, &err);
    progress_stop(&progress);

    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(pipeline, &stats);
    if (status != STRID_OK)
        talk_error("%s", err.message);
    if (call->json)
        put_summary_json(call, &stats, status);
    else if (status == STRID_OK || stats.records > 0) /* else nothing began */
        say_summary(call, &stats);
    atomic_store_explicit(&running, NULL, memory_order_release);
    strid_pipeline_destroy(pipeline);
    return command_exit_of(status);
}

enum command_exit run_check(const struct command_call *call)
{
    enum command_exit code = COMMAND_FINE;
    strid_pipeline *pipeline = load_for_command(call, &code);
    if (call->json) {
        buffer_put_u8(&output_buffer, '{');
        output_text("file", call->arguments[0]);
        output_name("valid");
        buffer_printf(&output_buffer, "%s}", pipeline == NULL ? "false" : "true");
        output_line();
    } else if (pipeline != NULL) {
        buffer_printf(&output_buffer, "%s is fine", call->arguments[0]);
        output_line();
    }
    strid_pipeline_destroy(pipeline);
    return code;
}

enum command_exit run_version(const struct command_call *call)
{
    if (call->json) {
        buffer_put_u8(&output_buffer, '{');
        output_text("version", strid_version());
        buffer_put_u8(&output_buffer, '}');
    } else {
        buffer_printf(&output_buffer, "strid %s", strid_version());
    }
    output_line();
    return COMMAND_FINE;
}
