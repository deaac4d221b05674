#include "sim_waiting.h"

#include "runtime/worker_retry.h"

#include "sim_keys.h"

static void forget(struct sim_input *input, uint32_t k)
{
    for (uint32_t p = 0; p < input->partition_count; p++)
        for (uint32_t at = input->partitions[p].last[k]; at != 0;
             at = input->partitions[p].records[at - 1].previous)
            input->partitions[p].records[at - 1].parked = false;
}

/* The entry is that of a record of the key which progress covers, and of no other. */
static void take_record(struct sim_input *input, const struct key_value *value, uint32_t k,
                        const uint32_t *applied, uint32_t *lowest)
{
    struct retry_record record;
    struct buffer headers = {0};
    SIM_CHECK("waiting_is_whole",
              value->kind == STRID_STATE_BYTES &&
                  retry_record_get(value->bytes, &headers, &record) &&
                  record.partition < input->partition_count,
              "key %u: a waiting record cannot be read", k);
    uint32_t p = record.partition;
    uint64_t place = sim_input_place(input, record.record.position);
    uint32_t index = sim_input_before(&input->partitions[p], place);
    struct sim_record *of = &input->partitions[p].records[index];
    SIM_CHECK("waiting_is_covered",
              index < applied[p] && of->place == place && of->key == k && !of->parked,
              "key %u: record %u of partition %u waits twice, or is still to be read", k, index, p);
    of->parked = true;
    lowest[p] = index < lowest[p] ? index : lowest[p];
    buffer_fini(&headers);
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

void sim_waiting_check_none(void)
{
    const struct skip_node *node = skip_list_seek(sim_world->disk.states, strid_bytes_of_text("s"));
    for (; node != NULL; node = skip_list_next(node)) {
        uint8_t store = skip_node_key(node).data[2] & KEY_STORE_MAX;
        SIM_CHECK("waiting_goes", store != WORKER_RETRY_STORE && store != WORKER_RETRY_HEAD_STORE,
                  "store %x holds something when all is settled", store);
    }
}
