/* The program that the fault tests kill: runs a pipeline whose every effect can be checked.
 *
 *   ledger generate --dir DIR --seed N --records N --files N --keys N --padding N [--harsh 1]
 *   ledger run --input DIR --state URL --out PATH --dlq PATH --workers N --memory BYTES
 *              --pace-us N --output-every N [--durability durable|strict|replay]
 *              [--extra recent|large|window] [--timeout-ms N]
 *   ledger dump --state URL [--progress 1] [--extra NAME]
 *
 * `run` ends with 0 when the input is read or after SIGTERM, and prints its figures. ledger.py
 * starts and kills it, ledger_check.py says whether what it left is right. */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <strid/strid.h>

#include "faults/ledger_dump.h"
#include "faults/ledger_handler.h"
#include "faults/ledger_input.h"

struct arguments {
    const char *dir, *input, *state, *out, *dlq, *durability, *extra;
    uint64_t seed, records, files, keys, padding;
    uint64_t workers, memory, pace_us, output_every, progress, harsh, timeout_ms;
};

/* Set before the signal handler is, so that it never meets a half-made pipeline. */
static _Atomic(strid_pipeline *) running;

static void stop(int number)
{
    (void)number;
    strid_pipeline *pipeline = atomic_load_explicit(&running, memory_order_acquire);
    if (pipeline != NULL)
        strid_pipeline_stop(pipeline);
}

static void print_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    if (level >= STRID_LOG_WARN)
        fprintf(stderr, "%s: %s\n", logger, message);
}

static int parse(int argc, char **argv, struct arguments *out)
{
    const struct {
        const char *name;
        const char **text;
        uint64_t *number;
    } options[] = {
        {"--dir", &out->dir, NULL},
        {"--input", &out->input, NULL},
        {"--state", &out->state, NULL},
        {"--out", &out->out, NULL},
        {"--dlq", &out->dlq, NULL},
        {"--seed", NULL, &out->seed},
        {"--records", NULL, &out->records},
        {"--files", NULL, &out->files},
        {"--keys", NULL, &out->keys},
        {"--padding", NULL, &out->padding},
        {"--workers", NULL, &out->workers},
        {"--memory", NULL, &out->memory},
        {"--pace-us", NULL, &out->pace_us},
        {"--output-every", NULL, &out->output_every},
        {"--progress", NULL, &out->progress},
        {"--durability", &out->durability, NULL},
        {"--extra", &out->extra, NULL},
        {"--harsh", NULL, &out->harsh},
        {"--timeout-ms", NULL, &out->timeout_ms},
    };
    enum { COUNT = sizeof options / sizeof options[0] };
    for (int i = 2; i < argc; i += 2) {
        size_t at = 0;
        while (at < COUNT && strcmp(options[at].name, argv[i]) != 0)
            at++;
        if (at == COUNT || i + 1 == argc) {
            fprintf(stderr, "ledger: %s: unknown, or without a value\n", argv[i]);
            return -1;
        }
        if (options[at].text != NULL)
            *options[at].text = argv[i + 1];
        else
            *options[at].number = strtoull(argv[i + 1], NULL, 10);
    }
    return 0;
}

static strid_durability durability_of(const char *word)
{
    static const char *const words[] = {"durable", "strict", "replay"};
    for (int i = 0; word != NULL && i < 3; i++)
        if (strcmp(words[i], word) == 0)
            return (strid_durability)(STRID_DURABILITY_DURABLE + i);
    /* What is no word is no durability either, and refused with the other options. */
    return word == NULL ? STRID_DURABILITY_DEFAULT : (strid_durability)99;
}

