#include "log.h"

#include <stdarg.h>
#include <stdio.h>

void log_init(struct log *log, strid_log_fn fn, void *user)
{
    log->fn = fn;
    log->user = user;
    pthread_mutex_init(&log->lock, NULL);
}

void log_fini(struct log *log) { pthread_mutex_destroy(&log->lock); }

void log_write(const struct log *log, strid_log_level level, const char *logger, const char *format,
               ...)
{
    if (log == NULL || log->fn == NULL)
        return;
    char message[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    pthread_mutex_t *lock =
        (pthread_mutex_t *)&log->lock; /* the log is constant to all but its own lock */
    pthread_mutex_lock(lock);
    log->fn(log->user, level, logger, message);
    pthread_mutex_unlock(lock);
}
