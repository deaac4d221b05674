#include "runtime/worker_applied.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/acknowledger.h"
#include "runtime/committer.h"
#include "runtime/storage.h"
#include "runtime/worker_store.h"

enum { FORGET_AHEAD = 8 };

void worker_applied_init(struct worker *worker)
{
    if (worker->run->acknowledger == NULL)
        return;
    worker->applied.highest =
        memory_alloc_zeroed((worker->run->partition_count + 1) * sizeof(strid_position));
}

void worker_applied_fini(struct worker *worker)
{
    struct worker_applied *applied = &worker->applied;
    applied_batch_destroy(applied->open);
    for (struct applied_batch *batch = applied->ready; batch != NULL;) {
        struct applied_batch *behind = batch->behind;
        applied_batch_destroy(batch);
        batch = behind;
    }
    applied_set_fini(&applied->set);
    buffer_fini(&applied->value);
    memory_free(applied->highest);
    *applied = (struct worker_applied){.made = 0};
}

static struct worker_store_key name_of(const struct applied_batch *batch)
{
    return (struct worker_store_key){.store = APPLIED_STORE,
                                     .hash = batch->hash,
                                     .key = strid_bytes_of(batch->key, sizeof batch->key)};
}

static void make_ready(struct worker_applied *applied, struct applied_batch *batch)
{
    batch->behind = NULL;
    if (applied->ready == NULL)
        applied->ready = batch;
    else
        applied->ready_last->behind = batch;
    applied->ready_last = batch;
}

static void count_batch(struct worker_applied *applied)
{
    atomic_fetch_add_explicit(&applied->batches, 1, memory_order_relaxed);
}

static void raise_highest(struct worker_applied *applied, uint32_t partition,
                          strid_position position)
{
    if (strid_position_compare(position, applied->highest[partition]) > 0)
        applied->highest[partition] = position;
}

/* Of a partition that the source does not have now, as of a stream that was taken out of the URL:
 * nobody can be told of it, and it is kept for a run whose source has that partition again. */
static bool is_away(const struct run *run, uint32_t partition)
{
    return partition >= run->partition_count;
}

static uint32_t count_away(const struct run *run, const struct applied_batch *batch)
{
    const struct applied_item *items = applied_batch_items(batch);
    uint32_t away = 0;
    for (uint32_t i = 0; i < applied_batch_count(batch); i++)
        away += is_away(run, items[i].partition);
    return away;
}

/* The source counts what it delivers until it is told of it. What an earlier run has left, and what
 * this one tells of without a delivery, counts like one. */
static void count_recalled(const struct run *run, uint32_t partition)
{
    if (run->source_ops->recall != NULL)
        run->source_ops->recall(run->source, partition, 1);
}

static void count_released(const struct run *run, uint32_t partition)
{
    if (run->source_ops->release != NULL)
        run->source_ops->release(run->source, partition, 1);
}

struct load {
    struct worker *worker;
    bool damaged;
};

static bool take_stored(void *user, strid_bytes encoded_key, strid_bytes encoded_value)
{
    struct load *load = user;
    struct worker *worker = load->worker;
    const struct run *run = worker->run;
    struct key_state key;
    struct key_value value;
    struct applied_batch *batch = applied_batch_create(run->partition_count);
    load->damaged = !key_get_state(encoded_key, &key) || !key_get_value(encoded_value, &value) ||
                    key.key.len != sizeof batch->key || !applied_decode(run, value.bytes, batch);
    const struct applied_item *items = applied_batch_items(batch);
    for (uint32_t i = 0; !load->damaged && i < applied_batch_count(batch); i++) {
        if (is_away(run, items[i].partition))
            continue;
        raise_highest(&worker->applied, items[i].partition, items[i].position);
        if (run->worker_of[items[i].vshard] == worker->index)
            applied_set_add(&worker->applied.set, &items[i]);
    }
    const uint32_t away = load->damaged ? 0 : count_away(run, batch);
    const bool stays = away > 0 && away == applied_batch_count(batch);
    if (load->damaged || stays || run->worker_of[key.hash >> 24] != worker->index) {
        applied_batch_destroy(batch);
        return !load->damaged;
    }
    for (uint32_t i = 0; i < applied_batch_count(batch); i++)
        if (!is_away(run, items[i].partition))
            count_recalled(run, items[i].partition);
    batch->hash = key.hash;
    memcpy(batch->key, key.key.data, sizeof batch->key);
    count_batch(&worker->applied);
    make_ready(&worker->applied, batch); /* block 0: it is durable */
    return true;
}

