/* Log lines to the host's callback. Repeated run-time errors are rate-limited by their callers.
 * @thread any @locks the callback's caller serialises by log->lock */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <pthread.h>

#include <strid/pipeline.h>

struct log {
    strid_log_fn fn; /* NULL: silent */
    void *user;
    pthread_mutex_t
        lock; /* guards calls of fn, so that it is called one at a time; never on the data path */
};

void log_init(struct log *log, strid_log_fn fn, void *user);
void log_fini(struct log *log);
void log_write(const struct log *log, strid_log_level level, const char *logger, const char *format,
               ...) STRID_PRINTF(4, 5);

#define log_debug(log, logger, ...) log_write(log, STRID_LOG_DEBUG, logger, __VA_ARGS__)
#define log_info(log, logger, ...) log_write(log, STRID_LOG_INFO, logger, __VA_ARGS__)
#define log_warn(log, logger, ...) log_write(log, STRID_LOG_WARN, logger, __VA_ARGS__)
#define log_error(log, logger, ...) log_write(log, STRID_LOG_ERROR, logger, __VA_ARGS__)

#endif
