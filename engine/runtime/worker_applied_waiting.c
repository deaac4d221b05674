#include "runtime/worker_applied_waiting.h"

#include "base/mutant.h"
#include "runtime/worker_applied.h"
#include "runtime/worker_retry_mark.h"

enum { NAME_BYTES = 20 };

static void put_be(uint8_t *out, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

static uint64_t get_be(const uint8_t *in, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | in[i];
    return value;
}

/* `bytes` has to last as long as the name. */
static struct worker_store_key name_of(uint8_t bytes[NAME_BYTES], uint32_t hash, uint32_t partition,
                                       strid_position position)
{
    put_be(bytes, partition, 4);
    put_be(bytes + 4, position.high, 8);
    put_be(bytes + 12, position.low, 8);
    return (struct worker_store_key){.store = WORKER_APPLIED_WAITING_STORE,
                                     .hash = hash,
                                     .key = strid_bytes_of(bytes, NAME_BYTES)};
}

/* Of the record's own key, which need not be the one that it waits under. */
static int64_t vshard_of(const struct worker *worker, uint32_t hash, uint32_t partition,
                         strid_position position)
{
    const struct partition *of = run_partition(worker->run, partition);
    const struct applied_item *item =
        of == NULL ? NULL : applied_set_find(&worker->applied.set, of->index, position);
    return item == NULL ? hash >> 24 : item->vshard;
}

void worker_applied_waiting_put(struct worker *worker, uint32_t hash, uint32_t partition,
                                strid_position position)
{
    uint8_t bytes[NAME_BYTES];
    const struct worker_store_key name = name_of(bytes, hash, partition, position);
    const int64_t vshard = vshard_of(worker, hash, partition, position);
    worker_store_put(worker, &name,
                     &(struct key_value){.kind = STRID_STATE_I64,
                                         .bytes = strid_bytes_of(&vshard, sizeof vshard)});
}

void worker_applied_waiting_delete(struct worker *worker, uint32_t hash, uint32_t partition,
                                   strid_position position)
{
    uint8_t bytes[NAME_BYTES];
    const struct worker_store_key name = name_of(bytes, hash, partition, position);
    worker_store_delete(worker, &name);
}

struct load {
    struct worker *worker;
    bool damaged;
};

static bool take(void *user, const struct key_state *state, const struct key_value *value)
{
    struct load *load = user;
    const strid_bytes name = key_record_of(state);
    int64_t vshard = 0;
    load->damaged = name.len != NAME_BYTES || value->kind != STRID_STATE_I64 ||
                    value->bytes.len != sizeof vshard;
    if (load->damaged)
        return false;
    memcpy(&vshard, value->bytes.data, sizeof vshard);
    const struct partition *partition =
        run_partition(load->worker->run, (uint32_t)get_be(name.data, 4));
    const strid_position position = {get_be(name.data + 4, 8), get_be(name.data + 12, 8)};
    load->damaged = partition == NULL || vshard < 0 || vshard >= KEY_VSHARDS;
    if (!load->damaged && !MUTANT(MUTANT_WAITING_UNKNOWN))
        worker_applied_recall(load->worker, partition, position, (uint32_t)vshard);
    return !load->damaged;
}

bool worker_applied_waiting_load(struct worker *worker, bool *damaged)
{
    struct load load = {.worker = worker};
    const bool is_read = worker_retry_mark_each(worker, WORKER_APPLIED_WAITING_STORE, take, &load);
    *damaged = load.damaged;
    return is_read && !load.damaged;
}
