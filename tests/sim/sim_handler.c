#include "sim_handler.h"

#include "runtime/worker.h"

#include "sim_outcome.h"
#include "sim_step.h"
#include "sim_subs.h"
#include "sim_world.h"

static const char *const sink_names[SIM_SINKS] = {"out0", "out1"};

/* Per key in the order of the partition, or per partition; each record once but for retries. */
static void check_order(const struct sim_payload *payload, const struct sim_record *record,
                        uint32_t tries)
{
    const struct sim_input *input = &sim_world->input;
    bool whole = input->ordering == STRID_ORDERING_PARTITION;
    size_t at = (size_t)payload->partition * input->key_count + (whole ? 0 : record->key);
    uint32_t *called = &sim_world->called[at], *attempted = &sim_world->attempted[at];
    /* A run may begin with what an earlier one left waiting, at any attempt. */
    bool again = *called == payload->index + 1, first = *called == 0;
    SIM_CHECK("handled_in_order", *called <= payload->index + 1,
              "partition %u: record %u after record %u of the same key", payload->partition,
              payload->index, *called - 1);
    SIM_CHECK("handled_in_order",
              (first || tries == (again ? *attempted + 1 : 0)) && tries < input->max_attempts,
              "partition %u, record %u: attempt %u", payload->partition, payload->index, tries);
    *called = payload->index + 1;
    *attempted = tries;
}

/* In any order, each record once but for retries. */
static void check_once(const struct sim_record *record, uint32_t tries)
{
    bool again = record->run == sim_world->runs;
    SIM_CHECK("handled_once",
              (!again || tries == record->called + 1u) && tries < sim_world->input.max_attempts,
              "the record at %llu: attempt %u after attempt %u", (unsigned long long)record->place,
              tries, record->called);
}

static void check_call(const strid_context *ctx, const struct sim_payload *payload,
                       struct sim_record *record)
{
    const uint32_t tries = strid_attempt(ctx);
    SIM_CHECK("handed_over_once", record->handed != sim_world->runs,
              "partition %u, record %u: the host has it, and it is handled again",
              payload->partition, payload->index);
    sim_deferred_check_call(record, payload->partition);
    if (sim_input_is_sum(&sim_world->input))
        check_once(record, tries);
    else
        check_order(payload, record, tries);
    record->run = sim_world->runs;
    record->called = (uint8_t)tries;
    record->worker = (uint8_t)ctx->worker->index;
    record->block = ctx->worker->sequence;
}

static void emit(strid_context *ctx, const struct sim_payload *payload,
                 const struct sim_record *record, bool dropped)
{
    const struct sim_key *key = &sim_world->input.keys[record->key];
    uint32_t outputs = dropped ? 1 : record->outputs;
    for (uint32_t n = 0; n < outputs; n++) {
        struct sim_payload out = {.partition = payload->partition,
                                  .index = payload->index,
                                  .ordinal = n,
                                  .dropped = dropped};
        strid_status status =
            strid_emit(ctx, sink_names[record->sink], key->bytes, strid_bytes_of(&out, sizeof out));
        SIM_CHECK("record_is_whole", status == STRID_OK, "no such sink");
    }
}

/* Headers and the field that the pattern declares are as the source gave them. */
static void check_views(const strid_record *record, const struct sim_payload *payload)
{
    const struct sim_input *input = &sim_world->input;
    uint32_t index = payload->index, headers = input->headers ? 1 + index % 2 : 0;
    SIM_CHECK("record_is_whole", record->header_count == headers, "%u headers",
              record->header_count);
    SIM_CHECK("record_is_whole",
              headers == 0 ||
                  strid_bytes_equal(record->headers[0].value, strid_bytes_of(&index, sizeof index)),
              "partition %u, record %u: not its header", payload->partition, index);
    SIM_CHECK("record_is_whole",
              !input->text ||
                  (record->field_count == 1 && record->type.len == 1 &&
                   record->type.data[0] == (uint8_t)index &&
                   strid_bytes_equal(record->fields[0].text,
                                     strid_bytes_of(&payload->partition, sizeof(uint32_t)))),
              "partition %u, record %u: not its field or type", payload->partition, index);
}

