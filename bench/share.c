#include "share.h"

#include <unistd.h>

#include "runtime/budget.h"

enum { MEMTABLES = 2 };

uint32_t share_workers(const struct bench_settings *settings)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return settings->workers != 0 ? settings->workers : cores < 1 ? 1 : (uint32_t)cores;
}

static void divide(const struct bench_settings *settings, struct budget *budget)
{
    budget_divide(settings->memory, share_workers(settings), 1, budget);
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
