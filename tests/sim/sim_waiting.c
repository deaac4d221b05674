#include "sim_waiting.h"

#include "runtime/worker_applied_waiting.h"
#include "runtime/worker_retry.h"
#include "runtime/worker_retry_mark.h"

#include "sim_keys.h"

static void forget(struct sim_input *input, uint32_t k)
{
    for (uint32_t p = 0; p < input->partition_count; p++)
        for (uint32_t at = input->partitions[p].last[k]; at != 0;
             at = input->partitions[p].records[at - 1].previous)
            input->partitions[p].records[at - 1].parked = false;
}

/* The record that an entry is a copy of, by partition and index. */
static struct sim_record *read_record(struct sim_input *input, const struct key_value *value,
                                      uint32_t *p, uint32_t *index)
{
    struct retry_record record;
    static struct buffer headers; /* one thread: kept from call to call */
    SIM_CHECK("waiting_is_whole",
              value->kind == STRID_STATE_BYTES &&
                  retry_record_get(value->bytes, &headers, &record) &&
                  record.partition < input->partition_count,
              "a waiting record cannot be read");
    const struct sim_partition *partition = &input->partitions[record.partition];
    uint64_t place = sim_input_place(input, record.record.position);
    *p = record.partition;
    *index = sim_input_before(partition, place);
    SIM_CHECK("waiting_is_whole",
              *index < partition->count && partition->records[*index].place == place,
              "partition %u has no record at %llu, and it waits", *p, (unsigned long long)place);
    return &partition->records[*index];
}

/* The start of a run looks for heads only where this says that there are some. */
static void check_marked(const struct directory *directory, uint32_t hash)
{
    struct key_state mark = worker_store_mark_key(WORKER_RETRY_MARK_STORE, hash >> 24);
    struct sim_key name = {.bytes = mark.key, .keyless = true, .hash = mark.hash};
    struct key_value value;
    (void)sim_keys_stored(directory, &name, WORKER_RETRY_MARK_STORE, strid_bytes_of(NULL, 0),
                          &value);
    SIM_CHECK("waiting_is_marked", value.kind == STRID_STATE_I64,
              "keys wait in vshard %u, and nothing says so", hash >> 24);
}

/* The entry is that of a record of the key which progress covers, and of no other. */
static void take_record(struct sim_input *input, const struct key_value *value, uint32_t k,
                        const uint32_t *applied, uint32_t *lowest)
{
    uint32_t p, index;
    struct sim_record *of = read_record(input, value, &p, &index);
    SIM_CHECK("waiting_is_covered", index < applied[p] && of->key == k && !of->parked,
              "key %u: record %u of partition %u waits twice, or is still to be read", k, index, p);
    of->parked = true;
    lowest[p] = index < lowest[p] ? index : lowest[p];
}

uint32_t sim_waiting_take(const struct directory *directory, uint32_t k, uint32_t *applied)
{
    struct sim_input *input = &sim_world->input;
    const struct sim_key *key = &input->keys[k];
    uint32_t lowest[SIM_INPUT_PARTITIONS_MAX];
    struct retry_head head;
    struct key_value value;
    forget(input, k);
    (void)sim_keys_stored(directory, key, WORKER_RETRY_HEAD_STORE, strid_bytes_of(NULL, 0), &value);
    if (value.kind == STRID_STATE_ABSENT)
        return 0;
    SIM_CHECK("waiting_is_whole", retry_record_get_head(value.bytes, &head), "the head of key %u",
              k);
    check_marked(directory, key->hash);
    for (uint32_t p = 0; p < input->partition_count; p++)
        lowest[p] = UINT32_MAX;
    for (uint64_t seq = head.first_seq; seq <= head.last_seq; seq++) {
        uint8_t subkey[RETRY_SUBKEY_BYTES];
        retry_record_subkey(subkey, seq);
        (void)sim_keys_stored(directory, key, WORKER_RETRY_STORE,
                              strid_bytes_of(subkey, sizeof subkey), &value);
        take_record(input, &value, k, applied, lowest);
    }
    for (uint32_t p = 0; p < input->partition_count; p++) {
        for (uint32_t i = lowest[p]; i < applied[p]; i++) {
            const struct sim_record *record = &input->partitions[p].records[i];
            SIM_CHECK("waiting_is_last", record->key != k || record->parked,
                      "key %u: record %u of partition %u passed one that waits", k, i, p);
        }
        applied[p] = applied[p] < lowest[p] ? applied[p] : lowest[p];
    }
    return (uint32_t)(head.last_seq - head.first_seq + 1);
}

