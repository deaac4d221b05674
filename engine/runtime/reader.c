#define XXH_INLINE_ALL
#include "runtime/reader.h"

#include <xxhash.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/committer.h"
#include "runtime/storage.h"
#include "runtime/worker.h"

enum {
    ROUNDS_PER_SLAB = 1024,
    WAKE_WORKER_EVERY = 8,  /* chunks for it */
    WAKE_AFTER_NS = 2000000 /* at the latest, also while more comes for others */
};

static struct round *take_round(struct reader *reader)
{
    for (struct round *back; (back = ring_pop(reader->from_committer_rounds)) != NULL;) {
        back->behind = reader->free_rounds;
        reader->free_rounds = back;
        reader->rounds_out--;
    }
    if (reader->free_rounds == NULL) {
        struct round *slab = memory_alloc_zeroed(ROUNDS_PER_SLAB * sizeof *slab);
        buffer_put(&reader->rounds, &slab, sizeof slab);
        for (uint32_t i = 0; i < ROUNDS_PER_SLAB; i++) {
            slab[i].behind = reader->free_rounds;
            reader->free_rounds = &slab[i];
        }
    }
    struct round *round = reader->free_rounds;
    reader->free_rounds = round->behind;
    return round;
}

/* The one that came back first, which is faster than the last, on one core and on two
 * (docs/benchmarks.md). All are taken back at once where large ones are among them. */
static struct chunk *take_chunk(struct reader *reader)
{
    struct chunk *chunk = NULL;
    while ((reader->free_count == 0 || reader->grown_bytes > 0) &&
           (chunk = ring_pop(reader->from_committer_chunks)) != NULL) {
        reader->grown_bytes -= chunk->arena_bytes - CHUNK_ARENA_BYTES;
        chunk_reset(chunk);
        reader->free_chunks[reader->free_count++] = chunk;
    }
    return reader->free_count == 0 ? NULL : reader->free_chunks[--reader->free_count];
}

/* Large records have arenas of their own size: no more of them at a time than there is memory for,
 * one in any case. */
static bool is_overgrown(const struct reader *reader)
{
    return reader->grown_bytes > 0 && reader->grown_bytes >= reader->run->options.grown_bytes;
}

static void push_chunk(struct reader *reader, struct chunk *chunk)
{
    uint32_t worker = chunk->worker;
    reader->open[worker] = NULL;
    reader->grown_bytes += chunk->arena_bytes - CHUNK_ARENA_BYTES;
    bool pushed = ring_push(reader->to_workers[worker], chunk);
    STRID_ASSERT(pushed); /* the ring holds all chunks of the reader */
    if (MUTANT(MUTANT_CHUNK_EARLY) && reader->free_count == 0)
        reader->free_chunks[reader->free_count++] = chunk;
    if (++reader->unwoken[worker] >= WAKE_WORKER_EVERY) {
        reader->unwoken[worker] = 0;
        agent_wake(&reader->run->workers[worker].agent);
    }
}

/* A wake-up costs more than handling some records: while more comes in, a few chunks share one. */
static void wake_workers(struct reader *reader)
{
    reader->unwoken_since_ns = 0;
    for (uint32_t w = 0; w < reader->run->worker_count; w++) {
        if (reader->unwoken[w] == 0)
            continue;
        reader->unwoken[w] = 0;
        agent_wake(&reader->run->workers[w].agent);
    }
}

/* Behind a poll in which something came. */
static bool is_time_to_wake(struct reader *reader)
{
    int64_t now = clock_monotonic_ns(reader->run->clock);
    if (reader->unwoken_since_ns == 0)
        reader->unwoken_since_ns = now;
    return now - reader->unwoken_since_ns >= WAKE_AFTER_NS;
}

static struct chunk *open_chunk(struct reader *reader, uint32_t worker)
{
    struct chunk *chunk = take_chunk(reader);
    if (chunk == NULL)
        return NULL;
    if (__builtin_expect(is_overgrown(reader), 0)) {
        reader->free_chunks[reader->free_count++] = chunk;
        return NULL;
    }
    struct partition *partition = &reader->run->partitions[reader->current->partition];
    chunk->partition = partition->index;
    chunk->epoch = atomic_load_explicit(&partition->epoch, memory_order_acquire);
    chunk->reader = reader->index;
    chunk->worker = worker;
    chunk->round = reader->round;
    reader->open[worker] = chunk;
    return chunk;
}

/* A position that does not rise is a defect of the source, or the source was replaced under our
 * feet. */
