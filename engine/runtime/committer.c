#include "runtime/committer.h"

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/acknowledger.h"
#include "runtime/reader.h"
#include "runtime/settlement.h"
#include "runtime/storage.h"
#include "runtime/worker.h"

enum { COMMITTER_DRAIN_MAX = 256, ACK_TRIES_AT_END = 8, COMMITTER_LOOK_NS = 5000000 };
static const int64_t ack_backoff_min_ns = 50000000, ack_backoff_max_ns = 5000000000;

/* Records of a round whose effects are in a block of a worker, in the order in which the worker
 * handled them. */
struct completion {
    struct round *round;
    uint64_t block;
    uint64_t records;
};

/* Completions of one worker that are not yet durable: a ring that grows. */
struct completions {
    struct completion *items;
    size_t mask, head, tail;
};

struct commit_partition {
    struct round *oldest, *newest; /* closed rounds that are not complete, in order of delivery */
    strid_position low;
    bool low_moved;    /* since it was last sent */
    bool low_sent;     /* `message` is with storage */
    bool acknowledged; /* the low position that was found was told to the source */
    bool ack_failed;   /* `ack_low` is told again at `ack_at_ns` */
    uint32_t ack_tries;
    strid_position ack_low;
    int64_t ack_at_ns, ack_backoff_ns;
    struct low_position message;
    uint64_t message_order; /* it was the n-th that was sent */
};

struct committer {
    struct agent agent;
    struct run *run;
    struct ring **from_workers;
    struct ring *lows;
    struct completions *completions; /* per worker */
    struct commit_partition *partitions;
    uint64_t lows_sent;
    /* Durable records of rounds that are not complete. Not 0 while no round is known: a worker was
     * done with a chunk before the reader, which hands the round over behind its chunks, went on.
     */
    uint64_t durable_early;
    struct settlement *settlement; /* NULL: the source is this node's alone */
};

struct agent *committer_agent(struct committer *committer) { return &committer->agent; }
struct ring *committer_lows(struct committer *committer) { return committer->lows; }

struct ring *committer_from_worker(struct committer *committer, uint32_t worker)
{
    return committer->from_workers[worker];
}

struct committer *committer_create(struct run *run)
{
    struct committer *committer = memory_alloc_zeroed(sizeof *committer);
    agent_init(&committer->agent, "strid-committer", committer_do_work, committer,
               COMMITTER_LOOK_NS);
    committer->run = run;
    committer->from_workers = memory_alloc_zeroed(run->worker_count * sizeof(struct ring *));
    committer->completions = memory_alloc_zeroed(run->worker_count * sizeof(struct completions));
    for (uint32_t w = 0; w < run->worker_count; w++) {
        committer->from_workers[w] =
            ring_create(run->reader_count * run->options.chunks_per_reader);
        committer->completions[w].mask = 255;
        committer->completions[w].items = memory_alloc_zeroed(256 * sizeof(struct completion));
    }
    committer->lows = ring_create(run->partition_count + 1);
    committer->partitions =
        memory_alloc_zeroed((run->partition_count + 1) * sizeof *committer->partitions);
    for (uint32_t p = 0; p < run->partition_count; p++) {
        committer->partitions[p].low = run->partitions[p].stored->low;
        committer->partitions[p].message.partition = p;
        committer->partitions[p].acknowledged = !run->partitions[p].stored->has_low;
    }
    committer->settlement = settlement_create(run);
    return committer;
}

void committer_destroy(struct committer *committer)
{
    if (committer == NULL)
        return;
    for (uint32_t w = 0; w < committer->run->worker_count; w++) {
        ring_destroy(committer->from_workers[w]);
        memory_free(committer->completions[w].items);
    }
    ring_destroy(committer->lows);
    settlement_destroy(committer->settlement);
    memory_free(committer->from_workers);
    memory_free(committer->completions);
    memory_free(committer->partitions);
    memory_free(committer);
}