/* What a head names, one by one: records that progress covers. Returns how many. */
static uint32_t take_head(const struct directory *directory, const struct key_state *state,
                          const struct key_value *value, sim_coverage applied)
{
    struct sim_input *input = &sim_world->input;
    struct retry_head head;
    strid_bytes name = key_record_of(state);
    SIM_CHECK("waiting_is_whole",
              value->kind == STRID_STATE_BYTES && retry_record_get_head(value->bytes, &head),
              "a head cannot be read");
    check_marked(directory, state->hash);
    struct sim_key under = {
        .bytes = name, .keyless = (state->store & KEY_STORE_KEYLESS) != 0, .hash = state->hash};
    for (uint64_t seq = head.first_seq; seq <= head.last_seq; seq++) {
        uint8_t subkey[RETRY_SUBKEY_BYTES];
        struct key_value copy;
        uint32_t p, index;
        retry_record_subkey(subkey, seq);
        (void)sim_keys_stored(directory, &under, WORKER_RETRY_STORE,
                              strid_bytes_of(subkey, sizeof subkey), &copy);
        struct sim_record *of = read_record(input, &copy, &p, &index);
        const struct sim_key *key = &input->keys[of->key];
        bool whole = input->ordering == STRID_ORDERING_PARTITION;
        SIM_CHECK("waiting_is_whole",
                  whole ? under.keyless && memcmp(name.data, &p, sizeof p) == 0
                        : under.keyless == key->keyless && strid_bytes_equal(name, key->bytes),
                  "partition %u, record %u waits under another name", p, index);
        SIM_CHECK("waiting_is_covered", index < applied[key->hash >> 24][p] && !of->parked,
                  "record %u of partition %u waits twice, or is still to be read", index, p);
        of->parked = true;
    }
    return (uint32_t)(head.last_seq - head.first_seq + 1);
}

/* With the order of partitions: all of a partition is parked behind the first that waits. */
static void check_last(const struct sim_input *input, sim_coverage applied)
{
    for (uint32_t p = 0; p < input->partition_count; p++) {
        bool waits = false;
        for (uint32_t i = 0; i < input->partitions[p].count; i++) {
            const struct sim_record *record = &input->partitions[p].records[i];
            SIM_CHECK("waiting_is_last",
                      !waits || record->parked || i >= applied[sim_input_vshard(input, record)][p],
                      "record %u of partition %u passed one that waits", i, p);
            waits = waits || record->parked;
        }
    }
}

/* A head as it is stored, unless blocks say something newer. */
static uint32_t take_stored(const struct directory *directory, const struct skip_node *node,
                            sim_coverage applied)
{
    struct key_state state;
    struct key_value value;
    if ((skip_node_key(node).data[2] & KEY_STORE_MAX) != WORKER_RETRY_HEAD_STORE)
        return 0;
    SIM_CHECK("waiting_is_whole",
              key_get_state(skip_node_key(node), &state) &&
                  key_get_value(skip_node_value(node), &value),
              "a damaged entry");
    struct key_value newer;
    if (directory->fold != NULL && fold_get(directory->fold, &state, &newer))
        return 0;
    return take_head(directory, &state, &value, applied);
}

uint32_t sim_waiting_look(const struct directory *directory, sim_coverage applied)
{
    struct sim_input *input = &sim_world->input;
    uint32_t count = 0;
    for (uint32_t p = 0; p < input->partition_count; p++)
        for (uint32_t i = 0; i < input->partitions[p].count; i++)
            input->partitions[p].records[i].parked = false;
    const struct skip_node *node = skip_list_seek(sim_world->disk.states, strid_bytes_of_text("s"));
    for (; node != NULL; node = skip_list_next(node))
        count += take_stored(directory, node, applied);
    struct store_op op;
    if (directory->fold != NULL)
        fold_sort(directory->fold);
    while (directory->fold != NULL && fold_next(directory->fold, &op)) {
        struct key_state state;
        struct key_value value = {.kind = STRID_STATE_ABSENT};
        bool read = key_get_state(op.key, &state);
        SIM_CHECK("waiting_is_whole",
                  read && (op.value.data == NULL || key_get_value(op.value, &value)),
                  "a damaged entry");
        if ((state.store & KEY_STORE_MAX) == WORKER_RETRY_HEAD_STORE && op.value.data != NULL)
            count += take_head(directory, &state, &value, applied);
    }
    if (input->ordering == STRID_ORDERING_PARTITION && !input->unordered)
        check_last(input, applied);
    return count;
}