static strid_status refuse_backwards(struct reader *reader, const strid_raw *raw)
{
    struct partition *partition = &reader->run->partitions[reader->current->partition];
    reader->status = error_set(
        reader->err, STRID_EGAP, "reader",
        "%s partition %u (%s): position %llu-%llu came after %llu-%llu; the source ran backwards: "
        "check it, then start again",
        partition->origin.source, partition->origin.partition, partition->origin.topic,
        (unsigned long long)raw->position.high, (unsigned long long)raw->position.low,
        (unsigned long long)reader->current->last.high,
        (unsigned long long)reader->current->last.low);
    reader->full = true;
    return STRID_AGAIN;
}

static uint64_t hash_of(const struct run *run, const struct partition *partition,
                        const struct decoded *decoded)
{
    uint64_t hash = partition->key_hash;
    if (decoded->fault == NULL && decoded->key.data != NULL)
        hash = XXH3_64bits_withSeed(decoded->key.data, decoded->key.len, run->directory->seed);
    return run_hash(run, hash);
}

static strid_status deliver(struct reader *reader, const strid_raw *raw,
                            const struct decoded *decoded)
{
    struct run *run = reader->run;
    struct partition *partition = &run->partitions[reader->current->partition];
    uint64_t hash = hash_of(run, partition, decoded);
    uint32_t worker = run->worker_of[hash >> 56];
    struct chunk *chunk = reader->open[worker];
    uint32_t fields = run->definition->decode.field_count;
    if (chunk == NULL)
        chunk = open_chunk(reader, worker);
    if (chunk != NULL && !chunk_add(chunk, raw, decoded, &partition->origin, fields, hash)) {
        push_chunk(reader, chunk);
        chunk = open_chunk(reader, worker);
        if (chunk != NULL)
            (void)chunk_add(chunk, raw, decoded, &partition->origin, fields, hash);
    }
    if (chunk == NULL) {
        reader->full = true;
        return STRID_AGAIN;
    }
    if (chunk->count >= run->options.chunk_records)
        reader->full = true;
    reader->round->records++;
    return STRID_OK;
}

/* Member by member, and compiled so (CMakeLists.txt): the source has just written them one by one,
 * and a load wider than the stores before it waits until they have left the store buffer. */
static inline void set_position(strid_position *to, const strid_position *from)
{
    to->high = from->high;
    to->low = from->low;
}

static inline void set_key(struct decoded *decoded, const strid_raw *raw)
{
    decoded->key.data = raw->key.data;
    decoded->key.len = raw->key.len;
}

strid_status strid_intake_add(strid_intake *intake, const strid_raw *raw)
{
    struct reader *reader = (struct reader *)intake;
    struct reader_partition *current = reader->current;
    if (reader->full)
        return STRID_AGAIN;
    if (current->has_last && strid_position_compare(raw->position, current->last) <= 0 &&
        !MUTANT(MUTANT_BACKWARDS))
        return refuse_backwards(reader, raw);
    struct decoded decoded = {.fault = raw->fault};
    set_key(&decoded, raw);
    if (reader->decodes)
        decoder_decode(reader->decoder, raw, &decoded);
    if (__builtin_expect(decoded.key.len > KEY_RECORD_KEY_MAX, 0))
        decoded.fault = "key_too_long";
    if (__builtin_expect(decoded.fault != NULL, 0))
        set_key(&decoded, raw); /* its dead letter has what came, not what was made of it */
    if (__builtin_expect(decoded.skip && !reader->is_ordered, 0)) {
        decoded.skip = false;
        decoded.fault = chunk_unmatched;
    }
    if (!decoded.skip && deliver(reader, raw, &decoded) != STRID_OK)
        return STRID_AGAIN;
    if (reader->is_ordered || strid_position_compare(raw->next, reader->round->next) > 0)
        set_position(&reader->round->next, &raw->next);
    current->has_last = reader->is_ordered;
    set_position(&current->last, &raw->position);
    return STRID_OK;
}

void strid_intake_skip(strid_intake *intake, strid_position next)
{
    struct reader *reader = (struct reader *)intake;
    if (!reader->full && strid_position_compare(next, reader->round->next) > 0)
        reader->round->next = next;
}

static void close_round(struct reader *reader)
{
    const struct run *run = reader->run;
    struct partition *partition = &reader->run->partitions[reader->current->partition];
    struct round *round = reader->round;
    const bool round_is_empty = round->records == 0; /* read before it is handed over */
    for (uint32_t w = 0; w < run->worker_count; w++)
        if (reader->open[w] != NULL)
            push_chunk(reader, reader->open[w]);
    reader->round = NULL;
    if (round->records == 0 && strid_position_compare(round->next, reader->current->next) == 0) {
        round->behind = reader->free_rounds;
        reader->free_rounds = round;
        return;
    }
    reader->current->next = round->next;
    atomic_store_explicit(&partition->bytes_read, round->next.low, memory_order_relaxed);
    bool pushed = ring_push(reader->to_committer, round);
    STRID_ASSERT(pushed && reader->rounds_out < COMMITTER_ROUNDS_MAX);
    reader->rounds_out++;
    if (round_is_empty) /* no chunk of it wakes the committer */
        agent_wake(committer_agent(run->committer));
}

