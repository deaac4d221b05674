#include "runtime/outbox.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "base/units.h"
#include "runtime/delivery.h"
#include "runtime/storage.h"
#include "runtime/worker_applied.h"
#include "runtime/worker_store.h"

/* Whose letter it is: where the source has no order, and has to be told. */
struct origin {
    strid_position position;
    uint32_t partition; /* number in the directory */
};

/* In `refs`, followed by the key and, where `has_origin`, the origin, without padding. */
struct ref {
    uint64_t seq;
    uint64_t block; /* sequence of the block that holds it; 0: of an earlier run */
    uint64_t bytes; /* of the letter */
    uint32_t hash;
    uint32_t key_len;
    uint8_t store;
    bool has_origin;
};

enum { COMPACT_BYTES = 64 * 1024 };
_Static_assert((int)OUTBOX_LISTS <= (int)WORKER_BLOCKS, "the ring to a delivery holds them all");

void outbox_init(struct outbox *outbox) { outbox->from_delivery = ring_create(OUTBOX_LISTS); }

void outbox_fini(struct outbox *outbox)
{
    for (uint32_t i = 0; i < OUTBOX_LISTS; i++) {
        buffer_fini(&outbox->lists[i].bytes);
        buffer_fini(&outbox->lists[i].declined);
    }
    buffer_fini(&outbox->refs);
    buffer_fini(&outbox->value);
    buffer_fini(&outbox->headers);
    ring_destroy(outbox->from_delivery);
}

static void show(struct outbox *outbox)
{
    atomic_store_explicit(&outbox->bytes_shown, outbox->bytes, memory_order_relaxed);
    atomic_store_explicit(&outbox->added_shown, outbox->sequence, memory_order_relaxed);
    atomic_store_explicit(&outbox->deleted_shown, outbox->deleted, memory_order_relaxed);
    /* release: who sees the number sees `deleted_in` */
    atomic_store_explicit(&outbox->entries_shown, outbox->entries, memory_order_release);
}

static void put_ref(struct outbox *outbox, const struct ref *ref, strid_bytes key,
                    const struct retry_record *letter)
{
    const struct origin origin = {.position = letter->record.position,
                                  .partition = letter->partition};
    buffer_put(&outbox->refs, ref, sizeof *ref);
    buffer_put_bytes(&outbox->refs, key);
    if (ref->has_origin)
        buffer_put(&outbox->refs, &origin, sizeof origin);
    outbox->entries++;
    outbox->bytes += ref->bytes;
}

static struct ref ref_at(const struct outbox *outbox, size_t at)
{
    struct ref ref;
    STRID_ASSERT(at + sizeof ref <= outbox->refs.len);
    memcpy(&ref, outbox->refs.data + at, sizeof ref);
    return ref;
}

static size_t ref_end(size_t at, const struct ref *ref)
{
    return at + sizeof *ref + ref->key_len + (ref->has_origin ? sizeof(struct origin) : 0);
}

/* `subkey` is the caller's. */
static struct worker_store_key key_of(const struct outbox *outbox, size_t at,
                                      uint8_t subkey[RETRY_SUBKEY_BYTES])
{
    struct ref ref = ref_at(outbox, at);
    retry_record_subkey(subkey, ref.seq);
    return (struct worker_store_key){
        .store = ref.store,
        .hash = ref.hash,
        .key = strid_bytes_of(outbox->refs.data + at + sizeof ref, ref.key_len),
        .subkey = strid_bytes_of(subkey, RETRY_SUBKEY_BYTES)};
}

/* How often the record was handed back after it was dead-lettered: one more header says so. */
static uint32_t ordinal_of(const strid_record *record)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < record->header_count; i++) {
        strid_bytes value = record->headers[i].value;
        if (!strid_bytes_equal(record->headers[i].name, strid_bytes_of_text(STRID_HEADER_REPLAYS)))
            continue;
        count = 0;
        for (size_t at = 0; at < value.len && count < UINT32_MAX / 10; at++)
            if (value.data[at] >= '0' && value.data[at] <= '9')
                count = 10 * count + (uint64_t)(value.data[at] - '0');
    }
    return (uint32_t)count;
}

/* A key that is too long for the state has its letter under the key of its partition. */
static struct worker_store_key place_of(const struct partition *partition,
                                        const strid_record *record, uint32_t hash)
{
    struct worker_store_key key = {.store = OUTBOX_STORE, .hash = hash, .key = record->key};
    if (key.key.data == NULL || key.key.len > KEY_RECORD_KEY_MAX) {
        key.key = strid_bytes_of(partition->key_bytes, sizeof partition->key_bytes);
        key.store |= KEY_STORE_KEYLESS;
    }
    return key;
}

