#include "runtime/storage.h"

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/committer.h"
#include "runtime/materialiser.h"
#include "runtime/reader.h"
#include "runtime/worker.h"

enum {
    STORAGE_WRITE_BYTES_MAX = 32 * 1024 * 1024,
    STORAGE_LOWS_WAIT_NS = 5000000,
    STORAGE_REPLAY_IDLE_NS = 200000000
};

/* What one worker handed over. */
struct intake {
    struct ring *blocks;
    struct ring *used;
    struct sealed_block *head; /* taken from the ring, waits for its deliveries */
    uint64_t written;          /* highest sequence that is written */
    _Atomic uint64_t synced;   /* release: the committer may count what is at or below */
};

struct storage {
    struct agent agent;
    struct run *run;
    struct intake *intakes; /* per worker */
    struct batch batch;
    struct buffer blocks; /* struct sealed_block * of the write that is made up */
    struct buffer lows;   /* struct low_position * that wait for it */
    uint64_t number;      /* last one given */
    uint64_t lows_taken, lows_written;
    int64_t written_at_ns;
    bool unsynced;         /* something was written since the last sync */
    _Atomic bool wanted;   /* a sync, soon */
    int64_t lows_since_ns; /* when the oldest of `lows` came */
    _Atomic uint64_t synced_number;
    _Atomic uint64_t lows_synced;
    _Atomic uint64_t syncs;
    _Atomic uint64_t block_count;
};

struct agent *storage_agent(struct storage *storage) { return &storage->agent; }

struct ring *storage_from_worker(struct storage *storage, uint32_t worker)
{
    return storage->intakes[worker].blocks;
}

struct ring *storage_to_worker(struct storage *storage, uint32_t worker)
{
    return storage->intakes[worker].used;
}

uint64_t storage_synced_sequence(const struct storage *storage, uint32_t worker)
{
    return atomic_load_explicit(&storage->intakes[worker].synced, memory_order_acquire);
}

uint64_t storage_synced_number(const struct storage *storage)
{
    return atomic_load_explicit(&storage->synced_number, memory_order_acquire);
}

uint64_t storage_lows_synced(const struct storage *storage)
{
    return atomic_load_explicit(&storage->lows_synced, memory_order_acquire);
}

uint64_t storage_syncs(const struct storage *storage)
{
    return atomic_load_explicit(&storage->syncs, memory_order_relaxed);
}

uint64_t storage_blocks(const struct storage *storage)
{
    return atomic_load_explicit(&storage->block_count, memory_order_relaxed);
}

void storage_want_sync(struct storage *storage)
{
    if (atomic_exchange_explicit(&storage->wanted, true, memory_order_release))
        return;
    agent_wake(&storage->agent);
}

struct storage *storage_create(struct run *run)
{
    struct storage *storage = memory_alloc_zeroed(sizeof *storage);
    agent_init(&storage->agent, "strid-storage", storage_do_work, storage, STORAGE_LOWS_WAIT_NS);
    storage->run = run;
    storage->number = MUTANT(MUTANT_NUMBER_REUSED) ? 0 : run->directory->last_number;
    storage->synced_number = run->directory->synced;
    storage->intakes = memory_alloc_zeroed(run->worker_count * sizeof *storage->intakes);
    for (uint32_t w = 0; w < run->worker_count; w++) {
        storage->intakes[w].blocks = ring_create(WORKER_BLOCKS);
        storage->intakes[w].used = ring_create(WORKER_BLOCKS);
    }
    return storage;
}

void storage_destroy(struct storage *storage)
{
    if (storage == NULL)
        return;
    for (uint32_t w = 0; w < storage->run->worker_count; w++) {
        ring_destroy(storage->intakes[w].blocks);
        ring_destroy(storage->intakes[w].used);
    }
    batch_fini(&storage->batch);
    buffer_fini(&storage->blocks);
    buffer_fini(&storage->lows);
    memory_free(storage->intakes);
    memory_free(storage);
}

