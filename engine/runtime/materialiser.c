#include "runtime/materialiser.h"

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/storage.h"
#include "runtime/worker.h"

enum {
    MATERIALISE_BYTES_MAX = 256 * 1024 * 1024,
    LEVEL0_FILES_MAX = 48,
    COMPACTION_LOOK_NS = 20000000 /* whether it has caught up */
};

/* One materialisation, in steps that other agents run between (and a crash may fall between). */
enum step { STEP_IDLE = 0, STEP_INGEST, STEP_DELETE };

struct materialiser {
    struct agent agent;
    struct run *run;
    struct fold *fold;
    struct batch batch;
    enum step step;
    uint64_t first, last; /* blocks of the running step */
    uint64_t next;        /* number that the scan expects */
    uint64_t limit;       /* highest synced number when the scan began */
    int64_t bytes;        /* of those blocks */
    uint64_t *sequences;  /* per worker: highest sequence among them */
    _Atomic uint64_t
        *materialised; /* per worker; release: the store can be read for what is at or below */
    _Atomic uint64_t through;
    _Atomic int64_t redo_bytes;    /* of blocks that are sealed and not yet deleted */
    _Atomic uint64_t level0_files; /* as last seen */
    _Atomic bool hurry;
};

struct agent *materialiser_agent(struct materialiser *materialiser) { return &materialiser->agent; }

void materialiser_add_redo(struct materialiser *materialiser, int64_t bytes)
{
    atomic_fetch_add_explicit(&materialiser->redo_bytes, bytes, memory_order_relaxed);
}

void materialiser_hurry(struct materialiser *materialiser)
{
    atomic_store_explicit(&materialiser->hurry, true, memory_order_release);
    agent_wake(&materialiser->agent);
}

int64_t materialiser_redo_bytes(const struct materialiser *materialiser)
{
    return atomic_load_explicit(&materialiser->redo_bytes, memory_order_relaxed);
}

uint64_t materialiser_level0_files(const struct materialiser *materialiser)
{
    return atomic_load_explicit(&materialiser->level0_files, memory_order_relaxed);
}

uint64_t materialiser_sequence(const struct materialiser *materialiser, uint32_t worker)
{
    return atomic_load_explicit(&materialiser->materialised[worker], memory_order_acquire);
}

uint64_t materialiser_through(const struct materialiser *materialiser)
{
    return atomic_load_explicit(&materialiser->through, memory_order_acquire);
}

struct materialiser *materialiser_create(struct run *run)
{
    struct materialiser *materialiser = memory_alloc_zeroed(sizeof *materialiser);
    agent_init(&materialiser->agent, "strid-material", materialiser_do_work, materialiser,
               AGENT_REST_NS);
    materialiser->run = run;
    materialiser->fold = fold_create();
    materialiser->sequences = memory_alloc_zeroed(run->worker_count * sizeof(uint64_t));
    materialiser->materialised = memory_alloc_zeroed(run->worker_count * sizeof(_Atomic uint64_t));
    materialiser->through = run->directory->through;
    return materialiser;
}

void materialiser_destroy(struct materialiser *materialiser)
{
    if (materialiser == NULL)
        return;
    fold_destroy(materialiser->fold);
    batch_fini(&materialiser->batch);
    memory_free(materialiser->sequences);
    memory_free(materialiser->materialised);
    memory_free(materialiser);
}

static int fail(struct materialiser *materialiser, strid_error *err)
{
    err->status = STRID_ESTORE;
    run_fail(materialiser->run, err);
    return 0;
}

static bool take_block(void *user, strid_bytes key, strid_bytes value)
{
    struct materialiser *materialiser = user;
    struct block_view view;
    uint64_t number = key.len == 9 ? key_get_u64(key.data + 1) : 0;
    if (number > materialiser->limit || materialiser->bytes >= MATERIALISE_BYTES_MAX)
        return false;
    if (number != materialiser->next || !fold_add(materialiser->fold, value, &view) ||
        view.number != number)
        return false;
    STRID_ASSERT(view.worker < materialiser->run->worker_count);
    materialiser->sequences[view.worker] = view.sequence;
    materialiser->bytes += (int64_t)value.len;
    materialiser->last = materialiser->next++;
    return true;
}

/* Reads the blocks back from the store (they lie in its memtable) rather than keep a second copy of
 * them. */
