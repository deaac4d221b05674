#include "runtime/worker_retry_mark.h"

#include "base/mutant.h"
#include "runtime/worker_retry.h"

static bool has_marks(const struct worker *worker) { return worker->run->directory->has_marks; }

bool worker_retry_mark_each(struct worker *worker, uint8_t store, worker_store_each_fn fn,
                            void *user)
{
    uint64_t *marked = worker->retry.marked;
    if (!has_marks(worker))
        return worker_store_each(worker, store, fn, user);
    return worker_store_marked(worker, WORKER_RETRY_MARK_STORE, marked) &&
           worker_store_each_of(worker, store, marked, fn, user);
}

void worker_retry_mark_seal(struct worker *worker)
{
    const uint64_t *waiting = worker->retry.waiting.vshards;
    uint64_t *marked = worker->retry.marked;
    if (!has_marks(worker) || MUTANT(MUTANT_VSHARD_UNMARKED))
        return;
    for (uint32_t i = 0; i < KEY_VSHARDS / 64; i++) {
        for (uint64_t changed = waiting[i] ^ marked[i]; changed != 0; changed &= changed - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(changed);
            worker_store_mark(worker, WORKER_RETRY_MARK_STORE, 64 * i + bit,
                              (waiting[i] >> bit & 1) != 0);
        }
        marked[i] = waiting[i];
    }
}