static int poll_partition(struct reader *reader, struct reader_partition *current)
{
    struct run *run = reader->run;
    struct partition *partition = &run->partitions[current->partition];
    strid_error err = STRID_ERROR_INIT;
    reader->current = current;
    reader->full = false;
    reader->err = &err;
    reader->status = STRID_OK;
    reader->round = take_round(reader);
    *reader->round =
        (struct round){.partition = partition->index,
                       .epoch = atomic_load_explicit(&partition->epoch, memory_order_acquire),
                       .next = current->next};
    uint32_t records_max = run->options.chunk_records * run->worker_count;
    strid_status status = run->source_ops->poll(run->source, partition->index,
                                                (strid_intake *)reader, records_max, &err);
    uint64_t records = reader->round->records;
    close_round(reader);
    if (reader->status != STRID_OK)
        status = reader->status;
    if (status == STRID_EOF || status == STRID_EGAP)
        current->ended = true;
    if (status == STRID_EGAP)
        run_stop_partition(run, partition, &err);
    else if (status < 0)
        run_fail(run, &err);
    return records > 0 || current->ended || (status == STRID_AGAIN && reader->full);
}

static bool has_credit(struct reader *reader)
{
    if (reader->free_count == 0 || is_overgrown(reader)) {
        struct chunk *chunk = take_chunk(reader);
        if (chunk == NULL)
            return false;
        reader->free_chunks[reader->free_count++] = chunk;
        if (is_overgrown(reader))
            return false;
    }
    if (reader->rounds_out < COMMITTER_ROUNDS_MAX)
        return true;
    struct round *round = take_round(reader); /* looks for those that came back */
    round->behind = reader->free_rounds;
    reader->free_rounds = round;
    if (reader->rounds_out == COMMITTER_ROUNDS_MAX)
        storage_want_sync(reader->run->storage);
    return reader->rounds_out < COMMITTER_ROUNDS_MAX;
}

/* While nothing can be taken, acknowledgements still are sent. */
static void pump(struct reader *reader, bool ending)
{
    struct run *run = reader->run;
    strid_error err = STRID_ERROR_INIT;
    for (uint32_t i = 0; !reader->is_ordered && i < reader->partition_count; i++) {
        const struct partition *partition = &run->partitions[reader->partitions[i].partition];
        if (run->source_ops->pump(run->source, partition->index, ending, &err) < 0)
            run_fail(run, &err);
    }
}

/* Whether what waits for the account of a partition is above (a part of) its bound. */
static bool is_above(const struct run *run, const struct partition *partition, bool was_held)
{
    const struct retry_definition *bounds = &run->definition->retry;
    uint64_t records = atomic_load_explicit(&partition->waiting_records, memory_order_relaxed);
    uint64_t bytes = atomic_load_explicit(&partition->waiting_bytes, memory_order_relaxed);
    if (!was_held)
        return records >= bounds->max_parked || bytes >= bounds->max_parked_bytes;
    return records > bounds->max_parked / 4 * 3 || bytes > bounds->max_parked_bytes / 4 * 3;
}

/* A partition of which too much waits or is parked is not read until a quarter of that is settled;
 * also one whose records are parked for the account of another such partition. */
static bool is_held(struct reader *reader, struct reader_partition *current)
{
    const struct run *run = reader->run;
    struct partition *partition = &run->partitions[current->partition];
    uint32_t by = atomic_load_explicit(&partition->held_by, memory_order_relaxed);
    if (__builtin_expect(by != RUN_HELD_BY_NONE, 0)) {
        if (is_above(run, &run->partitions[by], true))
            return true;
        atomic_store_explicit(&partition->held_by, RUN_HELD_BY_NONE, memory_order_relaxed);
    }
    current->held = is_above(run, partition, current->held);
    return current->held && !MUTANT(MUTANT_BOUND_IGNORED);
}

static bool may_begin(struct reader *reader)
{
    for (uint32_t w = 0; !reader->begun && w < reader->run->worker_count; w++)
        if (!atomic_load_explicit(&reader->run->workers[w].retry.known, memory_order_acquire))
            return false;
    reader->begun = true;
    return true;
}

