#include "sim_keys.h"

#include "base/memory.h"

#include "runtime/worker_retry.h"

#include "sim_handler.h"
#include "sim_subs.h"
#include "sim_waiting.h"
#include "sim_world.h"

enum { NAME_MAX = 320 };

static uint32_t slot_of(const struct sim_keys *keys, uint32_t hash)
{
    return (hash * UINT32_C(0x9e3779b1) ^ hash >> 15) & (keys->slot_count - 1);
}

void sim_keys_init(struct sim_keys *keys, const struct sim_input *input)
{
    *keys = (struct sim_keys){.slot_count = 64};
    while (keys->slot_count < 2 * input->key_count)
        keys->slot_count *= 2;
    keys->slots = memory_alloc_zeroed(keys->slot_count * sizeof *keys->slots);
    keys->compared = memory_alloc_zeroed(input->key_count * sizeof *keys->compared);
    for (uint32_t k = 0; k < input->key_count; k++) {
        uint32_t at = slot_of(keys, input->keys[k].hash);
        while (keys->slots[at] != 0)
            at = (at + 1) & (keys->slot_count - 1);
        keys->slots[at] = k + 1;
    }
}

void sim_keys_fini(struct sim_keys *keys)
{
    memory_free(keys->slots);
    memory_free(keys->compared);
}

static bool is_of_model(const struct key_state *state)
{
    uint8_t store = state->store & KEY_STORE_MAX;
    return store < KEY_STORE_ENGINE && store != SIM_INPUT_STORE_AGED;
}

/* What says which records of a key wait. */
static bool is_waiting(const struct key_state *state)
{
    uint8_t store = state->store & KEY_STORE_MAX;
    return store == WORKER_RETRY_STORE || store == WORKER_RETRY_HEAD_STORE;
}

/* The key that an entry belongs to; NULL: it is of a store whose entries depend on more than
 * progress and what waits. `counts`: it is one of the model's. */
static struct sim_compared *find(struct sim_keys *keys, strid_bytes encoded, bool *counts)
{
    const struct sim_input *input = &sim_world->input;
    struct key_state state;
    bool read = key_get_state(encoded, &state);
    SIM_CHECK("state_is_whole", read, "a key of state that cannot be read");
    *counts = is_of_model(&state);
    if (!*counts && !is_waiting(&state))
        return NULL;
    strid_bytes name = key_record_of(&state);
    for (uint32_t at = slot_of(keys, state.hash); keys->slots[at] != 0;
         at = (at + 1) & (keys->slot_count - 1)) {
        const struct sim_key *key = &input->keys[keys->slots[at] - 1];
        if (key->hash == state.hash && strid_bytes_equal(key->bytes, name) &&
            key->keyless == ((state.store & KEY_STORE_KEYLESS) != 0))
            return &keys->compared[keys->slots[at] - 1];
    }
    sim_world_violated("state_is_progress", "there is state of a key that no record has");
}

void sim_keys_loaded(struct sim_keys *keys, strid_bytes key, int change)
{
    bool counts;
    struct sim_compared *of = find(keys, key, &counts);
    if (of == NULL)
        return;
    of->loaded = true;
    if (counts)
        keys->entries += (size_t)(int64_t)change;
}

strid_bytes sim_keys_stored(const struct directory *directory, const struct sim_key *key,
                            uint8_t store, strid_bytes subkey, struct key_value *value)
{
    uint8_t bytes[KEY_STATE_HEADER + NAME_MAX], name[NAME_MAX];
    struct key_state state = {.hash = key->hash,
                              .sub_len = (uint16_t)subkey.len,
                              .store = (uint8_t)(store | (key->keyless ? KEY_STORE_KEYLESS : 0)),
                              .key = strid_bytes_of(name, key->bytes.len + subkey.len)};
    memcpy(name, key->bytes.data, key->bytes.len);
    if (subkey.len > 0)
        memcpy(name + key->bytes.len, subkey.data, subkey.len);
    *value = (struct key_value){.kind = STRID_STATE_ABSENT};
    if (directory->fold != NULL && fold_get(directory->fold, &state, value))
        return value->bytes;
    const struct skip_node *node =
        skip_list_find(sim_world->disk.states, strid_bytes_of(bytes, key_put_state(bytes, &state)));
    if (node == NULL)
        return strid_bytes_of(NULL, 0);
    SIM_CHECK("state_is_whole", key_get_value(skip_node_value(node), value), "a checksum");
    return value->bytes;
}

static uint32_t check_subkeys(const struct directory *directory, const struct sim_key *key,
                              uint32_t k, uint64_t done)
{
    static struct buffer bytes; /* one thread: kept from call to call */
    struct sim_subs expected;
    uint32_t count = 0;
    sim_subs_of(done, &expected);
    for (uint32_t slot = 0; slot < SIM_SUBS; slot++) {
        struct key_value value;
        bool there = expected.by[slot] != 0;
        strid_bytes stored =
            sim_keys_stored(directory, key, SIM_INPUT_STORE_SUBS, sim_subs_name(slot), &value);
        buffer_clear(&bytes);
        if (there)
            sim_subs_value(slot, expected.by[slot], &bytes);
        SIM_CHECK("state_is_progress",
                  value.kind == (there ? sim_subs_kind(slot) : STRID_STATE_ABSENT) &&
                      strid_bytes_equal(stored, buffer_bytes(&bytes)),
                  "key %u: subkey %u is not that of %llu records", k, slot,
                  (unsigned long long)done);
        count += there;
    }
    return count;
}

