/* What a handler may do: the strid_state_ and strid_emit functions, on the write set of the record
 * in hand.
 * @thread the worker that calls the handler */
#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/worker_part.h"

void context_begin(struct strid_context *context, struct worker *worker,
                   const struct chunk_slot *slot, const struct worker_found *found)
{
    struct partition *partition = context->partition;
    context->record = &slot->record;
    context->hash = (uint32_t)(slot->hash >> 32);
    context->key = slot->record.key;
    context->store_flag = 0;
    if (context->key.data == NULL) {
        context->key = strid_bytes_of(partition->key_bytes, sizeof partition->key_bytes);
        context->store_flag = KEY_STORE_KEYLESS;
    }
    context->worker = worker;
    context->route = found->route;
    context->write_count = 0;
    context->output_count = 0;
    context->memo_store = 0;
    /* What the fetch of the chunk found holds unless the cache moved something since. */
    if (found->entry != NULL && worker->fetch_moves == worker->cache.moves) {
        context->memo_store = found->entry->store;
        context->memo_entry = found->entry;
    }
    context->failed = false;
    context->reason[0] = '\0';
    context->bytes.len = 0;
    if (__builtin_expect(context->outgrown.len > 0, 0))
        context_free_outgrown(context);
}

/* The entry of the record's key in a store, or NULL where nobody ever wrote it and the cache need
 * not say so. */
struct cache_entry *context_entry(struct strid_context *context, uint8_t store)
{
    if (context->memo_store == store)
        return context->memo_entry;
    struct worker *worker = context->worker;
    struct cache_key key = {.key = context->key, .hash = context->hash, .store = store};
    struct cache_entry *entry = cache_find(&worker->cache, &key);
    if (__builtin_expect(entry == NULL && !cache_is_complete(&worker->cache, key.hash), 0)) {
        strid_error err = STRID_ERROR_INIT;
        entry = worker_fetch_one(worker, &key, &err);
        if (entry == NULL) {
            run_fail(worker->run, &err);
            context->failed = true;
        }
    }
    route_uses_store(context->route, store);
    context->memo_store = store;
    context->memo_entry = entry;
    return entry;
}

static uint8_t number_of(const struct strid_context *context, strid_store store)
{
    const struct run *run = context->worker->run;
    STRID_ASSERT(store >= 1 && store <= run->definition->store_count);
    return run->store_numbers[store] | context->store_flag;
}

static struct context_write *find_write(struct strid_context *context, uint8_t store)
{
    for (uint32_t i = context->write_count; i > 0; i--)
        if (context->writes[i - 1].store == store)
            return &context->writes[i - 1];
    return NULL;
}

strid_state_kind strid_state_get(strid_context *context, strid_store handle, strid_bytes *value)
{
    uint8_t store = number_of(context, handle);
    const struct context_write *write = find_write(context, store);
    if (write != NULL) {
        if (write->kind == STRID_STATE_BYTES)
            *value = strid_bytes_of(context->bytes.data + write->bytes_at, write->bytes_len);
        else if (write->kind != STRID_STATE_ABSENT)
            *value = strid_bytes_of(&write->number, 8);
        return write->kind;
    }
    const struct cache_entry *entry = context_entry(context, store);
    if (entry == NULL || cache_kind(entry) == STRID_STATE_ABSENT ||
        (key_is_expired(entry->expiry_ms, context->worker->now_ms) && !MUTANT(MUTANT_EXPIRED_READ)))
        return STRID_STATE_ABSENT;
    *value = strid_bytes_of(cache_value(entry), entry->value_len);
    return cache_kind(entry);
}

int64_t strid_state_get_i64(strid_context *context, strid_store store, int64_t fallback)
{
    strid_bytes value;
    int64_t number = fallback;
    if (strid_state_get(context, store, &value) == STRID_STATE_I64)
        memcpy(&number, value.data, sizeof number);
    return number;
}

double strid_state_get_f64(strid_context *context, strid_store store, double fallback)
{
    strid_bytes value;
    double number = fallback;
    strid_state_kind kind = strid_state_get(context, store, &value);
    if (kind == STRID_STATE_F64)
        memcpy(&number, value.data, sizeof number);
    else if (kind == STRID_STATE_I64)
        number = (double)strid_state_get_i64(context, store, 0);
    return number;
}

static struct context_write *add_write(struct strid_context *context, strid_store handle,
                                       strid_state_kind kind)
{
    uint8_t store = number_of(context, handle);
    struct context_write *write = find_write(context, store);
    if (write == NULL) {
        STRID_ASSERT(context->write_count < CONTEXT_WRITES_MAX);
        write = &context->writes[context->write_count++];
        write->store = store;
        write->entry = context_entry(context, store);
    }
    write->kind = kind;
    return write;
}

void strid_state_put_i64(strid_context *context, strid_store store, int64_t value)
{
    memcpy(&add_write(context, store, STRID_STATE_I64)->number, &value, sizeof value);
}

void strid_state_put_f64(strid_context *context, strid_store store, double value)
{
    memcpy(&add_write(context, store, STRID_STATE_F64)->number, &value, sizeof value);
}

/* Views of earlier writes stay valid until the handler returns, and `value` may be one of them: the
 * old memory is kept until the record is done with. */
