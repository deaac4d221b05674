/* Printing of figures: a table for people, or one JSON object a line. @thread control */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "measure.h"

enum { REPORT_NAME_MAX = 128 };

/* NAME, or NAME_vs_BASELINE where there are several. */
void report_name(const char *name, const char *baseline, char out[REPORT_NAME_MAX]);

struct report_line {
    const char *name;
    const char *baseline_name;
    const char *unit;
    struct measure_figures engine;
    struct measure_figures baseline;
};

/* The machine, the commit and the flags; first of all. */
void report_begin(const struct bench_settings *settings);
void report_line(const struct bench_settings *settings, const struct report_line *line);

/* One second of a run under --hold. */
struct report_second {
    const char *name;
    uint32_t second;
    uint64_t records;
    uint64_t redo_bytes;
    uint64_t level0_files;
    uint64_t sorted_files; /* on disk, of all levels */
    uint64_t rss_bytes;
    uint64_t syncs;
};

/* What was highest in a run under --hold, and what it may be. */
struct report_bound {
    const char *what;
    uint64_t highest;
    uint64_t bound;
};

void report_bound(const struct bench_settings *settings, const char *name,
                  const struct report_bound *bound);

void report_second(const struct bench_settings *settings, const struct report_second *second);

#endif
