#include "sim_outcome.h"

#include "runtime/suspect.h"
#include "runtime/worker.h"

#include "sim_world.h"

struct sim_record *sim_outcome_record(const strid_record *record, struct sim_payload *payload)
{
    SIM_CHECK("record_is_whole", record->value.len >= sizeof *payload, "%zu bytes",
              record->value.len);
    memcpy(payload, record->value.data, sizeof *payload);
    const struct sim_input *input = &sim_world->input;
    SIM_CHECK("record_is_whole",
              payload->partition < input->partition_count &&
                  payload->index < input->partitions[payload->partition].count,
              "no such record");
    SIM_CHECK("record_is_whole",
              sim_input_is_value(input, payload->partition, payload->index, record->value),
              "partition %u, record %u: another value", payload->partition, payload->index);
    struct sim_record *of = &input->partitions[payload->partition].records[payload->index];
    const struct sim_key *key = &input->keys[of->key];
    SIM_CHECK(
        "record_is_whole",
        record->origin->partition == payload->partition &&
            sim_input_place(input, record->position) == of->place &&
            (key->keyless ? record->key.data == NULL : strid_bytes_equal(record->key, key->bytes)),
        "partition %u, record %u: not its place or key", payload->partition, payload->index);
    SIM_CHECK("epoch_is_current", !sim_world->source.partitions[payload->partition].taken,
              "partition %u was taken away, and record %u is handled", payload->partition,
              payload->index);
    return of;
}

strid_outcome sim_outcome_of(const struct sim_record *record, uint32_t tries)
{
    switch ((enum sim_kind)record->kind) {
    case SIM_DONE:
        return STRID_DONE;
    case SIM_SKIP:
        return STRID_SKIP;
    case SIM_RETRY:
        return tries < record->retries ? STRID_RETRY : STRID_DONE;
    case SIM_HANDED:
        return STRID_RETRY;
    case SIM_REJECT:
    case SIM_FAULT:
    case SIM_POISON:
        break;
    }
    SIM_CHECK("record_is_whole", record->kind != SIM_FAULT, "an unreadable record is handled");
    return STRID_REJECT;
}

bool sim_outcome_take_over(void *user, const strid_record *record, uint32_t attempt,
                           const char *reason)
{
    struct sim_payload payload;
    (void)user;
    if (sim_world->crash.dead)
        return false;
    struct sim_record *of = sim_outcome_record(record, &payload);
    SIM_CHECK("handed_over_once",
              (of->kind == SIM_RETRY || of->kind == SIM_HANDED) && of->handed != sim_world->runs,
              "partition %u, record %u does not ask for another try", payload.partition,
              payload.index);
    SIM_CHECK("handed_over_once",
              attempt >= 1 && attempt < sim_world->input.max_attempts &&
                  (strcmp(reason, "sim") == 0 || strcmp(reason, "timeout") == 0),
              "partition %u, record %u: attempt %u, \"%s\"", payload.partition, payload.index,
              attempt, reason);
    if (of->kind != SIM_HANDED || attempt != of->retries)
        return false;
    of->handed = sim_world->runs;
    sim_world_note("hand_over", payload.partition, payload.index, attempt);
    return true;
}

/* One that asks for another try may do so by being late: it says something else, and the watchdog
 * has found before that it took too long. */
static strid_outcome say(strid_context *ctx, const struct sim_record *record, strid_outcome outcome,
                         strid_outcome instead)
{
    if (outcome != STRID_RETRY || record->late == 0)
        return instead;
    sim_world->figures.late++;
    atomic_store_explicit(&ctx->worker->hand.overdue, ctx->worker->call_count,
                          memory_order_relaxed);
    return instead == STRID_DEFERRED ? STRID_DEFERRED : STRID_DONE;
}

/* A token for what a completion is to say, unless what is said at once decides. */
static void defer(strid_context *ctx, struct sim_record *record, uint32_t partition,
                  strid_outcome at_once, strid_outcome later)
{
    enum sim_token_state state = SIM_TOKEN_OPEN;
    if (record->defer == SIM_DEFER_NEVER && later == STRID_RETRY)
        state = SIM_TOKEN_NEVER;
    if (at_once >= STRID_RETRY || record->defer == SIM_DEFER_TAKEN ||
        (later == STRID_RETRY && record->late != 0))
        state = SIM_TOKEN_WITHDRAWN;
    strid_token token = strid_defer(ctx);
    record->token = token.generation;
    sim_deferred_add(&token, record, partition, later, state);
}

static strid_outcome say_both(strid_context *ctx, struct sim_record *record, uint32_t partition,
                              bool has, strid_outcome outcome)
{
    bool second = has == (record->asks_second != 0);
    if (second)
        SIM_CHECK("token_is_one", strid_defer(ctx).generation == record->token,
                  "the record at %llu has two tokens", (unsigned long long)record->place);
    else
        defer(ctx, record, partition, STRID_DONE, outcome);
    return say(ctx, record, has ? outcome : STRID_DONE, STRID_DEFERRED);
}

strid_outcome sim_outcome_say(strid_context *ctx, struct sim_record *record, uint32_t partition,
                              bool has)
{
    uint32_t tries = strid_attempt(ctx);
    strid_outcome outcome = sim_outcome_of(record, tries), own = has ? outcome : STRID_DONE;
    enum sim_defer way = (enum sim_defer)record->defer;
    switch (sim_input_defers(record, tries) ? way : SIM_DEFER_NOT) {
    case SIM_DEFER_OTHER:
        if (has)
            break;
        defer(ctx, record, partition, outcome, STRID_DONE);
        return STRID_DEFERRED;
    case SIM_DEFER_BOTH:
        return say_both(ctx, record, partition, has, outcome);
    case SIM_DEFER_OUTCOME:
    case SIM_DEFER_NEVER:
        if (!has)
            break;
        defer(ctx, record, partition, STRID_DONE, outcome);
        return say(ctx, record, own, STRID_DEFERRED);
    case SIM_DEFER_TAKEN:
        if (has)
            defer(ctx, record, partition, STRID_DONE, outcome);
        break;
    case SIM_DEFER_NOT:
    case SIM_DEFER_WAYS:
        break;
    }
    return say(ctx, record, own, own);
}

bool sim_outcome_is_reason(const struct sim_record *record, strid_bytes reason)
{
    uint32_t tries = sim_world->input.max_attempts - 1; /* of the last one */
    const char *expected = "attempts_exhausted: sim", *other = NULL;
    if (record->kind == SIM_FAULT)
        expected = "sim_fault";
    else if (record->kind == SIM_POISON)
        expected = suspect_fault;
    else if (record->kind == SIM_REJECT)
        expected = "rejected: sim";
    else if (record->late != 0)
        expected = "attempts_exhausted: timeout";
    else if (record->defer == SIM_DEFER_NEVER && sim_input_defers(record, tries))
        other = "attempts_exhausted: timeout"; /* unless the worker came late to it, too */
    return strid_bytes_equal(reason, strid_bytes_of_text(expected)) ||
           (other != NULL && strid_bytes_equal(reason, strid_bytes_of_text(other)));
}