int reader_do_work(void *self)
{
    struct reader *reader = self;
    struct run *run = reader->run;
    if (atomic_load_explicit(&reader->ended, memory_order_relaxed)) {
        if (!run_failed(run))
            pump(reader, true);
        return 0;
    }
    if (__builtin_expect(!reader->begun, 0) && !may_begin(reader) && run_stop(run) == RUN_CONTINUE)
        return 0;
    bool any = false;
    int work = 0;
    for (uint32_t i = 0; i < reader->partition_count && run_stop(run) == RUN_CONTINUE; i++) {
        reader->next_partition = (reader->next_partition + 1) % reader->partition_count;
        struct reader_partition *current = &reader->partitions[reader->next_partition];
        if (current->ended)
            continue;
        any = true;
        if (__builtin_expect(is_held(reader, current), 0)) {
            pump(reader, false);
            continue;
        }
        if (!has_credit(reader)) {
            atomic_fetch_add_explicit(&reader->backpressure, 1, memory_order_relaxed);
            pump(reader, false);
            break;
        }
        int polled = poll_partition(reader, current);
        if (polled > 0 && is_time_to_wake(reader)) /* there may be many partitions */
            wake_workers(reader);
        work += polled;
    }
    if (work == 0)
        wake_workers(reader);
    if ((!any || run_stop(run) != RUN_CONTINUE) && !run_failed(run)) {
        /* release: whoever sees this finds everything in the rings */
        atomic_store_explicit(&reader->ended, true, memory_order_release);
        wake_workers(reader);
        agent_wake(committer_agent(run->committer));
        return 1;
    }
    return work;
}

static void take_partitions(struct reader *reader)
{
    struct run *run = reader->run;
    reader->partitions = memory_alloc_zeroed(run->partition_count * sizeof *reader->partitions + 1);
    for (uint32_t p = reader->index; p < run->partition_count; p += run->reader_count) {
        struct directory_partition *stored = run->partitions[p].stored;
        struct reader_partition *partition = &reader->partitions[reader->partition_count++];
        partition->partition = p;
        partition->next = stored->low; /* zero where it was never read */
        /* Nothing before the place where reading goes on may come. */
        partition->has_last = reader->is_ordered && (stored->low.high > 0 || stored->low.low > 0);
        partition->last = stored->low;
        if (partition->last.low-- == 0)
            partition->last.high--;
        atomic_store_explicit(&run->partitions[p].bytes_read, stored->low.low,
                              memory_order_relaxed);
    }
}

strid_status reader_init(struct reader *reader, struct run *run, uint32_t index, strid_error *err)
{
    const struct decode_definition *decode = &run->definition->decode;
    agent_init(&reader->agent, "strid-reader", reader_do_work, reader, 2000000);
    reader->run = run;
    reader->index = index;
    reader->is_ordered = run->acknowledger == NULL;
    take_partitions(reader);
    reader->decodes =
        decode->format != DECODE_RAW || decode->key != NULL || decode->field_count > 0;
    strid_status status = decoder_create(
        decode, (run->source_ops->flags & STRID_SOURCE_PADDED) != 0, &reader->decoder, err);
    if (status != STRID_OK)
        return status;
    reader->chunk_count = run->options.chunks_per_reader;
    reader->chunks = memory_alloc_zeroed(reader->chunk_count * sizeof(struct chunk *));
    reader->free_chunks = memory_alloc_zeroed(reader->chunk_count * sizeof(struct chunk *));
    for (uint32_t i = 0; i < reader->chunk_count; i++)
        reader->free_chunks[reader->free_count++] = reader->chunks[i] = chunk_create();
    reader->open = memory_alloc_zeroed(run->worker_count * sizeof(struct chunk *));
    reader->unwoken = memory_alloc_zeroed(run->worker_count * sizeof(uint32_t));
    reader->to_workers = memory_alloc_zeroed(run->worker_count * sizeof(struct ring *));
    for (uint32_t w = 0; w < run->worker_count; w++)
        reader->to_workers[w] = ring_create(reader->chunk_count);
    reader->to_committer = ring_create(COMMITTER_ROUNDS_MAX + 1);
    reader->from_committer_chunks = ring_create(reader->chunk_count);
    reader->from_committer_rounds = ring_create(COMMITTER_ROUNDS_MAX);
    return STRID_OK;
}

void reader_fini(struct reader *reader)
{
    for (uint32_t i = 0; i < reader->chunk_count; i++)
        chunk_destroy(reader->chunks[i]);
    for (uint32_t w = 0; reader->to_workers != NULL && w < reader->run->worker_count; w++)
        ring_destroy(reader->to_workers[w]);
    for (size_t at = 0; at < reader->rounds.len; at += sizeof(struct round *)) {
        struct round *slab;
        memcpy(&slab, reader->rounds.data + at, sizeof slab);
        memory_free(slab);
    }
    buffer_fini(&reader->rounds);
    ring_destroy(reader->to_committer);
    ring_destroy(reader->from_committer_chunks);
    ring_destroy(reader->from_committer_rounds);
    decoder_destroy(reader->decoder);
    memory_free(reader->chunks);
    memory_free(reader->free_chunks);
    memory_free(reader->open);
    memory_free(reader->unwoken);
    memory_free(reader->to_workers);
    memory_free(reader->partitions);
}