/* Of a partition that the source does not have now the identity is known; what waited since it had
 * it knows its topic. */
static strid_bytes topic_of(const struct worker *worker, const struct partition *partition)
{
    if (partition->index >= worker->run->partition_count && worker->retry.key != NULL)
        return worker->retry.topic;
    return strid_bytes_of_text(partition->origin.topic);
}

void outbox_add(struct worker *worker, uint32_t index, const strid_record *record, uint32_t hash,
                const struct outbox_failure *failure)
{
    struct outbox *outbox = &worker->outbox;
    const struct partition *partition = &worker->run->partitions[index];
    struct worker_store_key key = place_of(partition, record, hash);
    struct outbox_record letter = {.partition = partition->origin.partition,
                                   .ordinal = ordinal_of(record),
                                   .letter = {.record = *record,
                                              .partition = partition->stored->number,
                                              .attempt = failure->attempts,
                                              .first_ms = failure->first_ms,
                                              .last_ms = failure->last_ms,
                                              .topic = topic_of(worker, partition),
                                              .reason = failure->reason}};
    buffer_clear(&outbox->value);
    outbox_record_put(&outbox->value, &letter);
    size_t at = outbox->refs.len;
    put_ref(outbox,
            &(struct ref){.seq = ++outbox->sequence,
                          .block = worker->sequence,
                          .bytes = outbox->value.len,
                          .hash = hash,
                          .key_len = (uint32_t)key.key.len,
                          .store = key.store,
                          .has_origin = worker->run->acknowledger != NULL},
            key.key, &letter.letter);
    /* From here on by the copies: the record may lie in the cache, which moves. */
    uint8_t subkey[RETRY_SUBKEY_BYTES];
    key = key_of(outbox, at, subkey);
    worker_store_put(
        worker, &key,
        &(struct key_value){.kind = STRID_STATE_BYTES, .bytes = buffer_bytes(&outbox->value)});
    worker_store_count(worker, OUTBOX_STORE, hash, 1);
    worker_applied_keep(worker);
    show(outbox);
}

/* Its record is not acknowledged, and perhaps comes again. */
static void recall(struct worker *worker, uint32_t hash, const struct retry_record *letter)
{
    const struct partition *partition = run_partition(worker->run, letter->partition);
    if (partition != NULL)
        worker_applied_recall(worker, partition, letter->record.position, hash >> 24);
}

/* The queue has the letter at `at`: its record is settled. Or the queue declined it: the record is
 * another node's. */
static void settle(struct worker *worker, size_t at, const struct ref *ref, bool is_declined)
{
    struct origin origin;
    if (!ref->has_origin)
        return;
    memcpy(&origin, worker->outbox.refs.data + at + sizeof *ref + ref->key_len, sizeof origin);
    const struct partition *partition = run_partition(worker->run, origin.partition);
    if (partition != NULL && is_declined)
        worker_applied_release(worker, partition, origin.position);
    else if (partition != NULL)
        worker_applied_settle(worker, partition, origin.position, ref->hash >> 24);
}

static bool take_left(void *user, const struct key_state *key, const struct key_value *value)
{
    struct worker *worker = user;
    struct outbox *outbox = &worker->outbox;
    struct outbox_record letter;
    struct ref ref = {.bytes = value->bytes.len,
                      .hash = key->hash,
                      .key_len = (uint32_t)key_record_of(key).len,
                      .store = key->store,
                      .has_origin = worker->run->acknowledger != NULL};
    if (key->sub_len == 0)
        return true; /* a count */
    if (value->kind != STRID_STATE_BYTES || !retry_record_seq(key_subkey_of(key), &ref.seq) ||
        !outbox_record_get(value->bytes, &outbox->headers, &letter)) {
        strid_error err = STRID_ERROR_INIT;
        (void)error_set(&err, STRID_EVERSION, "outbox",
                        "a dead letter in %s cannot be read: a later version has written it; "
                        "run that one, or restore the directory from a backup",
                        worker->run->directory->url);
        run_fail(worker->run, &err);
        return false;
    }
    put_ref(outbox, &ref, key_record_of(key), &letter.letter);
    recall(worker, key->hash, &letter.letter);
    if (outbox->sequence < ref.seq)
        outbox->sequence = ref.seq;
    return true;
}

struct place {
    uint64_t seq;
    size_t at;
};

static int compare_places(const void *a, const void *b)
{
    uint64_t first = ((const struct place *)a)->seq, second = ((const struct place *)b)->seq;
    return (first > second) - (first < second);
}