/* Blocks whose outputs are all delivered, per worker in order, up to a bound. */
static void collect_blocks(struct storage *storage)
{
    size_t bytes = 0;
    buffer_clear(&storage->blocks);
    for (uint32_t w = 0; w < storage->run->worker_count; w++) {
        struct intake *intake = &storage->intakes[w];
        while (bytes < STORAGE_WRITE_BYTES_MAX) {
            if (intake->head == NULL && (intake->head = ring_pop(intake->blocks)) == NULL)
                break;
            /* acquire, pairs with the release of the delivery that was last */
            if (atomic_load_explicit(&intake->head->pending, memory_order_acquire) != 0 &&
                !MUTANT(MUTANT_OUTPUT_UNCOVERED))
                break;
            buffer_put(&storage->blocks, &intake->head, sizeof intake->head);
            bytes += intake->head->bytes.len;
            intake->head = NULL;
        }
    }
}

static struct sealed_block *block_at(const struct storage *storage, size_t index)
{
    struct sealed_block *block;
    memcpy(&block, storage->blocks.data + index * sizeof block, sizeof block);
    return block;
}

/* Low positions travel with the next block; where none comes they are not kept waiting for long. */
static void collect_lows(struct storage *storage)
{
    struct low_position *low;
    while ((low = ring_pop(committer_lows(storage->run->committer))) != NULL) {
        if (storage->lows.len == 0)
            storage->lows_since_ns = clock_monotonic_ns(storage->run->clock);
        buffer_put(&storage->lows, &low, sizeof low);
        storage->lows_taken++;
    }
}

static bool lows_are_due(struct storage *storage)
{
    return storage->lows.len > 0 &&
           clock_monotonic_ns(storage->run->clock) - storage->lows_since_ns >= STORAGE_LOWS_WAIT_NS;
}

static void put_lows(struct storage *storage)
{
    struct run *run = storage->run;
    for (size_t at = 0; at < storage->lows.len; at += sizeof(struct low_position *)) {
        struct low_position *low;
        memcpy(&low, storage->lows.data + at, sizeof low);
        directory_put_low(&storage->batch, run->partitions[low->partition].stored->number,
                          low->position, storage_synced_number(storage));
    }
}

/* Blocks get their numbers here, once and for good. */
static strid_status write_all(struct storage *storage, strid_error *err)
{
    struct run *run = storage->run;
    size_t count = storage->blocks.len / sizeof(struct sealed_block *);
    uint8_t key[KEY_FIXED_MAX];
    batch_clear(&storage->batch);
    put_lows(storage);
    for (size_t i = 0; i < count; i++) {
        struct sealed_block *block = block_at(storage, i);
        STRID_ASSERT(block->sequence == storage->intakes[block->worker].written + 1);
        storage->intakes[block->worker].written = block->sequence;
        block_number(&block->bytes, ++storage->number, storage_synced_number(storage));
        batch_put_borrowed(&storage->batch,
                           strid_bytes_of(key, key_put_block(key, storage->number)),
                           buffer_bytes(&block->bytes));
    }
    CRASH_POINT("storage_before_write");
    strid_status status =
        batch_apply(&storage->batch, run->directory->ops, run->directory->store, err);
    CRASH_POINT("storage_after_write");
    buffer_clear(&storage->lows);
    storage->lows_written = storage->lows_taken;
    storage->written_at_ns = clock_monotonic_ns(run->clock);
    storage->unsynced = true;
    return status;
}

static void note_synced(const struct storage *storage)
{
    const struct directory *directory = storage->run->directory;
    if (directory->ops->note_synced != NULL)
        directory->ops->note_synced(directory->store, storage->number);
}

