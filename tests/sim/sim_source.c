#include "sim_source.h"

#include "base/error.h"

#include "sim_settled.h"
#include "sim_step.h"
#include "sim_world.h"

const strid_option sim_source_no_options[] = {{.name = NULL}};

static struct sim_source *source_of(strid_source *self)
{
    return (struct sim_source *)(void *)self;
}

strid_status sim_source_open(strid_source *self, const strid_connector_args *args, strid_error *err)
{
    (void)self;
    (void)args;
    (void)err;
    return STRID_OK;
}

uint32_t sim_source_partition_count(strid_source *self)
{
    (void)self;
    return sim_world->input.partition_count;
}

void sim_source_describe(strid_source *self, uint32_t partition, strid_partition_info *info)
{
    (void)self;
    const char *topic = sim_world->input.partitions[partition].topic;
    *info = (strid_partition_info){.topic = topic, .identity = topic, .bytes_total = UINT64_MAX};
}

uint64_t sim_source_told(uint32_t p)
{
    const struct sim_source *source = &sim_world->source;
    bool any = sim_world->input.shared && source->partitions[p].acknowledged;
    return any ? source->partitions[p].acked : 0;
}

/* The place where reading begins is the stored low position, and nothing that was acknowledged lies
 * behind it. Where there is none it is what was acknowledged, if the source keeps that. */
static strid_status source_assign(strid_source *self, uint32_t partition,
                                  const strid_resume *resume, strid_error *err)
{
    struct sim_source *source = source_of(self);
    const struct sim_input *input = &sim_world->input;
    strid_position stored = {0, 0};
    bool any = sim_disk_low(sim_world->disk.live, partition, &stored.high, &stored.low);
    (void)err;
    SIM_CHECK("resume_is_low", any == resume->resumed, "partition %u", partition);
    SIM_CHECK("resume_is_low", !any || strid_position_compare(stored, resume->position) == 0,
              "partition %u goes on at another place than the low position", partition);
    uint64_t place = any ? sim_input_place(input, resume->position) : sim_source_told(partition);
    SIM_CHECK("acked_is_durable",
              !source->partitions[partition].acknowledged ||
                  place >= source->partitions[partition].acked,
              "partition %u goes on at %llu, and %llu was acknowledged", partition,
              (unsigned long long)place, (unsigned long long)source->partitions[partition].acked);
    source->partitions[partition].cursor = sim_input_before(&input->partitions[partition], place);
    source->partitions[partition].assigned = true;
    /* One that was taken away comes back with this run, or with a later one. */
    source->partitions[partition].taken = source->partitions[partition].taken &&
                                          sim_world->faults &&
                                          sim_random_chance(&sim_world->random, 2);
    sim_world->figures.away += source->partitions[partition].taken;
    sim_world_note("assign", partition, place, 0);
    return STRID_OK;
}

size_t sim_source_fingerprint(strid_source *self, uint32_t partition, uint8_t *out)
{
    (void)self;
    memcpy(out, &partition, sizeof partition);
    return sizeof partition;
}

strid_status sim_source_add(uint32_t p, uint32_t index, strid_intake *out)
{
    const struct sim_input *input = &sim_world->input;
    const struct sim_partition *partition = &input->partitions[p];
    const struct sim_record *record = &partition->records[index];
    const struct sim_key *key = &input->keys[record->key];
    uint64_t behind =
        index + 1 == partition->count ? partition->end : partition->records[index + 1].place;
    struct buffer *value = &sim_world->source.value;
    buffer_clear(value);
    sim_input_put_value(input, p, index, value);
    strid_raw raw = {.value = buffer_bytes(value),
                     .position = sim_input_position(input, record->place),
                     .next = sim_input_position(input, input->tight ? behind : record->place + 1),
                     .timestamp_ms = (int64_t)index,
                     .fault = record->kind == SIM_FAULT ? "sim_fault" : NULL};
    strid_header headers[] = {
        {.name = strid_bytes_of_text("index"), .value = strid_bytes_of(&index, sizeof index)},
        {.name = strid_bytes_of_text("nothing")}};
    if (input->headers) {
        raw.headers = headers;
        raw.header_count = 1 + index % 2;
    }
    if (!key->keyless)
        raw.key = key->bytes;
    strid_status status = strid_intake_add(out, &raw);
    if (status == STRID_OK && !input->tight && !input->unordered &&
        sim_random_chance(&sim_world->random, 4))
        strid_intake_skip(out, sim_input_position(input, behind));
    return status;
}

void sim_source_check_bound(uint32_t p)
{
    const struct retry_definition *bounds = &sim_world->definition->retry;
    const struct partition *of = &sim_world->run->partitions[p];
    SIM_CHECK("parked_is_bounded",
              atomic_load_explicit(&of->waiting_records, memory_order_relaxed) <
                      bounds->max_parked &&
                  atomic_load_explicit(&of->waiting_bytes, memory_order_relaxed) <
                      bounds->max_parked_bytes,
              "partition %u is read though too much of it waits", p);
}

