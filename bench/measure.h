/* Measuring: a workload is driven by the engine and by raw loops, in turn, in the same
 * process, after a warm-up of each; the median of the runs is what counts.
 * @thread control */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

enum { MEASURE_SIDES_MAX = 8, MEASURE_RUNS_MAX = 1000, MEASURE_PATH_MAX = 512 };

struct bench_settings {
    double seconds;        /* of one run */
    uint32_t runs;         /* of each side */
    uint64_t keys;         /* 0: as the workload says */
    uint32_t value_bytes;  /* of a record, where the workload makes them */
    uint64_t memory;       /* bytes, of the engine and of the raw loop alike; 0: the workload's */
    uint32_t workers;      /* 0: the engine's default */
    uint32_t hold_seconds; /* not 0: one run of the engine, figures printed every second */
    bool json;
    const char *rivals;    /* where rivals.py built them; NULL: they are left out */
    const char *directory; /* where files and state may be made; exists */
};

/* One run of one side. */
struct bench_run {
    uint64_t records;
    double wall_s;
    double cpu_s;
    uint64_t syncs;
};

/* Runs one side of a comparison; side 0 is the engine. Returns 0, or -1 with a message on stderr.
 */
typedef int (*measure_side)(void *user, uint32_t side, double seconds, struct bench_run *out);

struct measure_plan {
    void *user;
    measure_side run;
    uint32_t side_count;
};

struct measure_figures {
    double median, min, max; /* records/s */
    double cpu_s_per_million;
    double syncs_per_s;
    uint32_t runs;
};

int measure(const struct measure_plan *plan, const struct bench_settings *settings,
            struct measure_figures figures[MEASURE_SIDES_MAX]);

/* Median, least and most of `count` values, which are sorted; the other members stay. */
void measure_values(double *values, uint32_t count, struct measure_figures *out);

/* Processor time of this process so far. */
double measure_cpu_s(void);
double measure_wall_s(void);

/* Prints "strid-bench: <what>: <message>" and returns -1. */
int measure_failed(const char *what, const char *message);

#endif
