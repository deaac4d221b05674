#include "share.h"

#include <unistd.h>

#include "runtime/budget.h"

enum { MEMTABLES = 2 };

static void divide(const struct bench_settings *settings, struct budget *budget)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t workers = settings->workers != 0 ? settings->workers : cores < 1 ? 1 : (uint32_t)cores;
    budget_divide(settings->memory, workers, 1, budget);
}

uint64_t share_redo_bytes(const struct bench_settings *settings)
{
    struct budget budget;
    divide(settings, &budget);
    return budget.redo_bytes;
}

void share_divide(const struct bench_settings *settings, struct database_memory *out)
{
    struct budget budget;
    divide(settings, &budget);
    out->write_buffer = budget.write_buffer;
    out->block_cache = settings->memory - budget.base - MEMTABLES * budget.write_buffer;
}

uint64_t share_source_bytes(const struct bench_settings *settings)
{
    return budget_source(settings->memory);
}