static void grow_bytes(struct strid_context *context, size_t more)
{
    struct buffer grown = {0};
    (void)buffer_reserve(&grown, 2 * context->bytes.len + more);
    buffer_put_bytes(&grown, buffer_bytes(&context->bytes));
    if (context->bytes.data != NULL)
        buffer_put(&context->outgrown, &context->bytes.data, sizeof context->bytes.data);
    context->bytes = grown;
}

size_t context_keep(struct strid_context *context, strid_bytes bytes)
{
    size_t at = context->bytes.len;
    if (__builtin_expect(context->bytes.capacity - at <= bytes.len, 0))
        grow_bytes(context, bytes.len + 1);
    if (bytes.len > 0)
        memcpy(context->bytes.data + at, bytes.data, bytes.len);
    context->bytes.len += bytes.len;
    return at;
}

void context_free_outgrown(struct strid_context *context)
{
    for (size_t at = 0; at < context->outgrown.len; at += sizeof(uint8_t *)) {
        uint8_t *data;
        memcpy(&data, context->outgrown.data + at, sizeof data);
        memory_free(data);
    }
    buffer_clear(&context->outgrown);
}

strid_status strid_state_put(strid_context *context, strid_store store, strid_bytes value)
{
    if (value.len > STRID_STATE_VALUE_MAX)
        return STRID_ELIMIT;
    struct context_write *write = add_write(context, store, STRID_STATE_BYTES);
    write->bytes_at = context_keep(context, value);
    write->bytes_len = value.len;
    return STRID_OK;
}

void strid_state_delete(strid_context *context, strid_store store)
{
    (void)add_write(context, store, STRID_STATE_ABSENT);
}

strid_status strid_emit(strid_context *context, const char *sink, strid_bytes key,
                        strid_bytes value)
{
    const struct definition *definition = context->worker->run->definition;
    for (uint32_t i = 0; i < definition->sink_count; i++) {
        if (strcmp(definition->sinks[i].name, sink) != 0)
            continue;
        struct output_list *list = &context->worker->block->outputs[i];
        output_put(list, context->partition->index, context->record, context->output_count++, key,
                   value);
        return STRID_OK;
    }
    return STRID_ENOTFOUND;
}

void strid_set_reason(strid_context *context, const char *reason)
{
    size_t len = strnlen(reason, CONTEXT_REASON_MAX);
    memcpy(context->reason, reason, len);
    context->reason[len] = '\0';
}

uint32_t strid_attempt(const strid_context *context) { return context->attempt; }

/* Outputs of a record lie at the end of the open block's lists until its outcome is known. */
static void settle_outputs(struct strid_context *context, bool keep)
{
    struct worker *worker = context->worker;
    for (uint32_t i = 0; i < worker->run->delivery_count; i++) {
        struct output_list *list = &worker->block->outputs[i];
        if (keep) {
            list->kept_len = list->bytes.len;
            list->kept_count = list->count;
        } else {
            list->bytes.len = list->kept_len;
            list->count = list->kept_count;
        }
    }
    if (keep)
        worker->block->output_count += context->output_count;
    context->output_count = 0;
}

int64_t context_expiry(const struct worker *worker, uint8_t store)
{
    int64_t ttl_ms = worker->run->ttl_ms[store & ~KEY_STORE_KEYLESS];
    return ttl_ms == 0 ? 0 : worker->now_ms + ttl_ms;
}

/* A write of any kind, to a key that is in the cache or not. */
static void merge_write(struct strid_context *context, const struct context_write *write)
{
    struct cache *cache = &context->worker->cache;
    struct key_value value = {.kind = write->kind};
    if (write->kind == STRID_STATE_BYTES)
        value.bytes = strid_bytes_of(context->bytes.data + write->bytes_at, write->bytes_len);
    else if (write->kind != STRID_STATE_ABSENT)
        value.bytes = strid_bytes_of(&write->number, 8);
    if (value.kind != STRID_STATE_ABSENT)
        value.expiry_ms = context_expiry(context->worker, write->store);
    struct cache_entry *entry = write->entry;
    if (entry == NULL) {
        struct cache_key key = {.key = context->key, .hash = context->hash, .store = write->store};
        entry = cache_add(cache, &key, &(struct key_value){.kind = STRID_STATE_ABSENT});
    }
    (void)cache_put(cache, entry, &value);
    worker_part_look(context->worker);
}

void context_merge(struct strid_context *context)
{
    struct worker *worker = context->worker;
    for (uint32_t i = 0; i < context->write_count; i++) {
        const struct context_write *write = &context->writes[i];
        bool is_number = write->kind == STRID_STATE_I64 || write->kind == STRID_STATE_F64;
        if (!is_number || write->entry == NULL ||
            !cache_put_number(&worker->cache, write->entry, write->kind, write->number,
                              context_expiry(worker, write->store)))
            merge_write(context, write);
    }
    if (__builtin_expect(context->subs.count > 0, 0))
        context_sub_merge(context);
    if (context->output_count > 0)
        settle_outputs(context, true);
}

void context_drop(struct strid_context *context)
{
    if (context->output_count > 0)
        settle_outputs(context, MUTANT(MUTANT_KEPT_OUTPUTS));
    if (MUTANT(MUTANT_KEPT_WRITES))
        return;
    context->write_count = 0;
    context->bytes.len = 0;
    context_sub_drop(context);
}