/* A record that was delivered before, in this run or an earlier one, comes again: it is refused,
 * and the run ends. */
static strid_status repeat(uint32_t p, uint32_t cursor, strid_intake *out)
{
    uint32_t back = sim_random_log(&sim_world->random, 1, cursor);
    if (sim_world->input.partitions[p].records[cursor - back].elsewhere)
        return STRID_AGAIN; /* of a node that is gone: this one knows nothing of it */
    sim_world->source.repeated = true;
    sim_world->figures.repeated++;
    sim_world_note("repeat", p, cursor - back, cursor);
    strid_status status = sim_source_add(p, cursor - back, out);
    SIM_CHECK("repeat_is_refused", status == STRID_AGAIN, "partition %u: record %u is taken", p,
              cursor - back);
    return status;
}

static strid_status source_poll(strid_source *self, uint32_t partition, strid_intake *out,
                                uint32_t records_max, strid_error *err)
{
    struct sim_source *source = source_of(self);
    const struct sim_partition *input = &sim_world->input.partitions[partition];
    uint32_t *cursor = &source->partitions[partition].cursor;
    (void)err;
    SIM_CHECK("one_owner", source->partitions[partition].assigned, "partition %u is polled",
              partition);
    sim_source_check_bound(partition);
    if (source->partitions[partition].taken || sim_world_strikes(sim_world->knobs.again_rate))
        return STRID_AGAIN;
    sim_step_yield();
    if (sim_world->crash.dead)
        return STRID_AGAIN;
    uint32_t wanted = sim_random_between(&sim_world->random, 1, records_max);
    uint32_t taken = 0;
    strid_status status = STRID_OK;
    if (*cursor > 0 && sim_world_strikes(sim_world->knobs.repeat_rate))
        return repeat(partition, *cursor, out);
    while (taken < wanted && *cursor < input->count && status == STRID_OK) {
        status = sim_source_add(partition, *cursor, out);
        if (status == STRID_OK) {
            ++*cursor;
            taken++;
        }
    }
    sim_world_note("poll", partition, taken, *cursor);
    if (*cursor < input->count || status != STRID_OK)
        return status;
    return sim_random_chance(&sim_world->random, 2) ? STRID_EOF : STRID_AGAIN;
}

static strid_status source_ack(strid_source *self, uint32_t partition, strid_position low,
                               strid_error *err)
{
    struct sim_source *source = source_of(self);
    uint64_t place = sim_input_place(&sim_world->input, low);
    strid_position durable = {0, 0};
    (void)err;
    if (sim_world->crash.dead)
        return STRID_OK;
    sim_world_note("ack", partition, place, 0);
    SIM_CHECK("ack_is_synced",
              sim_disk_low(sim_world->disk.durable, partition, &durable.high, &durable.low) &&
                  strid_position_compare(low, durable) <= 0,
              "partition %u: %llu is acknowledged, the disk holds %llu", partition,
              (unsigned long long)place,
              (unsigned long long)sim_input_place(&sim_world->input, durable));
    SIM_CHECK("ack_rises",
              !source->partitions[partition].acknowledged ||
                  place >= source->partitions[partition].acked,
              "partition %u", partition);
    if (sim_world->input.shared) {
        sim_settled_check_before(partition, place);
        sim_world->figures.settled++;
    }
    bool fails = sim_world_strikes(sim_world->knobs.sink_rate);
    /* One that fails may have got through, which shows where another node goes on behind it. */
    if (!fails || (sim_world->input.shared && sim_random_chance(&sim_world->random, 2))) {
        source->partitions[partition].acked = place;
        source->partitions[partition].acknowledged = true;
    }
    return fails ? error_set(err, STRID_EUNREACHABLE, "sim", "ack failed") : STRID_OK;
}

static bool source_is_shared(strid_source *self)
{
    (void)self;
    return sim_world->input.shared;
}

void sim_source_close(strid_source *self) { (void)self; }

const strid_source_ops sim_source_ops = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .flags = STRID_SOURCE_REPLAYABLE | STRID_SOURCE_BOUNDED,
    .name = "sim",
    .summary = "the simulated input",
    .options = sim_source_no_options,
    .instance_size = sizeof(struct sim_source),
    .open = sim_source_open,
    .partition_count = sim_source_partition_count,
    .describe = sim_source_describe,
    .assign = source_assign,
    .fingerprint = sim_source_fingerprint,
    .poll = source_poll,
    .ack = source_ack,
    .close = sim_source_close,
    .is_shared = source_is_shared,
};
