#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

double measure_wall_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double measure_cpu_s(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int measure_failed(const char *what, const char *message)
{
    fprintf(stderr, "strid-bench: %s: %s\n", what, message);
    return -1;
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

static double median_of(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void measure_values(double *values, uint32_t count, struct measure_figures *out)
{
    out->median = median_of(values, count);
    out->min = values[0];
    out->max = values[count - 1];
    out->runs = count;
}

static void summarise(const struct bench_run *runs, uint32_t count, struct measure_figures *out)
{
    static double rates[MEASURE_RUNS_MAX]; /* one thread measures */
    static double cpus[MEASURE_RUNS_MAX];
    static double syncs[MEASURE_RUNS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        rates[i] = (double)runs[i].records / runs[i].wall_s;
        cpus[i] = runs[i].records == 0 ? 0 : runs[i].cpu_s / ((double)runs[i].records / 1e6);
        syncs[i] = (double)runs[i].syncs / runs[i].wall_s;
    }
    measure_values(rates, count, out);
    out->cpu_s_per_million = median_of(cpus, count);
    out->syncs_per_s = median_of(syncs, count);
}

static int run_side(const struct measure_plan *plan, uint32_t side, double seconds,
                    struct bench_run *out)
{
    *out = (struct bench_run){0};
    if (plan->run(plan->user, side, seconds, out) != 0)
        return -1;
    if (out->records == 0 || out->wall_s <= 0)
        return measure_failed("measure", "a run handled nothing");
    return 0;
}

int measure(const struct measure_plan *plan, const struct bench_settings *settings,
            struct measure_figures figures[MEASURE_SIDES_MAX])
{
    struct bench_run *runs = calloc((size_t)MEASURE_SIDES_MAX * settings->runs, sizeof *runs);
    if (runs == NULL)
        return measure_failed("measure", "out of memory");
    int result = 0;
    struct bench_run warm_up;
    for (uint32_t side = 0; result == 0 && side < plan->side_count; side++)
        result = run_side(plan, side, settings->seconds / 5, &warm_up);
    /* In turn, so that what else the machine does meets every side alike. */
    for (uint32_t run = 0; run < settings->runs; run++)
        for (uint32_t side = 0; result == 0 && side < plan->side_count; side++)
            result = run_side(plan, side, settings->seconds, &runs[side * settings->runs + run]);
    for (uint32_t side = 0; result == 0 && side < plan->side_count; side++)
        summarise(&runs[side * settings->runs], settings->runs, &figures[side]);
    free(runs);
    return result;
}