static void push_completion(struct completions *list, const struct completion *completion)
{
    if (list->tail - list->head > list->mask) {
        size_t count = list->mask + 1;
        struct completion *items = memory_alloc(2 * count * sizeof *items);
        for (size_t i = 0; i < count; i++)
            items[i] = list->items[(list->head + i) & list->mask];
        memory_free(list->items);
        *list = (struct completions){.items = items, .mask = 2 * count - 1, .tail = count};
    }
    list->items[list->tail++ & list->mask] = *completion;
}

static void return_chunk(struct committer *committer, struct chunk *chunk)
{
    struct reader *reader = &committer->run->readers[chunk->reader];
    bool pushed = ring_push(reader->from_committer_chunks, chunk);
    STRID_ASSERT(pushed); /* the ring holds all chunks of the reader */
}

/* Readers are woken once for all chunks that came back. */
static int take_chunks(struct committer *committer)
{
    struct run *run = committer->run;
    int work = 0;
    for (uint32_t w = 0; w < run->worker_count; w++) {
        struct chunk *chunk;
        for (int n = 0; n < COMMITTER_DRAIN_MAX; n++) {
            if ((chunk = ring_pop(committer->from_workers[w])) == NULL)
                break;
            /* Of a dropped chunk nothing was applied: its round never completes, and the low
             * position stays. */
            if (!chunk->dropped || MUTANT(MUTANT_DROPPED_COUNTS))
                push_completion(&committer->completions[w],
                                &(struct completion){.round = chunk->round,
                                                     .block = chunk->block,
                                                     .records = chunk->count});
            return_chunk(committer, chunk);
            work++;
        }
    }
    for (uint32_t r = 0; work > 0 && r < run->reader_count; r++)
        agent_wake(&run->readers[r].agent);
    return work;
}

static int take_rounds(struct committer *committer)
{
    struct run *run = committer->run;
    int work = 0;
    for (uint32_t r = 0; r < run->reader_count; r++) {
        struct round *round;
        while ((round = ring_pop(run->readers[r].to_committer)) != NULL) {
            struct commit_partition *partition = &committer->partitions[round->partition];
            round->behind = NULL;
            if (partition->oldest == NULL)
                partition->oldest = round;
            else
                partition->newest->behind = round;
            partition->newest = round;
            if (run->acknowledger != NULL)
                acknowledger_round_taken(run->acknowledger, round->partition);
            work++;
        }
    }
    return work;
}

/* What a sync now covers counts for its rounds. */
static int take_durable(struct committer *committer)
{
    struct run *run = committer->run;
    int work = 0;
    for (uint32_t w = 0; w < run->worker_count; w++) {
        struct completions *list = &committer->completions[w];
        uint64_t synced = storage_synced_sequence(run->storage, w);
        while (list->head != list->tail && (list->items[list->head & list->mask].block <= synced ||
                                            MUTANT(MUTANT_LOW_BY_DELIVERY))) {
            struct completion *completion = &list->items[list->head++ & list->mask];
            completion->round->durable += completion->records;
            committer->durable_early += completion->records;
            work++;
        }
    }
    return work;
}

/* A partition's rounds that are complete, from the oldest on, move its low position. */
static int move_low(struct committer *committer, uint32_t index)
{
    struct run *run = committer->run;
    struct commit_partition *partition = &committer->partitions[index];
    struct reader *reader = &run->readers[index % run->reader_count];
    int work = 0;
    while (partition->oldest != NULL &&
           (partition->oldest->durable == partition->oldest->records ||
            (MUTANT(MUTANT_LOW_CONTIGUOUS) && partition->oldest->durable > 0))) {
        struct round *round = partition->oldest;
        STRID_ASSERT(strid_position_compare(partition->low, round->next) <= 0);
        partition->low = round->next;
        partition->low_moved = true;
        partition->oldest = round->behind;
        committer->durable_early -= round->records;
        bool pushed = ring_push(reader->from_committer_rounds, round);
        STRID_ASSERT(pushed); /* the reader lets no more than the ring holds into being */
        if (run->acknowledger != NULL)
            acknowledger_round_done(run->acknowledger, index);
        work++;
    }
    return work;
}

