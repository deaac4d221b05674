/* Main thread reads, sends and draws; a pause of the input is when what came is flushed. */
#include "produce.h"

#include <strid/producer.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"

#include "lines.h"
#include "output.h"
#include "produce_record.h"
#include "talk.h"

enum { REDRAW_MS = 200, REDRAW_RECORDS = 64 };

struct produce {
    const struct command_call *call;
    strid_producer *producer; /* NULL: a dry run */
    struct lines lines;
    struct produce_record record;
    uint64_t line, sent, refused, unreadable;
    bool unsettled;
    bool lost; /* one was not answered for */
    bool live;
    uint64_t bytes_total; /* 0: unknown */
    int64_t begin_ms, drawn_ms;
};

/* Only read and set: between lines the main thread looks. */
static _Atomic bool interrupted;

static void on_signal(int number)
{
    (void)number;
    atomic_store_explicit(&interrupted, true, memory_order_relaxed);
}

/* The first signal ends the input; without SA_RESTART it ends a read that waits, too. */
static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_refused(void *user, uint64_t number, const strid_error *why)
{
    struct produce *produce = user;
    produce->refused++;
    produce->lost = produce->lost || why->status == STRID_EUNREACHABLE;
    talk_error("line %" PRIu64 " was refused: %s", number, why->message);
}

static void draw(struct produce *produce)
{
    char line[200];
    int64_t now = now_ms();
    if (!produce->live || now - produce->drawn_ms < REDRAW_MS)
        return;
    produce->drawn_ms = now;
    double seconds = (double)(now - produce->begin_ms) / 1000.0;
    double share = produce->bytes_total == 0
                       ? 0.0
                       : (double)produce->lines.bytes / (double)produce->bytes_total;
    size_t len = (size_t)snprintf(line, sizeof line, "%" PRIu64 " records  %.0f records/s",
                                  produce->sent, (double)produce->sent / (seconds + 0.001));
    if (share > 0.0 && share <= 1.0)
        (void)snprintf(line + len, sizeof line - len, "  %.0f %%  %.0f s left", share * 100.0,
                       seconds / share - seconds);
    talk_set_line(line);
}

static strid_status flush(struct produce *produce, strid_error *err)
{
    if (produce->producer == NULL || !produce->unsettled)
        return STRID_OK;
    produce->unsettled = false;
    return strid_producer_flush(produce->producer, err);
}

static strid_status send_line(struct produce *produce, strid_bytes line, strid_error *err)
{
    strid_error why = STRID_ERROR_INIT;
    produce->line++;
    if (produce_record_parse(&produce->record, line, &why) != STRID_OK) {
        produce->unreadable++;
        talk_error("line %" PRIu64 " is no record: %s", produce->line, why.message);
        return STRID_OK;
    }
    produce->sent++;
    if (produce->producer == NULL)
        return STRID_OK;
    produce->unsettled = true;
    return strid_producer_send(produce->producer, &produce->record.output, produce->line, err);
}

static strid_status send_all(struct produce *produce, strid_error *err)
{
    strid_status status = STRID_OK;
    bool more = true;
    while (more && status == STRID_OK &&
           !atomic_load_explicit(&interrupted, memory_order_relaxed)) {
        strid_bytes line;
        switch (lines_next(&produce->lines, &line)) {
        case LINES_LINE:
            status = send_line(produce, line, err);
            break;
        case LINES_IDLE:
            status = flush(produce, err);
            break;
        case LINES_END:
            more = false;
            break;
        case LINES_TOO_LONG:
            talk_error("line %" PRIu64 " is longer than %zu MiB; nothing behind it was read",
                       produce->line + 1, LINES_BYTES_MAX >> 20);
            produce->unreadable++;
            more = false;
            break;
        case LINES_FAILED:
            talk_error("standard input cannot be read: %s", strerror(errno));
            produce->unreadable++;
            more = false;
            break;
        }
        if (produce->line % REDRAW_RECORDS == 0)
            draw(produce);
    }
    return status == STRID_OK ? flush(produce, err) : status;
}

