#include "faults/ledger_handler.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define XXH_STATIC_LINKING_ONLY /* for a state on the stack */
#include <xxhash.h>

#include "base/crc32c.h"

enum { CHAIN_BYTES = 32, PACE_EVERY = 32 };

struct chain {
    uint64_t count;
    int64_t sum;
    uint64_t last;
    uint64_t hash;
};

_Static_assert(sizeof(struct chain) == CHAIN_BYTES, "the checker knows this layout");

/* Slows the worker down, so that kills meet the middle of the input whatever the machine's speed.
 * It sleeps rarely, since the shortest sleep takes some 50 microseconds more. */
static void pace(const struct ledger_handler *handler)
{
    static _Thread_local uint32_t calls;
    if (handler->pace_us == 0 || ++calls % PACE_EVERY != 0)
        return;
    int64_t ns = (int64_t)handler->pace_us * 1000 * PACE_EVERY;
    struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    (void)nanosleep(&time, NULL);
}

/* The CRC covers what stands before it in the line, so it shows whether the handler got the bytes
 * of the file. */
static bool crc_is_right(const struct ledger_handler *handler, const strid_record *record)
{
    static const char name[] = ",\"crc\":";
    const strid_field *field = &record->fields[handler->crc];
    size_t tail = sizeof name - 1 + field->text.len + 1;
    if (field->kind != STRID_FIELD_INT || record->value.len < tail)
        return false;
    return crc32c(0, record->value.data, record->value.len - tail) == (uint32_t)field->integer;
}

static uint64_t extend_hash(uint64_t hash, const strid_record *record)
{
    uint8_t head[20];
    memcpy(head, &record->origin->partition, 4);
    memcpy(head + 4, &record->position.high, 8);
    memcpy(head + 12, &record->position.low, 8);
    XXH64_state_t state;
    (void)XXH64_reset(&state, hash);
    (void)XXH64_update(&state, head, sizeof head);
    (void)XXH64_update(&state, record->value.data, record->value.len);
    return XXH64_digest(&state);
}

static strid_outcome emit(strid_context *ctx, const strid_record *record, const struct chain *chain)
{
    char text[160];
    int len = snprintf(text, sizeof text,
                       "{\"partition\":%" PRIu32 ",\"position\":%" PRIu64 ",\"count\":%" PRIu64
                       ",\"hash\":\"%016" PRIx64 "\"}",
                       record->origin->partition, record->position.low, chain->count, chain->hash);
    strid_bytes value = strid_bytes_of(text, (size_t)len);
    if (strid_emit(ctx, "out", record->key, value) == STRID_OK)
        return STRID_DONE;
    strid_set_reason(ctx, "ledger: the output was refused");
    return STRID_REJECT;
}

/* Writes what must not stay, then says so. */
static strid_outcome spoil(const struct ledger_handler *handler, strid_context *ctx,
                           const strid_record *record, strid_outcome outcome)
{
    static const char rubbish[] = "this has to be dropped";
    struct chain chain = {0};
    strid_state_delete(ctx, handler->chains);
    if (strid_state_put(ctx, handler->chains, strid_bytes_of(rubbish, sizeof rubbish)) != STRID_OK)
        outcome = STRID_REJECT;
    strid_state_put_i64(ctx, handler->counts, -1);
    if (handler->extra != NULL && !handler->extra->spoil(ctx, handler->extra_store))
        outcome = STRID_REJECT;
    if (handler->output_every != 0 && emit(ctx, record, &chain) != STRID_DONE)
        outcome = STRID_REJECT;
    strid_set_reason(ctx, "ledger: wanted");
    return outcome;
}