strid_status worker_applied_load(struct worker *worker, strid_error *err)
{
    const struct directory *directory = worker->run->directory;
    struct load load = {.worker = worker};
    if (worker->run->acknowledger == NULL)
        return STRID_OK;
    for (uint32_t v = 0; v < KEY_VSHARDS; v++) {
        uint8_t from[] = {'s', (uint8_t)v, APPLIED_STORE};
        uint8_t to[] = {'s', (uint8_t)v, APPLIED_STORE + 1};
        STRID_TRY(directory->ops->scan(directory->store, strid_bytes_of(from, sizeof from),
                                       strid_bytes_of(to, sizeof to), take_stored, &load, err));
        if (load.damaged)
            return error_set(err, STRID_ECORRUPT, "state",
                             "what %s says of records that are not yet acknowledged is damaged; "
                             "restore the directory from a backup",
                             directory->url);
    }
    return STRID_OK;
}

static void put_be64(uint8_t *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

static struct applied_batch *open_batch(struct worker *worker)
{
    struct worker_applied *applied = &worker->applied;
    if (applied->open != NULL)
        return applied->open;
    struct applied_batch *batch = applied_batch_create(worker->run->partition_count);
    batch->hash =
        worker->index << 24; /* worker_of gives the first vshards to the workers in turn */
    put_be64(batch->key, worker->run->directory->run.run);
    put_be64(batch->key + 8, ++applied->made);
    batch->key[16] = (uint8_t)worker->index;
    count_batch(applied);
    return applied->open = batch;
}

static void close_batch(struct worker *worker)
{
    struct worker_applied *applied = &worker->applied;
    struct applied_batch *batch = applied->open;
    if (batch == NULL)
        return;
    buffer_clear(&applied->value);
    applied_encode(worker->run, batch, 0, &applied->value);
    struct worker_store_key name = name_of(batch);
    worker_store_put(
        worker, &name,
        &(struct key_value){.kind = STRID_STATE_BYTES, .bytes = buffer_bytes(&applied->value)});
    batch->block = worker->sequence;
    applied->open = NULL;
    make_ready(applied, batch);
}

static struct applied_item item_of(uint32_t partition, const struct chunk_slot *slot)
{
    return (struct applied_item){.position = slot->record.position,
                                 .partition = partition,
                                 .vshard = (uint8_t)(slot->hash >> 56)};
}

static void collect(struct worker *worker, const struct applied_item *item)
{
    struct applied_batch *batch = open_batch(worker);
    buffer_put(&batch->items, item, sizeof *item);
    if (applied_batch_count(batch) >= APPLIED_BATCH_MAX)
        close_batch(worker);
}

bool worker_applied_has(struct worker *worker, uint32_t partition, const struct chunk_slot *slot)
{
    struct worker_applied *applied = &worker->applied;
    if (strid_position_compare(slot->record.position, applied->highest[partition]) > 0 ||
        MUTANT(MUTANT_NO_DEDUP))
        return false;
    const struct applied_item *known =
        applied_set_find(&applied->set, partition, slot->record.position);
    if (known == NULL)
        return false;
    if (known->state != APPLIED_SETTLED) { /* one that waits is in hand once */
        if (!MUTANT(MUTANT_COPY_OWED))
            count_released(worker->run, partition);
        return true;
    }
    struct applied_item item = item_of(partition, slot);
    collect(worker, &item);
    return true;
}

void worker_applied_add(struct worker *worker, uint32_t partition, const struct chunk_slot *slot)
{
    struct worker_applied *applied = &worker->applied;
    struct applied_item item = item_of(partition, slot);
    const bool is_kept = applied->is_kept;
    applied->is_kept = false;
    if (is_kept)
        item.state = APPLIED_WAITS;
    raise_highest(applied, partition, item.position);
    applied_set_add(&applied->set, &item);
    if (!is_kept || MUTANT(MUTANT_ACK_WAITING))
        collect(worker, &item);
}

static bool is_acknowledged(const struct worker *worker, const struct partition *partition)
{
    return worker->run->acknowledger != NULL && !is_away(worker->run, partition->index);
}

void worker_applied_recall(struct worker *worker, const struct partition *partition,
                           strid_position position, uint32_t vshard)
{
    struct applied_item item = {.position = position,
                                .partition = partition->index,
                                .vshard = (uint8_t)vshard,
                                .state = APPLIED_WAITS};
    if (!is_acknowledged(worker, partition))
        return;
    count_recalled(worker->run, partition->index);
    raise_highest(&worker->applied, partition->index, position);
    applied_set_add(&worker->applied.set, &item);
}

void worker_applied_settle(struct worker *worker, const struct partition *partition,
                           strid_position position, uint32_t vshard)
{
    struct applied_set *set = &worker->applied.set;
    if (worker->run->acknowledger == NULL)
        return;
    if (is_away(worker->run, partition->index)) {
        collect(worker, &(struct applied_item){.position = position,
                                               .partition = partition->index,
                                               .vshard = (uint8_t)vshard});
        return;
    }
    struct applied_item *known = applied_set_find(set, partition->index, position);
    if (known == NULL || known->state == APPLIED_SETTLED) { /* an older version has not kept it */
        worker_applied_recall(worker, partition, position, vshard);
        known = applied_set_find(set, partition->index, position);
    }
    STRID_ASSERT(known != NULL);
    known->state = APPLIED_SETTLED;
    const struct applied_item item = *known;
    collect(worker, &item);
}

/* A copy that a chunk holds is handled, too, and counts for itself. */
void worker_applied_release(struct worker *worker, const struct partition *partition,
                            strid_position position)
{
    struct applied_set *set = &worker->applied.set;
    if (!is_acknowledged(worker, partition))
        return;
    const struct applied_item *known = applied_set_find(set, partition->index, position);
    if (known == NULL || known->state == APPLIED_SETTLED)
        return;
    if (MUTANT(MUTANT_DECLINED_ACKED)) {
        worker_applied_settle(worker, partition, position, known->vshard);
        return;
    }
    const struct applied_item item = *known;
    if (!MUTANT(MUTANT_DECLINED_KEPT))
        applied_set_remove(set, &item);
    if (!MUTANT(MUTANT_DECLINED_OWED))
        count_released(worker->run, partition->index);
}

void worker_applied_seal(struct worker *worker) { close_batch(worker); }

/* What is away stays in its entry. */
static void shrink_entry(struct worker *worker, const struct applied_batch *batch)
{
    struct buffer *value = &worker->applied.value;
    const struct worker_store_key name = name_of(batch);
    const uint32_t away = count_away(worker->run, batch);
    if (away == 0) {
        worker_store_delete(worker, &name);
    } else if (away < applied_batch_count(batch)) {
        buffer_clear(value);
        applied_encode(worker->run, batch, worker->run->partition_count, value);
        worker_store_put(
            worker, &name,
            &(struct key_value){.kind = STRID_STATE_BYTES, .bytes = buffer_bytes(value)});
    }
}

static void forget(struct worker *worker, struct applied_batch *batch)
{
    const struct applied_item *items = applied_batch_items(batch);
    const uint32_t count = applied_batch_count(batch);
    struct worker_applied *applied = &worker->applied;
    for (uint32_t i = 0; i < count; i++) {
        const struct applied_item *ahead = &items[i + FORGET_AHEAD < count ? i + FORGET_AHEAD : i];
        applied_set_prefetch(&applied->set, ahead->partition, ahead->position);
        applied_set_remove(&applied->set, &items[i]);
    }
    shrink_entry(worker, batch);
    applied_batch_destroy(batch);
    atomic_store_explicit(&applied->forgotten_in, worker->sequence, memory_order_relaxed);
    atomic_fetch_sub_explicit(&applied->batches, 1, memory_order_release);
}

bool worker_applied_is_forgotten(const struct worker *worker)
{
    const struct worker_applied *applied = &worker->applied;
    return atomic_load_explicit(&applied->batches, memory_order_acquire) == 0 &&
           atomic_load_explicit(&applied->forgotten_in, memory_order_relaxed) <=
               storage_synced_sequence(worker->run->storage, worker->index);
}

/* A batch is handed over when its block has been: what has no room in the ring waits. */
static int hand_over(struct worker *worker)
{
    struct worker_applied *applied = &worker->applied;
    struct ring *to = acknowledger_from_worker(worker->run->acknowledger, worker->index);
    int work = 0;
    while (applied->ready != NULL) {
        struct applied_batch *batch = applied->ready, *behind = batch->behind;
        if (worker->block != NULL && batch->block == worker->block->sequence)
            break; /* of the open block, which is not sealed yet */
        if (!ring_push(to, batch))
            break;
        applied->ready = behind;
        work++;
    }
    if (work > 0)
        agent_wake(committer_agent(worker->run->committer));
    return work;
}

void worker_applied_sealed(struct worker *worker)
{
    if (worker->run->acknowledger != NULL)
        (void)hand_over(worker);
}

int worker_applied_do_work(struct worker *worker, bool may_write)
{
    const struct run *run = worker->run;
    if (run->acknowledger == NULL)
        return 0;
    int work = hand_over(worker);
    struct ring *back = acknowledger_to_worker(run->acknowledger, worker->index);
    struct applied_batch *batch = may_write ? ring_pop(back) : NULL;
    if (batch == NULL)
        return work;
    forget(worker, batch);
    return work + 1;
}
