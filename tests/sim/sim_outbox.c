#include "sim_outbox.h"

#include "runtime/outbox.h"
#include "state/key.h"

#include "sim_world.h"

static void take_letter(struct sim_world *world, const struct key_value *value,
                        struct buffer *headers)
{
    struct sim_input *input = &world->input;
    struct outbox_record letter;
    struct sim_payload payload;
    SIM_CHECK("outbox_is_whole",
              outbox_record_get(value->bytes, headers, &letter) &&
                  letter.letter.record.value.len >= sizeof payload,
              "a letter cannot be read");
    memcpy(&payload, letter.letter.record.value.data, sizeof payload);
    SIM_CHECK("outbox_is_whole",
              payload.partition < input->partition_count &&
                  payload.index < input->partitions[payload.partition].count,
              "a letter of no record");
    struct sim_record *record = &input->partitions[payload.partition].records[payload.index];
    SIM_CHECK("outbox_is_whole",
              sim_input_is_dead(input, record) && letter.partition == payload.partition &&
                  sim_input_place(input, letter.letter.record.position) == record->place,
              "partition %u, record %u: a letter that should not be there", payload.partition,
              payload.index);
    SIM_CHECK("outbox_is_once", !record->waits, "partition %u, record %u: two letters",
              payload.partition, payload.index);
    record->waits = true;
}

static void check_counts(const int64_t *counted, const uint32_t *found)
{
    for (uint32_t v = 0; v < SIM_INPUT_VSHARDS; v++)
        SIM_CHECK("outbox_is_counted", counted[v] == (int64_t)found[v],
                  "vshard %u: %lld letters counted, %u are there", v, (long long)counted[v],
                  found[v]);
}

uint32_t sim_outbox_look(struct sim_world *world)
{
    int64_t counted[SIM_INPUT_VSHARDS] = {0};
    uint32_t found[SIM_INPUT_VSHARDS] = {0}, all = 0;
    struct buffer headers = {0};
    for (uint32_t p = 0; p < world->input.partition_count; p++)
        for (uint32_t i = 0; i < world->input.partitions[p].count; i++)
            world->input.partitions[p].records[i].waits = false;
    const struct skip_node *node = skip_list_seek(world->disk.states, strid_bytes_of_text("s"));
    for (; node != NULL; node = skip_list_next(node)) {
        struct key_state key;
        struct key_value value;
        if ((skip_node_key(node).data[2] & ~KEY_STORE_KEYLESS) != OUTBOX_STORE)
            continue;
        SIM_CHECK("outbox_is_whole",
                  key_get_state(skip_node_key(node), &key) &&
                      key_get_value(skip_node_value(node), &value),
                  "a damaged entry");
        if (key.sub_len == 0) {
            memcpy(&counted[key.hash >> 24], value.bytes.data, sizeof *counted);
            continue;
        }
        take_letter(world, &value, &headers);
        found[key.hash >> 24]++;
        all++;
    }
    buffer_fini(&headers);
    check_counts(counted, found);
    world->figures.left += all;
    return all;
}
