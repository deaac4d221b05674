/* The progress line of a run: a thread of its own reads the pipeline's figures five times a second
 * and redraws the bottom line of the terminal. Without a terminal there is no thread. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <pthread.h>
#include <stdbool.h>

#include <strid/pipeline.h>

struct progress {
    strid_pipeline *pipeline;
    const char *title;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t wake;
    bool stopping;
    bool live; /* whether the thread was started */
};

/* `title` and `pipeline` have to live until progress_stop(). */
void progress_start(struct progress *progress, strid_pipeline *pipeline, const char *title);
void progress_stop(struct progress *progress);

/* Rates over the last moments, for the line. */
struct progress_rates {
    uint64_t elapsed_ms; /* of the sample before */
    uint64_t records;
    uint64_t bytes;
    double records_per_s; /* smoothed */
    double bytes_per_s;
};

/* Writes the line for a terminal of `columns` into `out` (its text, without a newline). */
void progress_line(char *out, size_t size, unsigned columns, const char *title,
                   const strid_pipeline_stats *stats, struct progress_rates *rates);

#endif