static void put_summary(const struct produce *produce, const char *url, strid_status status)
{
    uint64_t sent = produce->sent - produce->refused;
    if (produce->call->json) {
        buffer_put_u8(&output_buffer, '{');
        output_text("url", url);
        output_text("status", strid_status_name(status));
        output_number("sent", produce->producer == NULL ? 0 : sent);
        output_number("refused", produce->refused);
        output_number("unreadable", produce->unreadable);
        buffer_put_u8(&output_buffer, '}');
        output_line();
    } else if (status == STRID_OK) {
        struct buffer text = {0};
        output_grouped(&text, sent);
        buffer_printf(&text, " record%s %s%s", units_plural(sent),
                      produce->producer == NULL ? "would be sent" : "sent to ",
                      produce->producer == NULL ? "" : url);
        talk_say("%.*s, %" PRIu64 " refused, %" PRIu64 " unreadable", (int)text.len,
                 (const char *)text.data, produce->refused, produce->unreadable);
        buffer_fini(&text);
    }
}

static enum command_exit exit_of(const struct produce *produce, strid_status status)
{
    if (status != STRID_OK)
        return command_exit_of(status);
    if (produce->lost)
        return COMMAND_UNREACHABLE;
    return produce->refused + produce->unreadable > 0 ? COMMAND_FAILED : COMMAND_FINE;
}

/* What a pattern in a shell's quotes means: \t and the like. */
static bool parse_delimiter(struct produce *produce, struct buffer *delimiter)
{
    const char *text = produce->call->key_delimiter;
    if (text == NULL)
        return true;
    bool is_tab = strcmp(text, "\\t") == 0;
    buffer_printf(delimiter, "%s", is_tab ? "\t" : text);
    buffer_put_u8(delimiter, 0);
    produce->record.key_delimiter = (const char *)delimiter->data;
    if (produce->call->input == PRODUCE_LINES && text[0] != '\0')
        return true;
    talk_error(text[0] == '\0' ? "--key-delimiter is empty: give one or more characters"
                               : "--key-delimiter is for --input lines: JSON has a \"key\"");
    return false;
}

static strid_status run(struct produce *produce, strid_error *err)
{
    struct stat input;
    strid_producer_options options = {
        STRID_PRODUCER_OPTIONS_INIT, .name = "strid-produce", .url = produce->call->arguments[0],
        .refused = on_refused,       .user = produce,         .log = talk_log};
    if (!produce->call->dry_run) {
        produce->producer = strid_producer_create(&options, err);
        if (produce->producer == NULL)
            return err->status;
    }
    produce->lines.fd = STDIN_FILENO;
    produce->begin_ms = now_ms();
    produce->live = talk_is_live();
    if (fstat(STDIN_FILENO, &input) == 0 && S_ISREG(input.st_mode))
        produce->bytes_total = (uint64_t)input.st_size;
    watch_signals();
    strid_status status = send_all(produce, err);
    if (produce->live)
        talk_set_line(NULL);
    return status;
}

enum command_exit produce_run(const struct command_call *call)
{
    struct produce produce = {.call = call};
    struct buffer delimiter = {0};
    strid_error err = STRID_ERROR_INIT;
    produce_record_init(&produce.record, (enum produce_input)call->input);
    produce.record.empty_is_null = call->empty_is_null;
    enum command_exit code = COMMAND_USAGE;
    if (parse_delimiter(&produce, &delimiter)) {
        strid_status status = run(&produce, &err);
        const char *url = produce.producer == NULL ? "" : strid_producer_url(produce.producer);
        if (status != STRID_OK)
            talk_error("%s", err.message);
        if (produce.producer != NULL || call->dry_run)
            put_summary(&produce, url, status);
        code = exit_of(&produce, status);
    }
    strid_producer_destroy(produce.producer);
    produce_record_fini(&produce.record);
    lines_fini(&produce.lines);
    buffer_fini(&delimiter);
    return code;
}