/* They were found in no order. Those of one key have different sequences, whoever wrote them. */
static void sort_refs(struct outbox *outbox)
{
    struct buffer sorted = {0};
    struct place *places = memory_alloc((outbox->entries + 1) * sizeof *places);
    size_t count = 0;
    for (size_t at = 0; at < outbox->refs.len;) {
        struct ref ref = ref_at(outbox, at);
        places[count++] = (struct place){ref.seq, at};
        at = ref_end(at, &ref);
    }
    STRID_ASSERT(count == outbox->entries);
    qsort(places, count, sizeof *places, compare_places);
    for (size_t i = 0; i < count; i++) {
        struct ref ref = ref_at(outbox, places[i].at);
        buffer_put(&sorted, outbox->refs.data + places[i].at, ref_end(0, &ref));
    }
    buffer_fini(&outbox->refs);
    outbox->refs = sorted;
    memory_free(places);
}

static void load(struct worker *worker)
{
    struct outbox *outbox = &worker->outbox;
    const struct run *run = worker->run;
    if (!MUTANT(MUTANT_OUTBOX_FORGOTTEN) &&
        !worker_store_each_counted(worker, OUTBOX_STORE, take_left, worker))
        return; /* the run has failed */
    sort_refs(outbox);
    if (outbox->entries > 0)
        log_info(run->log, "outbox", "sending %" PRIu64 " dead letter%s of an earlier run",
                 outbox->entries, units_plural(outbox->entries));
    show(outbox);
    atomic_store_explicit(&outbox->loaded, true, memory_order_release);
}

/* What is before `delete_at` is void: moved over once that costs little for what it frees. */
static void compact(struct outbox *outbox)
{
    size_t left = outbox->refs.len - outbox->delete_at;
    if (left > 0 && (outbox->delete_at < COMPACT_BYTES || outbox->delete_at < left))
        return;
    memmove(outbox->refs.data, outbox->refs.data + outbox->delete_at, left);
    outbox->refs.len = left;
    outbox->lend_at -= outbox->delete_at;
    outbox->delete_at = 0;
    if (left == 0 && outbox->refs.capacity > COMPACT_BYTES)
        buffer_fini(&outbox->refs);
}

static uint32_t next_declined(const struct output_list *list, size_t at)
{
    uint32_t place = UINT32_MAX;
    if (at < list->declined.len)
        memcpy(&place, list->declined.data + at, sizeof place);
    return place;
}

static void delete_letters(struct worker *worker, const struct output_list *list)
{
    struct outbox *outbox = &worker->outbox;
    uint8_t subkey[RETRY_SUBKEY_BYTES];
    size_t declined_at = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const bool is_declined = next_declined(list, declined_at) == i;
        declined_at += is_declined ? sizeof i : 0;
        STRID_ASSERT(outbox->delete_at < outbox->lend_at);
        struct ref ref = ref_at(outbox, outbox->delete_at);
        struct worker_store_key key = key_of(outbox, outbox->delete_at, subkey);
        worker_store_delete(worker, &key);
        worker_store_count(worker, OUTBOX_STORE, ref.hash, -1);
        settle(worker, outbox->delete_at, &ref, is_declined);
        outbox->deleted = ref.seq;
        outbox->delete_at = ref_end(outbox->delete_at, &ref);
        outbox->entries--;
        outbox->bytes -= ref.bytes;
    }
    compact(outbox);
    atomic_store_explicit(&outbox->deleted_in, worker->sequence, memory_order_relaxed);
    show(outbox);
    CRASH_POINT("outbox_deleted");
}

/* The next letters that a sync covers, into a list of their own. false: the store failed. */
static bool fill(struct worker *worker, struct output_list *list)
{
    struct outbox *outbox = &worker->outbox;
    uint64_t synced = MUTANT(MUTANT_OUTBOX_UNSYNCED)
                          ? UINT64_MAX
                          : storage_synced_sequence(worker->run->storage, worker->index);
    uint8_t subkey[RETRY_SUBKEY_BYTES];
    buffer_clear(&list->bytes);
    buffer_clear(&list->declined);
    list->count = 0;
    while (outbox->lend_at < outbox->refs.len && list->count < OUTBOX_LETTERS &&
           list->bytes.len < OUTBOX_LIST_BYTES) {
        struct ref ref = ref_at(outbox, outbox->lend_at);
        struct worker_store_key key = key_of(outbox, outbox->lend_at, subkey);
        struct key_value value;
        if (ref.block > synced)
            break;
        if (!worker_store_get(worker, &key, &value))
            return false;
        STRID_ASSERT(value.kind == STRID_STATE_BYTES); /* nobody else deletes it */
        output_put_dead_letter(list, value.bytes);
        if (MUTANT(MUTANT_LETTER_EARLY))
            settle(worker, outbox->lend_at, &ref, false);
        outbox->lend_at = ref_end(outbox->lend_at, &ref);
    }
    return true;
}