static strid_outcome chain(strid_context *ctx, const strid_record *record,
                           const struct sim_payload *in, struct sim_record *of)
{
    const struct sim_payload payload = *in;
    struct sim_state state = {0};
    uint32_t tries = strid_attempt(ctx), p = payload.partition;
    strid_bytes value;
    check_views(record, &payload);
    check_call(ctx, &payload, of);
    sim_step_yield();
    if (of->kind == SIM_POISON && !sim_world->crash.dead)
        sim_crash_now();
    if (sim_world->crash.dead)
        return STRID_DONE;
    sim_world_note("handle", p, payload.index, tries);
    strid_outcome outcome = sim_outcome_of(of, tries);
    if (sim_input_is_stateless(&sim_world->input, of)) {
        emit(ctx, &payload, of, outcome != STRID_DONE);
        strid_set_reason(ctx, "sim");
        return sim_outcome_say(ctx, of, p, of->asks_second == 0);
    }
    strid_state_kind kind = strid_state_get(ctx, SIM_INPUT_STORE_CHAIN, &value);
    if (kind != STRID_STATE_ABSENT) {
        SIM_CHECK("state_seen",
                  kind == STRID_STATE_BYTES &&
                      value.len >= sim_world->input.partition_count * sizeof state.chains[0],
                  "not bytes");
        memcpy(state.chains, value.data, sim_world->input.partition_count * sizeof state.chains[0]);
    }
    if (ctx->failed) /* the store could not be read: nothing of this call counts */
        return STRID_DONE;
    SIM_CHECK("state_seen", sim_input_is_sum(&sim_world->input) || state.chains[p] == of->before,
              "partition %u, record %u: its key's chain is not the one behind the record before", p,
              payload.index);
    if (outcome == STRID_DONE)
        state.chains[p] += of->chain - of->before;
    else
        state.chains[p] = ~of->before;
    static struct buffer bytes; /* one thread: kept from call to call */
    buffer_clear(&bytes);
    sim_input_put_chains(&sim_world->input, &state, &bytes);
    strid_status status = strid_state_put(ctx, SIM_INPUT_STORE_CHAIN, buffer_bytes(&bytes));
    SIM_CHECK("state_seen",
              strid_state_get(ctx, SIM_INPUT_STORE_CHAIN, &value) == STRID_STATE_BYTES &&
                  strid_bytes_equal(value, buffer_bytes(&bytes)),
              "partition %u, record %u: not what was just put", p, payload.index);
    SIM_CHECK("record_is_whole", status == STRID_OK, "put");
    emit(ctx, &payload, of, outcome != STRID_DONE);
    strid_set_reason(ctx, "sim");
    return sim_outcome_say(ctx, of, p, of->asks_second == 0);
}

strid_outcome sim_handler_chain(strid_context *ctx, const strid_record *record, void *user)
{
    struct sim_payload payload;
    (void)user;
    if (sim_world->crash.dead)
        return STRID_DONE;
    struct sim_record *of = sim_outcome_record(record, &payload);
    sim_crash_enter(of, payload.partition, strid_attempt(ctx));
    strid_outcome outcome = chain(ctx, record, &payload, of);
    /* done: the next handler is called, and the record is still in hand */
    sim_crash_leave(outcome != STRID_DONE, strid_attempt(ctx));
    return outcome;
}

bool sim_handler_has_half(uint64_t done) { return done % 3 != 0; }

/* An entry with a time to live holds when it was written; where the outcome comes later, with the
 * sign turned, when its handler was called, since its age counts from when the outcome took effect.
 * It is there until its time is over, and gone from then on; what counts is the time at which the
 * worker's step began. What its blocks say of it: sim_audit.c. */
