#include "report.h"

#include <inttypes.h>
#include <stdio.h>

#include "machine.h"

/* Names of processors and flags hold nothing that needs more than this. */
static void print_text(const char *name, const char *text, const char *end)
{
    printf("\"%s\":\"", name);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if ((unsigned char)*text >= 0x20)
            putchar(*text);
    }
    printf("\"%s", end);
}

void report_begin(const struct bench_settings *settings)
{
    struct machine machine;
    machine_describe(&machine);
    if (!settings->json) {
        printf("commit %s, %s, %ld cores, %.1f GiB, %s\n%s %s\n", machine.commit, machine.cpu,
               machine.cores, (double)machine.memory_bytes / (double)(1u << 30), machine.kernel,
               machine.compiler, machine.flags);
        return;
    }
    printf("{");
    print_text("commit", machine.commit, ",");
    print_text("cpu", machine.cpu, ",");
    printf("\"cores\":%ld,\"memory_bytes\":%" PRIu64 ",", machine.cores, machine.memory_bytes);
    print_text("kernel", machine.kernel, ",");
    print_text("compiler", machine.compiler, ",");
    print_text("flags", machine.flags, ",");
    printf("\"seconds\":%g}\n", settings->seconds);
    (void)fflush(stdout);
}

/* Small figures, as nanoseconds a record are, with more digits: a ratio of rounded ones is another.
 */
static int digits_of(double value) { return value < 10000 ? 2 : 0; }

void report_name(const char *name, const char *baseline, char out[REPORT_NAME_MAX])
{
    if (baseline == NULL)
        (void)snprintf(out, REPORT_NAME_MAX, "%s", name);
    else
        (void)snprintf(out, REPORT_NAME_MAX, "%s_vs_%s", name, baseline);
}

void report_line(const struct bench_settings *settings, const struct report_line *line)
{
    const struct measure_figures *engine = &line->engine;
    double baseline = line->baseline.median;
    double ratio = baseline > 0 ? engine->median / baseline : 0;
    const int digits = digits_of(engine->median);
    if (settings->json) {
        printf(
            "{\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.*f,\"baseline\":%.*f,"
            "\"baseline_name\":\"%s\",\"ratio\":%.4f,\"cpu_s_per_million\":%.6f,\"runs\":%" PRIu32
            ",\"min\":%.*f,\"max\":%.*f,\"syncs_per_s\":%.2f,\"baseline_min\":%.*f,"
            "\"baseline_max\":%.*f,\"baseline_cpu_s_per_million\":%.6f,"
            "\"baseline_syncs_per_s\":%.2f,\"engine_memory_bytes\":%" PRIu64 "}\n",
            line->name, line->unit, digits, engine->median, digits, baseline, line->baseline_name,
            ratio, engine->cpu_s_per_million, engine->runs, digits, engine->min, digits,
            engine->max, engine->syncs_per_s, digits, line->baseline.min, digits,
            line->baseline.max, line->baseline.cpu_s_per_million, line->baseline.syncs_per_s,
            settings->memory);
    } else {
        printf("%-28s %12.0f %s (%.0f to %.0f, %" PRIu32 " runs), %.3f cpu s/million, %.1f "
               "syncs/s\n%-28s %12.0f %s (%.0f to %.0f), ratio %.3f, %.1f syncs/s\n",
               line->name, engine->median, line->unit, engine->min, engine->max, engine->runs,
               engine->cpu_s_per_million, engine->syncs_per_s, line->baseline_name, baseline,
               line->unit, line->baseline.min, line->baseline.max, ratio,
               line->baseline.syncs_per_s);
    }
    (void)fflush(stdout);
}

void report_second(const struct bench_settings *settings, const struct report_second *second)
{
    const char *format = settings->json ? "{\"name\":\"%s\",\"second\":%" PRIu32
                                          ",\"records\":%" PRIu64 ",\"redo_bytes\":%" PRIu64
                                          ",\"level0_files\":%" PRIu64 ",\"sorted_files\":%" PRIu64
                                          ",\"rss_bytes\":%" PRIu64 ",\"syncs\":%" PRIu64 "}\n"
                                        : "%s second %3" PRIu32 ": %12" PRIu64
                                          " records, redo %11" PRIu64 " bytes, %2" PRIu64
                                          " of %4" PRIu64 " sorted files in level 0, RSS %11" PRIu64
                                          " bytes, %" PRIu64 " syncs\n";
    printf(format, second->name, second->second, second->records, second->redo_bytes,
           second->level0_files, second->sorted_files, second->rss_bytes, second->syncs);
    (void)fflush(stdout);
}

void report_bound(const struct bench_settings *settings, const char *name,
                  const struct report_bound *bound)
{
    const char *format = settings->json ? "{\"name\":\"%s\",\"what\":\"%s\",\"highest\":%" PRIu64
                                          ",\"bound\":%" PRIu64 ",\"kept\":%s}\n"
                                        : "%s highest %s: %" PRIu64 " of %" PRIu64 ", kept: %s\n";
    printf(format, name, bound->what, bound->highest, bound->bound,
           bound->highest <= bound->bound ? "true" : "false");
    (void)fflush(stdout);
}
