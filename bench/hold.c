#include "hold.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "share.h"

/* What the promises leave: a quarter of redo may be on its way when its bound is met; level 0 is
 * looked at before each fold, which adds to it; a fifth of the memory is what other libraries
 * round up. */
enum { REDO_PERCENT = 125, RSS_PERCENT = 120, LEVEL0_FILES = 64 };

static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long long total = 0;
    unsigned long long resident = 0;
    if (file == NULL)
        return 0;
    int got = fscanf(file, "%llu %llu", &total, &resident);
    (void)fclose(file);
    return got == 2 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t count_sorted_files(const char *directory)
{
    DIR *folder = directory == NULL ? NULL : opendir(directory);
    if (folder == NULL)
        return 0;
    uint64_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        size_t len = strlen(entry->d_name);
        count += len > 4 && strcmp(entry->d_name + len - 4, ".sst") == 0;
    }
    (void)closedir(folder);
    return count;
}

static void raise_to(uint64_t *highest, uint64_t value)
{
    if (value > *highest)
        *highest = value;
}

void hold_second(struct hold *hold, const strid_pipeline_stats *stats)
{
    const struct report_second line = {.name = hold->name,
                                       .second = ++hold->second,
                                       .records = stats->records,
                                       .redo_bytes = stats->redo_bytes,
                                       .level0_files = stats->level0_files,
                                       .sorted_files = count_sorted_files(hold->directory),
                                       .rss_bytes = resident_bytes(),
                                       .syncs = stats->syncs};
    report_second(hold->settings, &line);
    raise_to(&hold->redo_bytes, line.redo_bytes);
    raise_to(&hold->level0_files, line.level0_files);
    raise_to(&hold->rss_bytes, line.rss_bytes);
}

int hold_judge(const struct hold *hold)
{
    const struct report_bound bounds[] = {
        {"redo_bytes", hold->redo_bytes, share_redo_bytes(hold->settings) * REDO_PERCENT / 100},
        {"level0_files", hold->level0_files, LEVEL0_FILES},
        {"rss_bytes", hold->rss_bytes, hold->settings->memory * RSS_PERCENT / 100},
    };
    bool kept = true;
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        report_bound(hold->settings, hold->name, &bounds[i]);
        kept = kept && bounds[i].highest <= bounds[i].bound;
    }
    return kept ? 0 : measure_failed(hold->name, "what has to be bounded was not");
}