static void use_aged(strid_context *ctx, const struct sim_payload *payload,
                     struct sim_record *record, bool done)
{
    const struct sim_partition *partition = &sim_world->input.partitions[payload->partition];
    int64_t now_ms = ctx->worker->now_ms, ttl_ms = sim_world->knobs.ttl_ms;
    int64_t written_ms = strid_state_get_i64(ctx, SIM_INPUT_STORE_AGED, 0);
    if (ttl_ms == 0 || ctx->failed)
        return;
    uint32_t at = record->previous;
    while (at != 0 && !sim_input_is_done(&sim_world->input, &partition->records[at - 1]))
        at = partition->records[at - 1].previous;
    SIM_CHECK("aged_goes", written_ms <= 0 || written_ms + ttl_ms > now_ms,
              "partition %u, record %u: an entry of %lld ms ago is still there", payload->partition,
              payload->index, (long long)(now_ms - written_ms));
    /* Where the clock was set back, another partition's record may have left less time. */
    SIM_CHECK("aged_stays",
              written_ms != 0 || at == 0 || sim_input_is_sum(&sim_world->input) ||
                  sim_world->figures.clock_sets > 0 ||
                  partition->records[at - 1].first_ms + ttl_ms <= now_ms,
              "partition %u, record %u: an entry went before its time", payload->partition,
              payload->index);
    bool later = sim_input_defers(record, strid_attempt(ctx)) && record->defer != SIM_DEFER_TAKEN;
    strid_state_put_i64(ctx, SIM_INPUT_STORE_AGED, later ? -now_ms : now_ms);
    if (done && !later && record->first_ms == 0)
        record->first_ms = now_ms;
}

static strid_outcome count(strid_context *ctx, const struct sim_payload *in, struct sim_record *of)
{
    const struct sim_payload payload = *in;
    strid_bytes value;
    if (sim_input_is_stateless(&sim_world->input, of))
        return sim_outcome_say(ctx, of, payload.partition, of->asks_second != 0);
    int64_t done = strid_state_get_i64(ctx, SIM_INPUT_STORE_COUNT, 0);
    strid_state_kind half = strid_state_get(ctx, SIM_INPUT_STORE_HALF, &value);
    if (ctx->failed)
        return STRID_DONE;
    SIM_CHECK("state_seen", (half == STRID_STATE_F64) == sim_handler_has_half((uint64_t)done),
              "partition %u, record %u: the half of %lld", payload.partition, payload.index,
              (long long)done);
    use_aged(ctx, &payload, of, sim_outcome_of(of, strid_attempt(ctx)) == STRID_DONE);
    if (ctx->failed)
        return STRID_DONE;
    if (sim_world->knobs.subs)
        sim_subs_handle(ctx, SIM_INPUT_STORE_SUBS, (uint64_t)done);
    if (sim_world->knobs.subs && sim_outcome_of(of, strid_attempt(ctx)) != STRID_DONE)
        sim_subs_spoil(ctx, SIM_INPUT_STORE_SUBS);
    if (ctx->failed)
        return STRID_DONE;
    SIM_CHECK("state_seen",
              half != STRID_STATE_F64 ||
                  (strid_state_get_f64(ctx, SIM_INPUT_STORE_HALF, 0) == (double)done * 0.5 &&
                   strid_state_get_f64(ctx, SIM_INPUT_STORE_COUNT, 0) == (double)done),
              "partition %u, record %u: another half", payload.partition, payload.index);
    done++;
    strid_state_put_i64(ctx, SIM_INPUT_STORE_COUNT, done);
    SIM_CHECK("state_seen", strid_state_get_i64(ctx, SIM_INPUT_STORE_COUNT, 0) == done,
              "partition %u, record %u: not what was just put", payload.partition, payload.index);
    if (sim_handler_has_half((uint64_t)done))
        strid_state_put_f64(ctx, SIM_INPUT_STORE_HALF, (double)done * 0.5);
    else
        strid_state_delete(ctx, SIM_INPUT_STORE_HALF);
    return sim_outcome_say(ctx, of, payload.partition, of->asks_second != 0);
}

strid_outcome sim_handler_count(strid_context *ctx, const strid_record *record, void *user)
{
    struct sim_payload payload;
    (void)user;
    if (sim_world->crash.dead)
        return STRID_DONE;
    struct sim_record *of = sim_outcome_record(record, &payload);
    sim_crash_enter(of, payload.partition, strid_attempt(ctx));
    strid_outcome outcome = count(ctx, &payload, of);
    sim_crash_leave(true, strid_attempt(ctx));
    return outcome;
}
