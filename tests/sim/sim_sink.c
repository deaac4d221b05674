#include "sim_sink.h"

#include "base/error.h"
#include "runtime/suspect.h"

#include "sim_outcome.h"
#include "sim_step.h"
#include "sim_world.h"

static const strid_option no_options[] = {{.name = NULL}};

struct strid_sink {
    uint32_t index; /* in world->outside */
};

static struct buffer *waiting_of(const strid_sink *self)
{
    return &sim_world->outside[self->index].waiting;
}

static strid_status sink_open(strid_sink *self, const strid_connector_args *args, strid_error *err)
{
    if (sim_world_strikes(sim_world->knobs.sink_rate))
        return error_set(err, STRID_EIO, "sim", "open failed");
    self->index = (uint32_t)(args->target[0] - '0');
    sim_world_note("sink_open", self->index, 0, 0);
    return STRID_OK;
}

static void check_id(const strid_output *output, const struct sim_payload *payload,
                     const char *kind)
{
    const struct sim_input *input = &sim_world->input;
    const struct sim_partition *partition = &input->partitions[payload->partition];
    strid_position position = sim_input_position(input, partition->records[payload->index].place);
    static struct buffer id; /* one thread: kept from call to call */
    buffer_clear(&id);
    buffer_put_text(&id, "sim/");
    buffer_put_text(&id, partition->topic);
    buffer_put_text(&id, "/");
    buffer_put_decimal(&id, payload->partition);
    buffer_put_text(&id, "/");
    if (position.high != 0) {
        buffer_put_decimal(&id, position.high);
        buffer_put_text(&id, "-");
    }
    buffer_put_decimal(&id, position.low);
    buffer_put_text(&id, "/");
    buffer_put_text(&id, kind);
    buffer_put_decimal(&id, payload->ordinal);
    SIM_CHECK("output_id", strid_bytes_equal(output->id, buffer_bytes(&id)), "%.*s is not %.*s",
              (int)output->id.len, (const char *)output->id.data, (int)id.len,
              (const char *)id.data);
}

static void check_output(uint32_t sink, const strid_output *output,
                         const struct sim_payload *payload)
{
    const struct sim_input *input = &sim_world->input;
    const struct sim_record *record =
        &input->partitions[payload->partition].records[payload->index];
    SIM_CHECK("output_takes_effect",
              output->value.len == sizeof *payload && payload->dropped == 0 &&
                  sim_input_is_done(input, record) && payload->ordinal < record->outputs &&
                  record->sink == sink,
              "partition %u, record %u, output %u should not be there", payload->partition,
              payload->index, payload->ordinal);
    /* By the attempt that is the last one. */
    uint32_t tries = record->kind == SIM_RETRY ? record->retries : 0;
    SIM_CHECK("output_takes_effect",
              record->defer == SIM_DEFER_TAKEN || !sim_input_defers(record, tries) ||
                  record->completed == sim_world->runs,
              "partition %u, record %u: nobody has said its outcome yet", payload->partition,
              payload->index);
    SIM_CHECK("output_takes_effect", strid_bytes_equal(output->key, input->keys[record->key].bytes),
              "partition %u, record %u: another key", payload->partition, payload->index);
    check_id(output, payload, "");
}

static void check_dead_letter(const strid_output *output, const struct sim_payload *payload)
{
    const struct sim_input *input = &sim_world->input;
    const struct sim_record *record =
        &input->partitions[payload->partition].records[payload->index];
    const strid_dead_letter *letter = output->dead_letter;
    uint32_t attempts = record->kind == SIM_FAULT    ? 0
                        : record->kind == SIM_REJECT ? 1
                        : record->kind == SIM_POISON ? CRASH_SLOTS_CRASHES_MAX
                                                     : input->max_attempts;
    SIM_CHECK("dead_letter", letter != NULL && sim_input_is_dead(input, record),
              "partition %u, record %u should not be there", payload->partition, payload->index);
    SIM_CHECK("dead_letter",
              record->kind != SIM_POISON || record->arrived != 0 || sim_crash_is_enough(record),
              "partition %u, record %u: given up after %u crashes alone", payload->partition,
              payload->index, record->crashes);
    SIM_CHECK("dead_letter",
              letter->partition == payload->partition &&
                  sim_input_place(input, letter->position) == record->place &&
                  letter->attempts == attempts && sim_outcome_is_reason(record, letter->reason),
              "partition %u, record %u: not its place, attempts or reason (%.*s)",
              payload->partition, payload->index, (int)letter->reason.len,
              (const char *)letter->reason.data);
    SIM_CHECK(
        "dead_letter", sim_input_is_value(input, payload->partition, payload->index, output->value),
        "partition %u, record %u: not the original bytes", payload->partition, payload->index);
    check_id(output, payload, "dlq");
    SIM_CHECK("dead_letter_is_synced",
              input->unordered ||
                  sim_world->audit.durable[payload->partition][sim_input_vshard(input, record)] >
                      payload->index,
              "partition %u, record %u: no sync covers what is sent", payload->partition,
              payload->index);
}

/* A slow sink: the clock moves, and others go on. */
static void wait_for_sink(void)
{
    for (uint32_t left = sim_world->knobs.sink_waits; left > 0; left--)
        sim_step_yield();
    if (sim_world->knobs.sink_waits > 1)
        sim_step_pass((int64_t)sim_random_below(&sim_world->random, 50000) * 1000);
}

