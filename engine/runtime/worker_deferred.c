#include "runtime/worker_deferred.h"

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/deferral.h"
#include "runtime/worker_part.h"
#include "runtime/worker_retry.h"

static const int64_t look_ns = 10000000; /* between two looks for those that timed out */

static uint32_t place_of(const struct worker *worker, const struct worker_deferral *deferral)
{
    return (uint32_t)(deferral - worker->deferred.places);
}

static void free_writes(struct worker_deferral *deferral)
{
    memory_free(deferral->writes);
    memory_free(deferral->subs.writes);
    memory_free(deferral->subs.table);
    buffer_fini(&deferral->bytes);
    buffer_fini(&deferral->outputs);
    memory_free(deferral->reason);
}

/* The place can be used again. Its deferral has ended. */
static void release(struct worker *worker, struct worker_deferral *deferral)
{
    struct worker_deferred *deferred = &worker->deferred;
    free_writes(deferral);
    *deferral = (struct worker_deferral){.next_free = deferred->first_free};
    deferred->first_free = place_of(worker, deferral) + 1;
}

void worker_deferred_fini(struct worker *worker)
{
    struct worker_deferred *deferred = &worker->deferred;
    for (uint32_t i = 0; deferred->places != NULL && i < deferred->used; i++)
        free_writes(&deferred->places[i]);
    memory_free(deferred->places);
    *deferred = (struct worker_deferred){0};
}

bool worker_deferred_is_full(const struct worker *worker)
{
    return worker->deferred.open >= DEFERRAL_OPEN_MAX;
}

/* One place is always there: no record is taken while DEFERRAL_OPEN_MAX are open, and a chunk and a
 * step of retries together have fewer than the rest. */
static struct worker_deferral *take_place(struct worker *worker)
{
    struct worker_deferred *deferred = &worker->deferred;
    _Static_assert(DEFERRAL_PLACES > DEFERRAL_OPEN_MAX + CHUNK_RECORDS_MAX + WORKER_RETRY_RECORDS,
                   "room for all that a step can defer");
    if (deferred->places == NULL)
        deferred->places = memory_alloc_zeroed(DEFERRAL_PLACES * sizeof *deferred->places);
    if (deferred->first_free == 0) {
        STRID_ASSERT(deferred->used < DEFERRAL_PLACES);
        return &deferred->places[deferred->used++];
    }
    struct worker_deferral *deferral = &deferred->places[deferred->first_free - 1];
    deferred->first_free = deferral->next_free;
    return deferral;
}

static void withdraw(struct worker *worker)
{
    struct worker_deferred *deferred = &worker->deferred;
    struct worker_deferral *pending = deferred->pending;
    deferred->pending = NULL;
    (void)deferral_end(worker->run->deferrals, worker->index, place_of(worker, pending), false);
    release(worker, pending);
}

void worker_deferred_withdraw(struct worker *worker)
{
    if (worker->deferred.pending != NULL)
        withdraw(worker);
}

/* Between two withdrawals no record is handled twice with the same number of attempts. */
static bool is_pending(const struct worker *worker)
{
    const struct worker_deferred *deferred = &worker->deferred;
    const struct strid_context *context = &worker->context;
    return deferred->pending != NULL && deferred->partition == context->partition &&
           deferred->attempt == context->attempt &&
           strid_position_compare(deferred->position, context->record->position) == 0;
}

/* Of the handler in hand; 0: it may take as long as it wants. */
static int64_t timeout_ns(const struct worker *worker)
{
    const struct definition *definition = worker->run->definition;
    uint32_t route = atomic_load_explicit(&worker->hand.route, memory_order_relaxed);
    int64_t own_ms = definition->routes[route].timeout_ms;
    return (own_ms < 0 ? definition->timeout_ms : own_ms) * 1000000;
}

strid_token strid_defer(strid_context *context)
{
    struct worker *worker = context->worker;
    struct worker_deferred *deferred = &worker->deferred;
    int64_t limit_ns = timeout_ns(worker);
    if (is_pending(worker)) { /* the same call, or another handler of the same record */
        if (limit_ns > 0 && (deferred->limit_ns <= 0 || limit_ns < deferred->limit_ns))
            deferred->limit_ns = limit_ns;
        return deferred->token;
    }
    worker_deferred_withdraw(worker);
    deferred->pending = take_place(worker);
    deferred->partition = context->partition;
    deferred->position = context->record->position;
    deferred->attempt = context->attempt;
    deferred->limit_ns = limit_ns;
    deferred->token =
        deferral_open(worker->run->deferrals, worker->index, place_of(worker, deferred->pending));
    return deferred->token;
}

bool worker_deferred_confirm(struct worker *worker)
{
    if (is_pending(worker))
        return true;
    strid_set_reason(&worker->context, "deferred without strid_defer()");
    return false;
}

/* The end of the open block's lists, which the record's outputs are. */
static void keep_outputs(struct worker *worker, struct worker_deferral *deferral)
{
    for (uint32_t d = 0; d < worker->run->delivery_count; d++) {
        const struct output_list *list = &worker->block->outputs[d];
        uint32_t count = list->count - list->kept_count;
        size_t len = list->bytes.len - list->kept_len;
        buffer_put_u32(&deferral->outputs, count);
        buffer_put_u64(&deferral->outputs, len);
        buffer_put(&deferral->outputs, list->bytes.data + list->kept_len, len);
    }
    deferral->output_count = worker->context.output_count;
}

