#include "progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/units.h"

#include "output.h"
#include "talk.h"

enum { REDRAW_MS = 200, COLUMNS_DEFAULT = 80, BAR_MIN = 10, BAR_MAX = 40, BAR_FRAME = 9 };

static const double SMOOTHING = 0.3; /* weight of the newest sample */

static void sample(struct progress_rates *rates, const strid_pipeline_stats *stats)
{
    if (stats->elapsed_ms <= rates->elapsed_ms)
        return;
    double seconds = (double)(stats->elapsed_ms - rates->elapsed_ms) / 1000.0;
    double records = (double)(stats->records - rates->records) / seconds;
    double bytes = stats->bytes_read < rates->bytes
                       ? 0.0
                       : (double)(stats->bytes_read - rates->bytes) / seconds;
    double weight = rates->elapsed_ms == 0 ? 1.0 : SMOOTHING;
    rates->records_per_s += weight * (records - rates->records_per_s);
    rates->bytes_per_s += weight * (bytes - rates->bytes_per_s);
    rates->elapsed_ms = stats->elapsed_ms;
    rates->records = stats->records;
    rates->bytes = stats->bytes_read;
}

static void put_rate(struct buffer *text, double per_s)
{
    if (per_s >= 1e6)
        buffer_printf(text, "%.1fM/s", per_s / 1e6);
    else if (per_s >= 1e4)
        buffer_printf(text, "%.0fk/s", per_s / 1e3);
    else
        buffer_printf(text, "%.0f/s", per_s);
}

static void put_eta(struct buffer *text, const strid_pipeline_stats *stats, double bytes_per_s)
{
    if (bytes_per_s < 1.0) {
        buffer_printf(text, "  ETA --:--");
        return;
    }
    double left = (double)(stats->bytes_total - stats->bytes_read) / bytes_per_s;
    uint64_t seconds = left > 359999.0 ? 359999 : (uint64_t)(left + 0.5);
    if (seconds >= 3600)
        buffer_printf(text, "  ETA %" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600,
                      seconds / 60 % 60, seconds % 60);
    else
        buffer_printf(text, "  ETA %02" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);
}

static void put_bar(struct buffer *text, unsigned width, double share)
{
    unsigned full = (unsigned)(share * width);
    buffer_put_u8(text, '[');
    for (unsigned i = 0; i < width; i++)
        buffer_put_u8(text, i < full ? '#' : '.');
    buffer_printf(text, "] %3.0f%%  ", share * 100.0);
}

void progress_line(char *out, size_t size, unsigned columns, const char *title,
                   const strid_pipeline_stats *stats, struct progress_rates *rates)
{
    sample(rates, stats);
    struct buffer figures = {0};
    output_grouped(&figures, stats->records);
    buffer_printf(&figures, " record%s  ", units_plural(stats->records));
    put_rate(&figures, rates->records_per_s);
    bool bounded = stats->bytes_total != UINT64_MAX && stats->bytes_total > 0 &&
                   stats->bytes_read <= stats->bytes_total;
    if (bounded)
        put_eta(&figures, stats, rates->bytes_per_s);
    if (stats->dead_lettered > 0)
        buffer_printf(&figures, "  %" PRIu64 " dead-lettered", stats->dead_lettered);

    /* on a narrow terminal first the title goes, then the bar */
    struct buffer text = {0};
    size_t bar = bounded ? BAR_MIN + BAR_FRAME : 0;
    if (strlen(title) + 2 + bar + figures.len <= columns)
        buffer_printf(&text, "%s  ", title);
    if (bounded && text.len + bar + figures.len <= columns) {
        size_t width = columns - text.len - figures.len - BAR_FRAME;
        put_bar(&text, width > BAR_MAX ? BAR_MAX : (unsigned)width,
                (double)stats->bytes_read / (double)stats->bytes_total);
    }
    buffer_put_bytes(&text, buffer_bytes(&figures));
    size_t len = text.len < columns ? text.len : columns;
    (void)snprintf(out, size, "%.*s", (int)len, (const char *)text.data);
    buffer_fini(&text);
    buffer_fini(&figures);
}

static unsigned terminal_columns(void)
{
    struct winsize window;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1)
        return window.ws_col - 1u; /* the last column would wrap */
    return COLUMNS_DEFAULT - 1;
}

static void *redraw(void *user)
{
    struct progress *progress = user;
    struct progress_rates rates = {0};
    pthread_mutex_lock(&progress->lock);
    while (!progress->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += REDRAW_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&progress->wake, &progress->lock, &until);
        strid_pipeline_stats stats = {.struct_size = sizeof stats};
        strid_pipeline_get_stats(progress->pipeline, &stats);
        char line[400];
        progress_line(line, sizeof line, terminal_columns(), progress->title, &stats, &rates);
        talk_set_line(line);
    }
    pthread_mutex_unlock(&progress->lock);
    return NULL;
}

/* Signals are for the main thread, which is the one that can be interrupted without harm. */
static bool start_thread(struct progress *progress)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&progress->thread, NULL, redraw, progress) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void progress_start(struct progress *progress, strid_pipeline *pipeline, const char *title)
{
    *progress = (struct progress){.pipeline = pipeline, .title = title};
    if (!talk_is_live())
        return;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&progress->lock, NULL);
    pthread_cond_init(&progress->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    progress->live = start_thread(progress);
}

void progress_stop(struct progress *progress)
{
    if (!progress->live)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->stopping = true;
    pthread_cond_signal(&progress->wake);
    pthread_mutex_unlock(&progress->lock);
    pthread_join(progress->thread, NULL);
    pthread_cond_destroy(&progress->wake);
    pthread_mutex_destroy(&progress->lock);
    talk_set_line(NULL);
    progress->live = false;
}
