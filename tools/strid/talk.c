#include "talk.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/json.h"

enum { LINE_MAX_BYTES = 512 };

/* guards all that follows and the order of writes to standard error */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum talk_format chosen_format = TALK_TEXT;
static strid_log_level chosen_level = STRID_LOG_INFO;
static char bottom[LINE_MAX_BYTES];
static struct buffer out;

void talk_configure(enum talk_format format, strid_log_level level)
{
    pthread_mutex_lock(&lock);
    chosen_format = format;
    chosen_level = level;
    pthread_mutex_unlock(&lock);
}

bool talk_is_live(void)
{
    const char *term = getenv("TERM");
    return chosen_format == TALK_TEXT && isatty(STDERR_FILENO) == 1 && term != NULL &&
           term[0] != '\0' && strcmp(term, "dumb") != 0;
}

static bool is_coloured(void)
{
    const char *no_color = getenv("NO_COLOR");
    return (no_color == NULL || no_color[0] == '\0') && talk_is_live();
}

/* Writes what stands in `out` above the bottom line, in one write as far as the terminal lets us;
 * there is nobody to tell when standard error is gone. */
static void flush_locked(void)
{
    if (bottom[0] != '\0')
        (void)fputs("\r\033[K", stderr);
    (void)fwrite(out.data, 1, out.len, stderr);
    if (bottom[0] != '\0')
        (void)fputs(bottom, stderr);
    (void)fflush(stderr);
    buffer_clear(&out);
}

static void put_time(const char *format, bool millis)
{
    struct timespec now;
    struct tm parts;
    char text[40];
    clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    size_t len = strftime(text, sizeof text, format, &parts);
    buffer_put(&out, text, len);
    if (millis)
        buffer_printf(&out, ".%03ldZ", now.tv_nsec / 1000000);
}

static const char *level_name(strid_log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return names[level];
}

static void put_text(strid_log_level level, const char *logger, const char *message)
{
    static const char *const colours[] = {"\033[2m", "", "\033[33m", "\033[31m"};
    bool coloured = is_coloured();
    put_time("%H:%M:%S", false);
    buffer_printf(&out, " %s%-5s%s %s: %s\n", coloured ? colours[level] : "", level_name(level),
                  coloured ? "\033[0m" : "", logger, message);
}

/* One message in the chosen format; `logger` NULL: the command itself. */
static void put_message(strid_log_level level, const char *logger, const char *message)
{
    bool utf8 = json_utf8_is_valid(strid_bytes_of_text(message));
    switch (chosen_format) {
    case TALK_TEXT:
        put_text(level, logger, message);
        break;
    case TALK_LOGFMT:
        buffer_printf(&out, "ts=");
        put_time("%Y-%m-%dT%H:%M:%S", true);
        buffer_printf(&out, " level=%s logger=%s msg=", level_name(level), logger);
        json_put_text(&out, utf8 ? message : "(a message that is no UTF-8)");
        buffer_put_u8(&out, '\n');
        break;
    case TALK_JSON:
        buffer_printf(&out, "{\"ts\":\"");
        put_time("%Y-%m-%dT%H:%M:%S", true);
        buffer_printf(&out, "\",\"level\":\"%s\",\"logger\":", level_name(level));
        json_put_text(&out, logger);
        buffer_printf(&out, ",\"message\":");
        json_put_text(&out, utf8 ? message : "(a message that is no UTF-8)");
        buffer_printf(&out, "}\n");
        break;
    }
}

void talk_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    pthread_mutex_lock(&lock);
    if (level >= chosen_level) {
        put_message(level, logger, message);
        flush_locked();
    }
    pthread_mutex_unlock(&lock);
}

void talk_error(const char *format, ...)
{
    char message[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    pthread_mutex_lock(&lock);
    if (chosen_format == TALK_TEXT)
        buffer_printf(&out, "%sstrid:%s %s\n", is_coloured() ? "\033[31m" : "",
                      is_coloured() ? "\033[0m" : "", message);
    else
        put_message(STRID_LOG_ERROR, "strid", message);
    flush_locked();
    pthread_mutex_unlock(&lock);
}

void talk_say(const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    pthread_mutex_lock(&lock);
    if (chosen_format == TALK_TEXT)
        buffer_printf(&out, "%s\n", message);
    else
        put_message(STRID_LOG_INFO, "strid", message);
    flush_locked();
    pthread_mutex_unlock(&lock);
}

void talk_set_line(const char *line)
{
    pthread_mutex_lock(&lock);
    if (line == NULL && bottom[0] != '\0')
        (void)fputs("\r\033[K", stderr);
    (void)snprintf(bottom, sizeof bottom, "%s", line == NULL ? "" : line);
    if (line != NULL)
        (void)fprintf(stderr, "\r%s\033[K", bottom);
    (void)fflush(stderr);
    pthread_mutex_unlock(&lock);
}