static strid_pipeline *make_pipeline(const struct arguments *arguments,
                                     struct ledger_handler *handler, strid_error *err)
{
    char source[4096];
    char out[4096];
    char dlq[4096];
    (void)snprintf(source, sizeof source, "file:%s?match=*.jsonl", arguments->input);
    (void)snprintf(out, sizeof out, "file:%s", arguments->out);
    (void)snprintf(dlq, sizeof dlq, "file:%s", arguments->dlq);
    strid_pipeline *pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "ledger", .source = source,
                                  .state = arguments->state, .format = "jsonl", .key = "key",
                                  .dlq = dlq, .workers = (uint32_t)arguments->workers,
                                  .memory_bytes = arguments->memory, .log = print_log,
                                  .durability = durability_of(arguments->durability),
                                  .timeout_ms = (int64_t)arguments->timeout_ms},
        err);
    if (pipeline == NULL)
        return NULL;
    strid_status status = strid_pipeline_add_sink(pipeline, "out", out, err);
    if (status == STRID_OK)
        status = ledger_handler_register(handler, pipeline, err);
    if (status == STRID_OK)
        return pipeline;
    strid_pipeline_destroy(pipeline);
    return NULL;
}

static void print_stats(const strid_pipeline *pipeline)
{
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(pipeline, &stats);
    printf("{\"records\":%" PRIu64 ",\"done\":%" PRIu64 ",\"skipped\":%" PRIu64
           ",\"dead_lettered\":%" PRIu64 ",\"replayed\":%" PRIu64 ",\"outputs\":%" PRIu64
           ",\"misses\":%" PRIu64 ",\"timed_out\":%" PRIu64 "}\n",
           stats.records, stats.done, stats.skipped, stats.dead_lettered, stats.replayed,
           stats.outputs, stats.cache_misses, stats.timed_out);
}

static int run(const struct arguments *arguments)
{
    static struct ledger_later later;
    strid_error error = STRID_ERROR_INIT;
    struct ledger_handler handler = {.pace_us = (uint32_t)arguments->pace_us,
                                     .output_every = (uint32_t)arguments->output_every,
                                     .later = &later,
                                     .extra = ledger_extra_find(arguments->extra)};
    strid_pipeline *pipeline = make_pipeline(arguments, &handler, &error);
    if (pipeline == NULL) {
        fprintf(stderr, "ledger: %s\n", error.message);
        return 1;
    }
    if (ledger_later_start(&later, pipeline) != 0) {
        strid_pipeline_destroy(pipeline);
        return 1;
    }
    atomic_store_explicit(&running, pipeline, memory_order_release);
    struct sigaction action = {.sa_handler = stop};
    (void)sigaction(SIGTERM, &action, NULL);
    strid_status status = strid_pipeline_run(pipeline, &error);
    atomic_store_explicit(&running, NULL, memory_order_release);
    ledger_later_stop(&later);
    if (status == STRID_OK)
        print_stats(pipeline);
    else
        fprintf(stderr, "ledger: %s\n", error.message);
    strid_pipeline_destroy(pipeline);
    return status == STRID_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.files = 1, .keys = 1000, .records = 1000, .workers = 1};
    if (argc >= 2 && parse(argc, argv, &arguments) != 0)
        return 2;
    if (arguments.extra != NULL && ledger_extra_find(arguments.extra) == NULL) {
        fprintf(stderr, "ledger: there is no extra called %s\n", arguments.extra);
        return 2;
    }
    if (argc >= 2 && strcmp(argv[1], "run") == 0 && arguments.input != NULL)
        return run(&arguments);
    if (argc >= 2 && strcmp(argv[1], "dump") == 0 && arguments.state != NULL)
        return ledger_dump(arguments.state, arguments.progress != 0,
                           ledger_extra_find(arguments.extra));
    if (argc >= 2 && strcmp(argv[1], "generate") == 0 && arguments.dir != NULL) {
        const struct ledger_input input = {.directory = arguments.dir,
                                           .seed = arguments.seed,
                                           .records = arguments.records,
                                           .files = (uint32_t)arguments.files,
                                           .keys = (uint32_t)arguments.keys,
                                           .padding = (uint32_t)arguments.padding,
                                           .harsh = arguments.harsh != 0};
        return ledger_input_write(&input) == 0 ? 0 : 1;
    }
    fprintf(stderr, "usage: ledger generate|run|dump --option value ...\n");
    return 2;
}