/* Everything before `low` is durable here. What the source does not take is told again after a
 * pause, unless a later low position comes first. */
static void acknowledge(struct committer *committer, uint32_t index, strid_position low)
{
    struct run *run = committer->run;
    struct commit_partition *partition = &committer->partitions[index];
    strid_error err = STRID_ERROR_INIT;
    bool failed = run->source_ops->ack != NULL &&
                  run->source_ops->ack(run->source, index, low, &err) != STRID_OK;
    if (!failed) {
        partition->ack_failed = false;
        partition->ack_tries = 0;
        partition->ack_backoff_ns = 0;
        return;
    }
    int64_t backoff = 2 * partition->ack_backoff_ns;
    backoff = backoff < ack_backoff_min_ns ? ack_backoff_min_ns : backoff;
    backoff = backoff > ack_backoff_max_ns ? ack_backoff_max_ns : backoff;
    partition->ack_failed = true;
    partition->ack_tries++;
    partition->ack_low = low;
    partition->ack_backoff_ns = backoff;
    partition->ack_at_ns = clock_monotonic_ns(run->clock) + backoff;
    log_warn(run->log, "committer", "%s: not acknowledged, told again in %lld ms: %s",
             run->partitions[index].origin.topic, (long long)(backoff / 1000000), err.message);
}

/* `low` is synced. A source that others share hears of it once nothing before it waits, either. */
static void acknowledge_settled(struct committer *committer, uint32_t index, strid_position low)
{
    if (committer->settlement == NULL)
        acknowledge(committer, index, low);
    else
        settlement_add(committer->settlement, index, low);
}

static int take_settled(struct committer *committer)
{
    int work = 0;
    uint32_t index;
    strid_position low;
    if (committer->settlement == NULL)
        return 0;
    settlement_look(committer->settlement);
    for (; settlement_take(committer->settlement, &index, &low); work++)
        acknowledge(committer, index, low);
    return work;
}

static void acknowledge_again(struct committer *committer, uint32_t index)
{
    const struct commit_partition *partition = &committer->partitions[index];
    if (partition->ack_failed && clock_monotonic_ns(committer->run->clock) >= partition->ack_at_ns)
        acknowledge(committer, index, partition->ack_low);
}

static int tell_low(struct committer *committer, uint32_t index)
{
    struct run *run = committer->run;
    struct commit_partition *partition = &committer->partitions[index];
    if (partition->low_sent) {
        if (storage_lows_synced(run->storage) < partition->message_order &&
            !MUTANT(MUTANT_ACK_BEFORE_SYNC))
            return 0;
        partition->low_sent = false;
        acknowledge_settled(committer, index, partition->message.position);
    } else if (!partition->acknowledged) {
        /* The run before may have ended between the sync and the acknowledgement. */
        partition->acknowledged = true;
        acknowledge_settled(committer, index, run->partitions[index].stored->low);
    }
    acknowledge_again(committer, index);
    if (!partition->low_moved)
        return 0;
    partition->low_moved = false;
    partition->low_sent = true;
    partition->message.position = partition->low;
    partition->message_order = ++committer->lows_sent;
    bool pushed = ring_push(committer->lows, &partition->message);
    STRID_ASSERT(pushed); /* one message per partition, and the ring holds them all */
    CRASH_POINT("committer_low_sent");
    agent_wake(storage_agent(run->storage));
    return 1;
}

/* Without rounds under way and low positions to be told, workers wake it with the chunks they are
 * done with, and readers with rounds that have none and with their end. What the source says of
 * acknowledgements and what the end of the run waits for is looked at. */