static strid_outcome enter(const struct ledger_handler *handler, strid_context *ctx,
                           const strid_record *record)
{
    struct chain chains[LEDGER_PARTITIONS_MAX] = {0};
    strid_bytes old = strid_bytes_of(NULL, 0);
    if (strid_state_get(ctx, handler->chains, &old) != STRID_STATE_ABSENT) {
        if (old.len > sizeof chains || old.len % CHAIN_BYTES != 0) {
            strid_set_reason(ctx, "ledger: the state has a length that was never written");
            return STRID_REJECT;
        }
        memcpy(chains, old.data, old.len);
    }
    uint32_t partition = record->origin->partition;
    size_t len = ((size_t)partition + 1) * CHAIN_BYTES;
    struct chain *chain = &chains[partition];
    chain->count++;
    chain->sum += record->fields[handler->amount].integer;
    chain->last = (uint64_t)record->fields[handler->seq].integer;
    chain->hash = extend_hash(chain->hash, record);
    if (strid_state_put(ctx, handler->chains,
                        strid_bytes_of(chains, old.len > len ? old.len : len)) != STRID_OK)
        return STRID_REJECT;
    int64_t count = strid_state_get_i64(ctx, handler->counts, 0) + 1;
    strid_state_put_i64(ctx, handler->counts, count);
    const char *wrong = handler->extra == NULL
                            ? NULL
                            : handler->extra->enter(ctx, handler->extra_store, record->key, count);
    if (wrong != NULL) {
        strid_set_reason(ctx, wrong);
        return STRID_REJECT;
    }
    if (handler->output_every != 0 && chain->last % handler->output_every == 0)
        return emit(ctx, record, chain);
    return STRID_DONE;
}

/* Does at once what `fate` says, one of those that are not late. */
static strid_outcome meet(const struct ledger_handler *handler, strid_context *ctx,
                          const strid_record *record, strid_bytes fate)
{
    if (strid_bytes_equal(fate, strid_bytes_of_text("reject")))
        return spoil(handler, ctx, record, STRID_REJECT);
    if (strid_bytes_equal(fate, strid_bytes_of_text("skip")))
        return spoil(handler, ctx, record, STRID_SKIP);
    if (strid_bytes_equal(fate, strid_bytes_of_text("exhaust")) ||
        (strid_bytes_equal(fate, strid_bytes_of_text("retry")) && strid_attempt(ctx) == 0))
        return spoil(handler, ctx, record, STRID_RETRY);
    return enter(handler, ctx, record);
}

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    static const char late[] = "late-";
    struct ledger_handler *handler = user;
    pace(handler);
    if (record->origin->partition >= LEDGER_PARTITIONS_MAX || !crc_is_right(handler, record)) {
        strid_set_reason(ctx, "ledger: these are not the bytes of the input");
        return STRID_REJECT;
    }
    strid_bytes fate = record->fields[handler->fate].text;
    size_t len = sizeof late - 1;
    if (fate.len > len && memcmp(fate.data, late, len) == 0) {
        fate = strid_bytes_of(fate.data + len, fate.len - len);
        return ledger_later_defer(handler->later, ctx, meet(handler, ctx, record, fate));
    }
    if (strid_bytes_equal(fate, strid_bytes_of_text("lost")) ||
        (strid_bytes_equal(fate, strid_bytes_of_text("never")) && strid_attempt(ctx) == 0)) {
        (void)spoil(handler, ctx, record, STRID_DONE);
        (void)strid_defer(ctx); /* and nobody completes it */
        return STRID_DEFERRED;
    }
    return meet(handler, ctx, record, fate);
}

strid_status ledger_handler_register(struct ledger_handler *handler, strid_pipeline *pipeline,
                                     strid_error *err)
{
    /* Longer than any test: what crashes leave of entries with an expiry has to be right, too. */
    const strid_store_options counts = {STRID_STORE_OPTIONS_INIT, .ttl_ms = INT64_C(7) << 26};
    strid_status status = strid_pipeline_add_store(pipeline, "chains", &handler->chains, err);
    if (status == STRID_OK)
        status = strid_pipeline_add_store_with(pipeline, "counts", &counts, &handler->counts, err);
    if (status == STRID_OK && handler->extra != NULL)
        status = strid_pipeline_add_store_with(
            pipeline, handler->extra->name, &handler->extra->options, &handler->extra_store, err);
    const struct {
        const char *name;
        uint32_t *index;
    } fields[] = {{"seq", &handler->seq},
                  {"amount", &handler->amount},
                  {"fate", &handler->fate},
                  {"crc", &handler->crc}};
    for (size_t i = 0; status == STRID_OK && i < sizeof fields / sizeof fields[0]; i++)
        status = strid_pipeline_add_field(pipeline, fields[i].name, fields[i].index, err);
    if (status == STRID_OK)
        status = strid_pipeline_on(pipeline, "ledger.*", handle, handler, err);
    return status;
}