void sim_waiting_cut(uint32_t k, uint32_t *applied)
{
    const struct sim_input *input = &sim_world->input;
    for (uint32_t p = 0; p < input->partition_count; p++)
        for (uint32_t at = input->partitions[p].last[k]; at != 0;
             at = input->partitions[p].records[at - 1].previous)
            if (input->partitions[p].records[at - 1].parked && at <= applied[p])
                applied[p] = at - 1;
}

void sim_waiting_check_none(void)
{
    const struct skip_node *node = skip_list_seek(sim_world->disk.states, strid_bytes_of_text("s"));
    for (; node != NULL; node = skip_list_next(node)) {
        uint8_t store = skip_node_key(node).data[2] & KEY_STORE_MAX;
        bool waits = store == WORKER_RETRY_STORE || store == WORKER_RETRY_HEAD_STORE ||
                     store == WORKER_RETRY_MARK_STORE || store == WORKER_APPLIED_WAITING_STORE;
        SIM_CHECK("waiting_goes", !waits, "store %x holds something when all is settled", store);
    }
}

/* An entry of the store of positions: that of a record that waits. */
static void take_position(const struct key_state *state, const struct key_value *value)
{
    const struct sim_input *input = &sim_world->input;
    const strid_bytes name = key_record_of(state);
    int64_t vshard = -1;
    SIM_CHECK("position_is_whole",
              name.len == 20 && value->kind == STRID_STATE_I64 && value->bytes.len == sizeof vshard,
              "a position cannot be read");
    memcpy(&vshard, value->bytes.data, sizeof vshard);
    const uint32_t p = (uint32_t)(key_get_u64(name.data) >> 32);
    const strid_position position = {key_get_u64(name.data + 4), key_get_u64(name.data + 12)};
    SIM_CHECK("position_is_whole", p < input->partition_count, "partition %u", p);
    const struct sim_partition *partition = &input->partitions[p];
    const uint64_t place = sim_input_place(input, position);
    const uint32_t index = sim_input_before(partition, place);
    SIM_CHECK("position_is_whole",
              index < partition->count && partition->records[index].place == place &&
                  vshard == sim_input_vshard(input, &partition->records[index]),
              "partition %u: a position that is no record's", p);
    SIM_CHECK("position_waits", partition->records[index].parked,
              "partition %u: record %u is said to wait, and does not", p, index);
    SIM_CHECK("waiting_is_unacknowledged", !sim_unordered_is_taken_in(p, index),
              "partition %u: record %u waits, and is acknowledged", p, index);
}

void sim_waiting_check_positions(const struct directory *directory, uint32_t count)
{
    const struct skip_node *node = skip_list_seek(sim_world->disk.states, strid_bytes_of_text("s"));
    struct key_state state;
    struct key_value value, newer;
    uint32_t found = 0;
    for (; node != NULL; node = skip_list_next(node)) {
        if ((skip_node_key(node).data[2] & KEY_STORE_MAX) != WORKER_APPLIED_WAITING_STORE ||
            !key_get_state(skip_node_key(node), &state) ||
            !key_get_value(skip_node_value(node), &value) ||
            (directory->fold != NULL && fold_get(directory->fold, &state, &newer)))
            continue;
        take_position(&state, &value);
        found++;
    }
    struct store_op op;
    if (directory->fold != NULL)
        fold_sort(directory->fold);
    while (directory->fold != NULL && fold_next(directory->fold, &op)) {
        if (!key_get_state(op.key, &state) || op.value.data == NULL ||
            (state.store & KEY_STORE_MAX) != WORKER_APPLIED_WAITING_STORE ||
            !key_get_value(op.value, &value))
            continue;
        take_position(&state, &value);
        found++;
    }
    SIM_CHECK("position_is_kept", found == count, "%u records wait, and %u positions say so", count,
              found);
}