static int64_t rest_ns(const struct committer *committer, bool ended)
{
    const struct run *run = committer->run;
    if (ended || run->acknowledger != NULL || committer->settlement != NULL ||
        committer->durable_early != 0)
        return COMMITTER_LOOK_NS;
    for (uint32_t p = 0; p < run->partition_count; p++) {
        const struct commit_partition *partition = &committer->partitions[p];
        if (partition->oldest != NULL || partition->low_moved || partition->low_sent ||
            partition->ack_failed)
            return COMMITTER_LOOK_NS;
    }
    return AGENT_REST_NS;
}

/* A run that ends by itself leaves nothing waiting; one that is asked to leaves it to the next. In
 * both, what was settled is durable. Looked at when every chunk is handled: then only settling
 * changes it. */
static bool nothing_waits(const struct committer *committer)
{
    const struct run *run = committer->run;
    for (uint32_t w = 0; w < run->worker_count; w++) {
        const struct worker_retry *retry = &run->workers[w].retry;
        /* Not before it was found out, so that what the run says at its end is right. */
        bool known = atomic_load_explicit(&retry->known, memory_order_acquire);
        bool open = atomic_load_explicit(&retry->open_records, memory_order_acquire) != 0;
        bool deferred =
            atomic_load_explicit(&run->workers[w].deferred.open_shown, memory_order_acquire) != 0;
        if (!known || (deferred && !MUTANT(MUTANT_OPEN_LEFT)) ||
            (open && run_stop(run) == RUN_CONTINUE) ||
            storage_synced_sequence(run->storage, w) <
                atomic_load_explicit(&retry->sequence, memory_order_relaxed))
            return false;
    }
    return true;
}

static bool all_told(struct committer *committer)
{
    struct run *run = committer->run;
    for (uint32_t p = 0; p < run->partition_count; p++) {
        struct commit_partition *partition = &committer->partitions[p];
        if (partition->oldest != NULL || partition->low_moved ||
            (partition->low_sent && !MUTANT(MUTANT_FINISH_EARLY)))
            return false;
        /* The end does not wait for long: the next run begins with this low position anyway, and
         * tells it. */
        if (partition->ack_failed && partition->ack_tries < ACK_TRIES_AT_END)
            return false;
    }
    /* Looked at behind the rounds and what waits: who handles no more records adds no more letters.
     */
    if (!nothing_waits(committer))
        return false;
    for (uint32_t w = 0; w < run->worker_count; w++)
        if (!outbox_is_settled(&run->workers[w]))
            return false;
    if (committer->settlement != NULL && !settlement_is_done(committer->settlement))
        return false;
    return run->acknowledger == NULL || acknowledger_is_done(run->acknowledger);
}

int committer_do_work(void *self)
{
    struct committer *committer = self;
    struct run *run = committer->run;
    /* Looked at first: what a reader pushed before it ended is then found below. */
    bool ended = true;
    for (uint32_t r = 0; r < run->reader_count; r++)
        ended = ended && atomic_load_explicit(&run->readers[r].ended, memory_order_acquire);
    if (run->acknowledger != NULL)
        acknowledger_look(run->acknowledger);
    int work = take_rounds(committer) + take_chunks(committer) + take_durable(committer);
    for (uint32_t p = 0; p < run->partition_count; p++)
        work += move_low(committer, p) + tell_low(committer, p);
    work += take_settled(committer);
    if (run->acknowledger != NULL)
        work += acknowledger_do_work(run->acknowledger);
    if (ended && work == 0 && !run_failed(run) && all_told(committer) &&
        !atomic_load_explicit(&run->finished, memory_order_relaxed)) {
        atomic_store_explicit(&run->finished, true, memory_order_release);
        run_tell_control(run);
        return 1;
    }
    committer->agent.park_ns = rest_ns(committer, ended);
    return work;
}