static void check_chains(const struct directory *directory, uint32_t k,
                         const struct sim_state *state)
{
    static struct buffer expected;
    struct key_value value;
    strid_bytes chains = sim_keys_stored(directory, &sim_world->input.keys[k],
                                         SIM_INPUT_STORE_CHAIN, strid_bytes_of(NULL, 0), &value);
    buffer_clear(&expected);
    if (state->done > 0)
        sim_input_put_chains(&sim_world->input, state, &expected);
    SIM_CHECK("state_is_progress",
              value.kind == (state->done > 0 ? STRID_STATE_BYTES : STRID_STATE_ABSENT) &&
                  strid_bytes_equal(chains, buffer_bytes(&expected)),
              "key %u: the chains are not those of the records that progress covers", k);
}

/* What there is of a key against the model; returns how many entries there are. */
static uint32_t check_key(const struct directory *directory, uint32_t k,
                          const struct sim_state *state)
{
    const struct sim_key *key = &sim_world->input.keys[k];
    const strid_bytes plain = strid_bytes_of(NULL, 0);
    struct key_value value;
    check_chains(directory, k, state);
    int64_t count = 0;
    strid_bytes number = sim_keys_stored(directory, key, SIM_INPUT_STORE_COUNT, plain, &value);
    if (value.kind == STRID_STATE_I64)
        memcpy(&count, number.data, sizeof count);
    SIM_CHECK("state_is_progress",
              value.kind == (state->done > 0 ? STRID_STATE_I64 : STRID_STATE_ABSENT) &&
                  (uint64_t)count == state->done,
              "key %u: counted %lld, progress covers %llu", k, (long long)count,
              (unsigned long long)state->done);
    double half = 0;
    bool has_half = state->done > 0 && sim_handler_has_half(state->done);
    number = sim_keys_stored(directory, key, SIM_INPUT_STORE_HALF, plain, &value);
    if (value.kind == STRID_STATE_F64)
        memcpy(&half, number.data, sizeof half);
    SIM_CHECK("state_is_progress",
              value.kind == (has_half ? STRID_STATE_F64 : STRID_STATE_ABSENT) &&
                  (!has_half || half == (double)state->done * 0.5),
              "key %u: half of %llu", k, (unsigned long long)state->done);
    uint32_t entries = state->done > 0 ? 2 + (uint32_t)has_half : 0;
    return entries + (sim_world->knobs.subs ? check_subkeys(directory, key, k, state->done) : 0);
}

/* Marks the keys that blocks hold something of. */
static void mark_folded(struct sim_keys *keys, const struct directory *directory)
{
    struct store_op op;
    if (directory->fold == NULL)
        return;
    fold_sort(directory->fold);
    while (fold_next(directory->fold, &op)) {
        bool counts;
        struct sim_compared *of = find(keys, op.key, &counts);
        if (of != NULL)
            of->folded = true;
    }
}

size_t sim_keys_check(struct sim_keys *keys, const struct directory *directory,
                      sim_coverage applied)
{
    const struct sim_input *input = &sim_world->input;
    bool same[SIM_INPUT_VSHARDS];
    size_t entries = 0;
    for (uint32_t v = 0; v < SIM_INPUT_VSHARDS; v++)
        same[v] = memcmp(keys->applied[v], applied[v], sizeof applied[v]) == 0;
    memcpy(keys->applied, applied, sizeof(sim_coverage));
    mark_folded(keys, directory);
    bool by_key = input->ordering == STRID_ORDERING_KEY; /* so its entries say what of it waits */
    keys->waiting = by_key ? 0 : sim_waiting_look(directory, applied);
    for (uint32_t k = 0; k < input->key_count; k++) {
        struct sim_compared *of = &keys->compared[k];
        uint32_t vshard = input->keys[k].hash >> 24;
        if (!same[vshard] || of->loaded || of->folded || !by_key) {
            struct sim_state state;
            uint32_t in[SIM_INPUT_PARTITIONS_MAX];
            memcpy(in, applied[vshard], sizeof in);
            if (by_key)
                of->waiting = sim_waiting_take(directory, k, in);
            else if (input->ordering == STRID_ORDERING_PARTITION)
                sim_waiting_cut(k, in);
            sim_input_state(input, k, in, &state);
            if (of->loaded || of->folded || memcmp(&state, &of->state, sizeof state) != 0) {
                of->entries = check_key(directory, k, &state);
                of->state = state;
            }
            of->loaded = of->folded; /* what blocks hold says nothing of the store */
            of->folded = false;
        }
        entries += of->entries;
        keys->waiting += of->waiting;
    }
    return entries;
}