static strid_status sync_all(struct storage *storage, strid_error *err)
{
    const struct directory *directory = storage->run->directory;
    const struct store_ops *ops = directory->ops;
    if (MUTANT(MUTANT_NOTED_EARLY))
        note_synced(storage);
    /* Before the sync: who asks while it runs means what is written after it. */
    atomic_store_explicit(&storage->wanted, false, memory_order_relaxed);
    strid_status status = MUTANT(MUTANT_NO_SYNC) ? STRID_OK : ops->sync(directory->store, err);
    CRASH_POINT("storage_after_sync");
    if (status == STRID_OK)
        note_synced(storage);
    return status;
}

/* What was written is synced: only now may anything that stands on it go on. */
static void publish(struct storage *storage)
{
    struct run *run = storage->run;
    storage->unsynced = false;
    atomic_store_explicit(&storage->synced_number, storage->number, memory_order_release);
    for (uint32_t w = 0; w < run->worker_count; w++)
        atomic_store_explicit(&storage->intakes[w].synced, storage->intakes[w].written,
                              memory_order_release);
    atomic_store_explicit(&storage->lows_synced, storage->lows_written, memory_order_release);
    atomic_fetch_add_explicit(&storage->syncs, 1, memory_order_relaxed);
    agent_wake(committer_agent(run->committer));
    agent_wake(materialiser_agent(run->materialiser));
}

/* Blocks go back to their workers: synced, or in replay as soon as they are written. */
static void return_blocks(struct storage *storage)
{
    struct run *run = storage->run;
    size_t count = storage->blocks.len / sizeof(struct sealed_block *);
    for (size_t i = 0; i < count; i++) {
        struct sealed_block *block = block_at(storage, i);
        uint32_t worker = block->worker;
        bool pushed = ring_push(storage->intakes[worker].used, block);
        STRID_ASSERT(pushed); /* the ring holds all blocks of the worker */
        agent_wake(&run->workers[worker].agent);
    }
    atomic_fetch_add_explicit(&storage->block_count, count, memory_order_relaxed);
    agent_wake(materialiser_agent(run->materialiser));
}

static bool readers_ended(const struct run *run)
{
    for (uint32_t r = 0; r < run->reader_count; r++)
        /* acquire: as the committer, which then waits for the last sync */
        if (!atomic_load_explicit(&run->readers[r].ended, memory_order_acquire))
            return false;
    return true;
}

/* In replay nothing is synced until somebody needs it: the materialiser, a reader that has no more
 * rounds, the end of the run; or until nothing has come for a while, since a source that keeps what
 * is not acknowledged may then be waiting for us. */
static bool may_wait_for_sync(struct storage *storage)
{
    const struct run *run = storage->run;
    return run->definition->durability == STRID_DURABILITY_REPLAY &&
           !atomic_load_explicit(&storage->wanted, memory_order_acquire) && !readers_ended(run) &&
           clock_monotonic_ns(run->clock) - storage->written_at_ns < STORAGE_REPLAY_IDLE_NS;
}

int storage_do_work(void *self)
{
    struct storage *storage = self;
    strid_error err = STRID_ERROR_INIT;
    if (run_failed(storage->run))
        return 0;
    collect_lows(storage);
    collect_blocks(storage);
    bool writes = storage->blocks.len > 0 || lows_are_due(storage);
    strid_status status = writes ? write_all(storage, &err) : STRID_OK;
    bool syncs = storage->unsynced && !may_wait_for_sync(storage);
    if (status == STRID_OK && syncs)
        status = sync_all(storage, &err);
    if (status != STRID_OK) {
        /* The outcome is unknown: nothing is told, the run ends, and the store is opened again. */
        err.status = STRID_ESTORE;
        run_fail(storage->run, &err);
        return 0;
    }
    if (syncs)
        publish(storage);
    if (writes)
        return_blocks(storage);
    /* Else who has something for it wakes it. */
    bool waits = storage->unsynced || storage->lows.len > 0;
    storage->agent.park_ns = waits ? STORAGE_LOWS_WAIT_NS : AGENT_REST_NS;
    return writes || syncs;
}