static bool has_queue(struct worker *worker)
{
    struct run *run = worker->run;
    if (run->deliveries[run->delivery_count - 1].instance->definition != NULL)
        return true;
    strid_error err = STRID_ERROR_INIT;
    (void)error_set(&err, STRID_ECONFIG, "outbox",
                    "%" PRIu64 " dead letter%s of an earlier run left in %s, and there is no "
                    "dead-letter queue; add `dlq: { url: ... }` to the pipeline and run it again",
                    worker->outbox.entries, units_plural(worker->outbox.entries),
                    run->directory->url);
    run_fail(run, &err);
    return false;
}

static int lend(struct worker *worker)
{
    struct outbox *outbox = &worker->outbox;
    struct run *run = worker->run;
    struct delivery *delivery = &run->deliveries[run->delivery_count - 1];
    int work = 0;
    while (outbox->lent < OUTBOX_LISTS && outbox->lend_at < outbox->refs.len) {
        struct output_list *list = &outbox->lists[outbox->next];
        list->worker = worker->index;
        if (!has_queue(worker) || !fill(worker, list))
            return 0;
        if (list->count == 0)
            break;
        bool pushed = ring_push(delivery->from_workers[worker->index], list);
        STRID_ASSERT(pushed); /* the ring holds all lists of the worker */
        outbox->next = (outbox->next + 1) % OUTBOX_LISTS;
        outbox->lent++;
        agent_wake(&delivery->agent);
        CRASH_POINT("outbox_lent");
        if (MUTANT(MUTANT_OUTBOX_DELETED_EARLY))
            delete_letters(worker, list);
        work = 1;
    }
    return work;
}

int outbox_step(struct worker *worker)
{
    struct outbox *outbox = &worker->outbox;
    int work = 0;
    if (__builtin_expect(!atomic_load_explicit(&outbox->loaded, memory_order_relaxed), 0)) {
        load(worker);
        work = 1;
    }
    if (__builtin_expect(outbox->entries == 0, 1))
        return work;
    struct output_list *list = ring_pop(outbox->from_delivery);
    if (list != NULL) {
        outbox->lent--;
        if (!MUTANT(MUTANT_OUTBOX_DELETED_EARLY))
            delete_letters(worker, list);
        work = 1;
    }
    return work + (run_failed(worker->run) ? 0 : lend(worker));
}

bool outbox_is_full(struct worker *worker)
{
    struct outbox *outbox = &worker->outbox;
    const struct run *run = worker->run;
    const struct run_options *options = &run->options;
    if (__builtin_expect(outbox->entries < options->outbox_entries &&
                             outbox->bytes < options->outbox_bytes &&
                             outbox->refs.len - outbox->delete_at < options->outbox_refs,
                         1)) {
        outbox->told_full = false;
        return false;
    }
    if (!outbox->told_full)
        log_warn(run->log, "outbox",
                 "no room for more than the %" PRIu64 " dead letter%s (%" PRIu64 " bytes) that the "
                 "dead-letter queue did not take yet: nothing is lost, reading waits until it does",
                 outbox->entries, units_plural(outbox->entries), outbox->bytes);
    outbox->told_full = true;
    /* Who syncs rarely must not keep the letters waiting now. */
    storage_want_sync(run->storage);
    return true;
}

uint64_t outbox_added(const struct outbox *outbox)
{
    return atomic_load_explicit(&outbox->added_shown, memory_order_relaxed);
}

bool outbox_is_past(const struct outbox *outbox, uint64_t sequence)
{
    return atomic_load_explicit(&outbox->entries_shown, memory_order_acquire) == 0 ||
           atomic_load_explicit(&outbox->deleted_shown, memory_order_relaxed) >= sequence;
}

bool outbox_is_settled(struct worker *worker)
{
    const struct outbox *outbox = &worker->outbox;
    if (MUTANT(MUTANT_OUTBOX_IGNORED_AT_END))
        return true;
    if (!atomic_load_explicit(&outbox->loaded, memory_order_acquire) ||
        /* acquire: `deleted_in` is then that of the last deletion */
        atomic_load_explicit(&outbox->entries_shown, memory_order_acquire) > 0)
        return false;
    return storage_synced_sequence(worker->run->storage, worker->index) >=
           atomic_load_explicit(&outbox->deleted_in, memory_order_relaxed);
}
