/* Suite budget: the shares of the memory add up to it, and what follows from them stays within. */
#include <criterion/criterion.h>

#include "runtime/budget.h"
#include "runtime/chunk.h"
#include "runtime/worker.h"

#define MIB (UINT64_C(1) << 20)

static const uint32_t thread_counts[][2] = {{1, 1}, {2, 1}, {4, 2}, {16, 5}, {64, 17}};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof thread_counts[0] };

static uint64_t sum_of(const struct budget *budget)
{
    return budget->base + budget->chunks + budget->outputs + budget->outbox + budget->redo +
           budget->block_cache + budget->caches;
}

static void check(uint64_t memory, uint32_t workers, uint32_t readers)
{
    struct budget budget;
    budget_divide(memory, workers, readers, &budget);
    cr_assert_eq(sum_of(&budget), memory, "%lu with %u workers: %lu", memory, workers,
                 sum_of(&budget));
    uint64_t blocks = (uint64_t)workers * WORKER_BLOCKS;
    uint64_t chunk = CHUNK_ARENA_BYTES + sizeof(struct chunk);
    cr_assert_leq(budget.redo_bytes * BUDGET_REDO_PARTS, budget.redo);
    cr_assert_leq(budget.cache_bytes * workers, budget.caches);
    cr_assert_leq(budget.output_bytes * blocks, budget.outputs);
    cr_assert_leq(budget.outbox_refs * workers, budget.outbox);
    cr_assert_gt(budget.outbox_refs, MIB / 32);
    cr_assert_geq(budget.chunks_per_reader, workers + 1);
    if (budget.grown_bytes > 0)
        cr_assert_leq(readers * (budget.chunks_per_reader * chunk + budget.grown_bytes),
                      budget.chunks);
    cr_assert_gt(budget.cache_bytes, MIB);
    cr_assert_gt(budget.block_cache, MIB);
    cr_assert_gt(budget.redo_bytes, 2 * budget.block_bytes);
    /* At its bound redo may grow by an open block of each worker, which is to stay a quarter. */
    if (budget.block_bytes > MIB / 32)
        cr_assert_leq(4 * workers * budget.block_bytes, budget.redo_bytes);
}

Test(budget, shares_add_up_to_the_memory)
{
    for (uint32_t i = 0; i < THREAD_COUNTS; i++) {
        uint32_t workers = thread_counts[i][0], readers = thread_counts[i][1];
        uint64_t least = budget_minimum(workers, readers);
        check(least, workers, readers);
        check(least + 12345, workers, readers);
        struct budget budget;
        budget_divide(6 * MIB, workers, readers, &budget); /* of a host program */
        cr_assert_eq(sum_of(&budget), 6 * MIB);
        cr_assert_gt(budget.cache_bytes, 0);
        budget_divide(1, workers, readers, &budget);
        cr_assert_gt(budget.outbox_refs, 0, "or nothing would ever be read");
        for (uint64_t memory = 32 * MIB; memory <= (UINT64_C(1) << 46); memory *= 2)
            if (memory >= least)
                check(memory, workers, readers);
    }
}

Test(budget, default_is_a_quarter_and_never_less_than_works)
{
    cr_assert_eq(budget_default(4096 * MIB, 2, 1), 1024 * MIB);
    cr_assert_eq(budget_default(512 * MIB, 2, 1), 256 * MIB);
    cr_assert_geq(budget_default(512 * MIB, 64, 17), budget_minimum(64, 17));
}

Test(budget, more_threads_need_more)
{
    cr_assert_gt(budget_minimum(2, 1), budget_minimum(1, 1));
    cr_assert_gt(budget_minimum(2, 2), budget_minimum(2, 1));
    cr_assert_leq(budget_minimum(2, 1), 64 * MIB);
}

Test(budget, source_that_reads_ahead_leaves_the_rest_what_it_needs)
{
    uint64_t least = budget_minimum(2, 1);
    cr_assert_eq(budget_source(1024 * MIB), 128 * MIB);
    cr_assert_eq(budget_source(UINT64_C(1) << 40), 256 * MIB, "more brings nothing");
    cr_assert_geq(least * 8 / 7 - budget_source(least * 8 / 7), least);
}