static strid_status sink_write(strid_sink *self, const strid_output *outputs, uint32_t count,
                               strid_error *err)
{
    struct buffer *waiting = waiting_of(self);
    wait_for_sink();
    if (sim_world->crash.dead)
        return error_set(err, STRID_EIO, "sim", "the process ended");
    for (uint32_t i = 0; i < count; i++) {
        struct sim_payload payload;
        SIM_CHECK("output_takes_effect", outputs[i].value.len >= sizeof payload,
                  "an output of %zu bytes", outputs[i].value.len);
        memcpy(&payload, outputs[i].value.data, sizeof payload);
        const struct sim_input *input = &sim_world->input;
        SIM_CHECK("output_takes_effect",
                  payload.partition < input->partition_count &&
                      payload.index < input->partitions[payload.partition].count,
                  "an output of no record");
        if (self->index == SIM_DEAD_LETTERS)
            check_dead_letter(&outputs[i], &payload);
        else
            check_output(self->index, &outputs[i], &payload);
        if (sim_world_strikes(sim_world->knobs.sink_rate)) {
            sim_sink_crash(self->index);
            return error_set(err, STRID_EIO, "sim", "write failed");
        }
        buffer_put(waiting, &payload, sizeof payload);
    }
    return STRID_OK;
}

/* What arrives for the first time arrives behind everything before it of the same key. */
static void check_order(uint32_t sink, const struct sim_payload *payload)
{
    const struct sim_partition *partition = &sim_world->input.partitions[payload->partition];
    const struct sim_record *record = &partition->records[payload->index];
    bool dead = sink == SIM_DEAD_LETTERS;
    if ((record->arrived >> payload->ordinal & 1) != 0)
        return;
    SIM_CHECK("output_order", record->arrived == (1u << payload->ordinal) - 1,
              "partition %u, record %u: output %u comes first", payload->partition, payload->index,
              payload->ordinal);
    uint32_t at = sim_input_is_sum(&sim_world->input) ? 0 : record->previous;
    while (at != 0) {
        const struct sim_record *before = &partition->records[at - 1];
        if (dead ? sim_input_is_dead(&sim_world->input, before)
                 : before->sink == sink && before->outputs > 0 &&
                       sim_input_is_done(&sim_world->input, before)) {
            SIM_CHECK("output_order", before->arrived == (dead ? 1 : (1u << before->outputs) - 1),
                      "partition %u: record %u comes before record %u of the same key",
                      payload->partition, payload->index, at - 1);
            return;
        }
        at = before->previous;
    }
}

/* A letter comes to a queue that acknowledges what it takes. false: it is not added. */
static bool is_moved(uint32_t sink, const struct sim_payload *payload, uint32_t number)
{
    if (sink != SIM_DEAD_LETTERS || !sim_world->knobs.moves)
        return true;
    const enum sim_moved moved = sim_unordered_move(payload->partition, payload->index);
    if (moved == SIM_DECLINED)
        buffer_put(&sim_world->outside[sink].declined, &number, sizeof number);
    return moved == SIM_MOVED;
}

/* The first `count` of those that wait have arrived; the others are gone. */
static void arrive(uint32_t sink, size_t count)
{
    struct buffer *waiting = &sim_world->outside[sink].waiting;
    buffer_clear(&sim_world->outside[sink].declined);
    for (size_t i = 0; i < count; i++) {
        struct sim_payload payload;
        memcpy(&payload, waiting->data + i * sizeof payload, sizeof payload);
        struct sim_partition *partition = &sim_world->input.partitions[payload.partition];
        if (!is_moved(sink, &payload, (uint32_t)i))
            continue;
        check_order(sink, &payload);
        partition->records[payload.index].arrived |= (uint8_t)(1u << payload.ordinal);
    }
    buffer_clear(waiting);
}

void sim_sink_crash(uint32_t index)
{
    uint32_t count = (uint32_t)(sim_world->outside[index].waiting.len / sizeof(struct sim_payload));
    arrive(index, sim_random_below(&sim_world->random, count + 1));
}

static strid_status sink_flush(strid_sink *self, strid_error *err)
{
    wait_for_sink();
    if (sim_world->crash.dead)
        return error_set(err, STRID_EIO, "sim", "the process ended");
    size_t count = waiting_of(self)->len / sizeof(struct sim_payload);
    bool fails = sim_world_strikes(sim_world->knobs.sink_rate);
    sim_world_note("flush", self->index, count, fails);
    if (fails) {
        sim_sink_crash(self->index);
        return error_set(err, STRID_EIO, "sim", "flush failed");
    }
    arrive(self->index, count);
    return STRID_OK;
}

static const uint32_t *sink_declined(strid_sink *self, uint32_t *count)
{
    const struct buffer *declined = &sim_world->outside[self->index].declined;
    *count = (uint32_t)(declined->len / sizeof(uint32_t));
    return (const uint32_t *)(const void *)declined->data;
}

static void sink_close(strid_sink *self) { sim_sink_crash(self->index); }

const strid_sink_ops sim_sink_ops = {
    .abi_version = STRID_SINK_ABI_VERSION,
    .name = "sim",
    .summary = "what is outside of the simulated node",
    .options = no_options,
    .instance_size = sizeof(struct strid_sink),
    .open = sink_open,
    .write = sink_write,
    .flush = sink_flush,
    .close = sink_close,
    .declined = sink_declined,
};