static int read_blocks(struct materialiser *materialiser)
{
    struct run *run = materialiser->run;
    const struct directory *directory = run->directory;
    strid_error err = STRID_ERROR_INIT;
    uint8_t from[KEY_FIXED_MAX], to[KEY_FIXED_MAX];
    materialiser->first = materialiser->next = materialiser_through(materialiser) + 1;
    materialiser->limit =
        MUTANT(MUTANT_INGEST_UNSYNCED) ? UINT64_MAX - 1 : storage_synced_number(run->storage);
    materialiser->bytes = 0;
    fold_clear(materialiser->fold);
    strid_bytes from_key = strid_bytes_of(from, key_put_block(from, materialiser->first));
    strid_bytes to_key = strid_bytes_of(to, key_put_block(to, materialiser->limit + 1));
    if (directory->ops->scan(directory->store, from_key, to_key, take_block, materialiser, &err) !=
        STRID_OK)
        return fail(materialiser, &err);
    if (materialiser->next == materialiser->first) {
        (void)error_set(&err, STRID_ESTORE, "materialiser",
                        "block %llu could not be read back from %s though it was written",
                        (unsigned long long)materialiser->first, directory->url);
        return fail(materialiser, &err);
    }
    fold_set_now(materialiser->fold, clock_wall_ms(run->clock));
    fold_sort(materialiser->fold);
    materialiser->step = STEP_INGEST;
    return 1;
}

static uint64_t look_at_level0(struct materialiser *materialiser)
{
    const struct directory *directory = materialiser->run->directory;
    struct store_figures figures = {0};
    directory->ops->figures(directory->store, &figures);
    atomic_store_explicit(&materialiser->level0_files, figures.level_files[0],
                          memory_order_relaxed);
    return figures.level_files[0];
}

static int ingest(struct materialiser *materialiser)
{
    const struct directory *directory = materialiser->run->directory;
    strid_error err = STRID_ERROR_INIT;
    STRID_ASSERT(materialiser->last <= storage_synced_number(materialiser->run->storage));
    CRASH_POINT("materialiser_before_ingest");
    if (fold_count(materialiser->fold) > 0 &&
        directory->ops->bulk_load(directory->store, fold_next, materialiser->fold, &err) !=
            STRID_OK)
        return fail(materialiser, &err);
    CRASH_POINT("materialiser_after_ingest");
    (void)look_at_level0(materialiser);
    materialiser->step = STEP_DELETE;
    return 1;
}

static int delete_blocks(struct materialiser *materialiser)
{
    struct run *run = materialiser->run;
    strid_error err = STRID_ERROR_INIT;
    batch_clear(&materialiser->batch);
    directory_put_materialised(&materialiser->batch, materialiser->fold, materialiser->first,
                               materialiser->last);
    CRASH_POINT("materialiser_before_delete");
    if (batch_apply(&materialiser->batch, run->directory->ops, run->directory->store, &err) !=
        STRID_OK)
        return fail(materialiser, &err);
    CRASH_POINT("materialiser_after_delete");
    atomic_store_explicit(&materialiser->through, materialiser->last, memory_order_release);
    atomic_fetch_sub_explicit(&materialiser->redo_bytes, materialiser->bytes, memory_order_relaxed);
    for (uint32_t w = 0; w < run->worker_count; w++) {
        atomic_store_explicit(&materialiser->materialised[w], materialiser->sequences[w],
                              memory_order_release);
        agent_wake(&run->workers[w].agent);
    }
    fold_clear(materialiser->fold);
    materialiser->step = STEP_IDLE;
    return 1;
}

static bool is_wanted(const struct materialiser *materialiser)
{
    /* acquire, pairs with the release of the worker that has no room */
    return atomic_load_explicit(&materialiser->hurry, memory_order_acquire) ||
           materialiser_redo_bytes(materialiser) >=
               (int64_t)materialiser->run->options.redo_bytes / 4 * 3;
}

/* Compaction has to keep up, or RocksDB would stop all writes, blocks too. The redo bound then
 * stops the workers. */
static bool level0_is_full(struct materialiser *materialiser)
{
    return look_at_level0(materialiser) >= LEVEL0_FILES_MAX;
}

int materialiser_do_work(void *self)
{
    struct materialiser *materialiser = self;
    struct run *run = materialiser->run;
    if (run_failed(run))
        return 0;
    switch (materialiser->step) {
    case STEP_INGEST:
        return MUTANT(MUTANT_DELETE_BEFORE_INGEST) ? delete_blocks(materialiser)
                                                   : ingest(materialiser);
    case STEP_DELETE:
        return delete_blocks(materialiser);
    case STEP_IDLE:
        break;
    }
    materialiser->agent.park_ns = AGENT_REST_NS; /* storage wakes it behind each write and sync */
    if (!is_wanted(materialiser))
        return 0;
    if (storage_synced_number(run->storage) == materialiser_through(materialiser)) {
        storage_want_sync(run->storage); /* of what is written, if anything is */
        return 0;
    }
    if (level0_is_full(materialiser)) {
        materialiser->agent.park_ns = COMPACTION_LOOK_NS;
        return 0;
    }
    atomic_store_explicit(&materialiser->hurry, false, memory_order_relaxed);
    return read_blocks(materialiser);
}
