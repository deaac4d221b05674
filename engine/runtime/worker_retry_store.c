#include "runtime/worker_retry_store.h"

#include "base/mutant.h"
#include "runtime/worker_applied_waiting.h"
#include "runtime/worker_retry.h"

/* The name of an entry or a head in the stores. */
static struct worker_store_key stored_name(const struct waiting_key *key, uint8_t store,
                                           strid_bytes subkey)
{
    bool alone = (key->head.flags & RETRY_HEAD_ALONE) != 0;
    bool keyless = (key->head.flags & RETRY_HEAD_KEYLESS) != 0;
    size_t len = key->key_len - (alone ? (size_t)RETRY_SUBKEY_BYTES : 0);
    return (struct worker_store_key){.store = (uint8_t)(store | (keyless ? KEY_STORE_KEYLESS : 0)),
                                     .hash = (uint32_t)(key->hash >> 32),
                                     .key = strid_bytes_of(key->key, len),
                                     .subkey = subkey};
}

static struct worker_store_key head_name(const struct waiting_key *key)
{
    strid_bytes subkey = strid_bytes_of(NULL, 0);
    if ((key->head.flags & RETRY_HEAD_ALONE) != 0)
        subkey = strid_bytes_of(key->key + key->key_len - RETRY_SUBKEY_BYTES, RETRY_SUBKEY_BYTES);
    return stored_name(key, WORKER_RETRY_HEAD_STORE, subkey);
}

/* `subkey` receives the sequence, and has to last as long as the name. */
static struct worker_store_key record_name(const struct waiting_key *key, uint64_t seq,
                                           uint8_t subkey[RETRY_SUBKEY_BYTES])
{
    retry_record_subkey(subkey, seq);
    return stored_name(key, WORKER_RETRY_STORE, strid_bytes_of(subkey, RETRY_SUBKEY_BYTES));
}

void worker_retry_store_note(struct worker *worker, struct waiting_key *key)
{
    waiting_change_note(&worker->retry.changes, key);
    worker_store_changed(worker);
}

void worker_retry_store_add(struct worker *worker, struct waiting_key *key, uint64_t seq)
{
    waiting_change_add(&worker->retry.changes, key, seq, buffer_bytes(&worker->retry.bytes));
    worker_store_changed(worker);
}

bool worker_retry_store_first(struct worker *worker, const struct waiting_key *key,
                              strid_bytes *record)
{
    const struct waiting_copy *copy = waiting_change_first(&worker->retry.changes, key);
    uint8_t subkey[RETRY_SUBKEY_BYTES];
    struct key_value value;
    if (copy != NULL) {
        *record = strid_bytes_of(copy->bytes, copy->len);
        return true;
    }
    struct worker_store_key name = record_name(key, key->head.first_seq, subkey);
    if (!worker_store_get(worker, &name, &value))
        return false;
    *record = value.kind == STRID_STATE_BYTES ? value.bytes : strid_bytes_of(NULL, 0);
    return true;
}

void worker_retry_store_settle(struct worker *worker, struct waiting_key *key, uint32_t partition,
                               strid_position position)
{
    struct waiting_changes *changes = &worker->retry.changes;
    uint8_t subkey[RETRY_SUBKEY_BYTES];
    if (waiting_change_first(changes, key) != NULL) {
        waiting_change_settle(changes, key);
    } else {
        struct worker_store_key name = record_name(key, key->head.first_seq, subkey);
        worker_store_delete(worker, &name);
        if (changes->has_positions && !MUTANT(MUTANT_POSITION_LEFT))
            worker_applied_waiting_delete(worker, (uint32_t)(key->hash >> 32), partition, position);
    }
    if (key->head.first_seq != key->head.last_seq)
        return;
    struct worker_store_key head = head_name(key);
    waiting_change_drop(changes, key);
    if (key->stored)
        worker_store_delete(worker, &head);
}

uint32_t worker_retry_store_entries(const struct worker *worker)
{
    return worker->retry.changes.has_positions ? 3 : 2;
}

static void put(struct worker *worker, const struct worker_store_key *name, strid_bytes bytes)
{
    worker_store_put(worker, name, &(struct key_value){.kind = STRID_STATE_BYTES, .bytes = bytes});
}

static void put_head(struct worker *worker, struct waiting_key *key)
{
    struct worker_store_key name = head_name(key);
    struct buffer *bytes = &worker->retry.bytes;
    struct retry_head head = key->head;
    if (key->open)
        head.due_ms = 0; /* the next run does not know of it */
    if (key->open && MUTANT(MUTANT_OPEN_UNWRITTEN)) {
        worker_store_delete(worker, &name);
        return;
    }
    buffer_clear(bytes);
    retry_record_put_head(bytes, &head);
    put(worker, &name, buffer_bytes(bytes));
    key->stored = true;
}

static void put_position(struct worker *worker, const struct waiting_key *key,
                         const struct waiting_copy *copy)
{
    uint32_t partition;
    strid_position position;
    retry_record_place(strid_bytes_of(copy->bytes, copy->len), &partition, &position);
    worker_applied_waiting_put(worker, (uint32_t)(key->hash >> 32), partition, position);
}

void worker_retry_store_seal(struct worker *worker)
{
    struct waiting_changes *changes = &worker->retry.changes;
    uint8_t subkey[RETRY_SUBKEY_BYTES];
    for (uint32_t i = 0; i < changes->count && !MUTANT(MUTANT_WAITING_UNWRITTEN); i++) {
        struct waiting_key *key = changes->list[i].key;
        for (const struct waiting_copy *copy = changes->list[i].first; copy != NULL;
             copy = copy->next) {
            struct worker_store_key name = record_name(key, copy->seq, subkey);
            put(worker, &name, strid_bytes_of(copy->bytes, copy->len));
            if (changes->has_positions)
                put_position(worker, key, copy);
        }
        put_head(worker, key);
    }
    waiting_change_clear(changes);
}