static void restore_outputs(struct worker *worker, const struct worker_deferral *deferral)
{
    struct cursor cursor = cursor_of(buffer_bytes(&deferral->outputs));
    for (uint32_t d = 0; d < worker->run->delivery_count; d++) {
        struct output_list *list = &worker->block->outputs[d];
        list->count += cursor_u32(&cursor);
        size_t len = (size_t)cursor_u64(&cursor);
        buffer_put_bytes(&list->bytes, cursor_bytes(&cursor, len));
    }
    worker->context.output_count = deferral->output_count;
}

static void keep_writes(struct worker *worker, struct worker_deferral *deferral)
{
    struct strid_context *context = &worker->context;
    deferral->write_count = context->write_count;
    if (context->write_count > 0) {
        size_t bytes = context->write_count * sizeof *deferral->writes;
        deferral->writes = memory_alloc(bytes);
        memcpy(deferral->writes, context->writes, bytes);
    }
    deferral->subs = context->subs;
    context->subs = (struct context_subs){0};
    deferral->bytes = context->bytes;
    context->bytes = (struct buffer){0};
    if (context->output_count > 0)
        keep_outputs(worker, deferral);
    if (context->reason[0] != '\0') {
        size_t size = strlen(context->reason) + 1;
        deferral->reason = memory_alloc(size);
        memcpy(deferral->reason, context->reason, size);
    }
}

/* Entries of the cache may have moved or gone since. */
static void restore_writes(struct worker *worker, struct worker_deferral *deferral)
{
    struct strid_context *context = &worker->context;
    for (uint32_t i = 0; i < deferral->write_count && !context->failed; i++) {
        context->writes[i] = deferral->writes[i];
        context->writes[i].entry = context_entry(context, context->writes[i].store);
    }
    context->write_count = deferral->write_count;
    context_sub_fini(context);
    context->subs = deferral->subs;
    deferral->subs = (struct context_subs){0};
    buffer_fini(&context->bytes);
    context->bytes = deferral->bytes;
    deferral->bytes = (struct buffer){0};
    if (deferral->output_count > 0)
        restore_outputs(worker, deferral);
}

static void publish(struct worker *worker)
{
    atomic_store_explicit(&worker->deferred.open_shown, worker->deferred.open,
                          memory_order_release);
}

void worker_deferred_hold(struct worker *worker, const struct chunk_slot *slot, strid_outcome worst)
{
    struct worker_deferred *deferred = &worker->deferred;
    struct worker_deferral *deferral = deferred->pending;
    deferred->pending = NULL;
    keep_writes(worker, deferral);
    context_drop(&worker->context);
    int64_t limit_ns = deferred->limit_ns;
    deferral->worst = worst;
    deferral->until_ns =
        limit_ns <= 0 ? INT64_MAX : clock_monotonic_ns(worker->run->clock) + limit_ns;
    deferral->key = worker_retry_hold(worker, slot);
    deferred->open++;
    publish(worker);
}

void worker_deferred_settle(struct worker *worker, struct chunk_slot *slot,
                            const struct worker_found *found, struct worker_deferral *deferral)
{
    struct strid_context *context = &worker->context;
    context_begin(context, worker, slot, found);
    context->attempt = deferral->key->head.attempt;
    restore_writes(worker, deferral);
    if (context->failed)
        return;
    if (deferral->timed_out)
        strid_set_reason(context, "timeout");
    else if (deferral->reason != NULL)
        strid_set_reason(context, deferral->reason);
    worker_handle_settle(worker, slot, deferral->worst);
    CRASH_POINT("deferred_settled");
}

/* With the outcome in `worst`; its place is free from here on. */
static void finish(struct worker *worker, struct worker_deferral *deferral)
{
    worker_retry_finish(worker, deferral->key, deferral);
    release(worker, deferral);
    worker->deferred.open--;
    publish(worker);
}

static int settle_completed(struct worker *worker)
{
    struct worker_deferred *deferred = &worker->deferred;
    struct deferrals *deferrals = worker->run->deferrals;
    int settled = 0;
    while (settled < WORKER_DEFERRED_RECORDS && !worker->context.failed &&
           (settled == 0 || !worker_part_is_full(worker))) {
        uint32_t place = deferral_next(deferrals, worker->index);
        strid_outcome outcome = STRID_DONE;
        if (place == UINT32_MAX)
            break;
        struct worker_deferral *deferral = &deferred->places[place];
        if (place >= deferred->used || deferral->key == NULL ||
            !deferral_outcome(deferrals, worker->index, place, &outcome))
            continue;
        if (outcome > deferral->worst)
            deferral->worst = outcome;
        (void)deferral_end(deferrals, worker->index, place, false);
        finish(worker, deferral);
        settled++;
    }
    return settled;
}

/* Those that are open for too long. What is completed at the same moment counts as completed. */
static int settle_late(struct worker *worker, int64_t now)
{
    struct worker_deferred *deferred = &worker->deferred;
    int settled = 0;
    deferred->looked_ns = now;
    for (uint32_t i = 0; i < deferred->used && !worker->context.failed; i++) {
        struct worker_deferral *deferral = &deferred->places[i];
        if (deferral->key == NULL || now < deferral->until_ns ||
            !deferral_end(worker->run->deferrals, worker->index, i, true))
            continue;
        worker_count(&worker->counters.timed_out, 1);
        deferral->timed_out = true;
        if (!MUTANT(MUTANT_LATE_COUNTS))
            deferral->worst = STRID_RETRY;
        finish(worker, deferral);
        settled++;
    }
    return settled;
}

int worker_deferred_step(struct worker *worker)
{
    struct worker_deferred *deferred = &worker->deferred;
    int64_t now = clock_monotonic_ns(worker->run->clock);
    worker->context.failed = false;
    int settled = settle_completed(worker);
    if (!worker->context.failed && now - deferred->looked_ns >= look_ns)
        settled += settle_late(worker, now);
    worker_handle_count(worker);
    return settled;
}
