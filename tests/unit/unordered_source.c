#include "unordered_source.h"

#include "base/assert.h"

#include <stdio.h>

static struct unordered_partition *of(strid_source *self, uint32_t partition)
{
    return &((struct unordered_source *)(void *)self)->partitions[partition];
}

static uint32_t partition_count(strid_source *self)
{
    return UNORDERED_PARTITIONS - ((struct unordered_source *)(void *)self)->away;
}

static void describe(strid_source *self, uint32_t partition, strid_partition_info *info)
{
    (void)self;
    *info = (strid_partition_info){.topic = partition == 0 ? "a" : "b",
                                   .identity = partition == 0 ? "unordered:a" : "unordered:b",
                                   .bytes_total = UINT64_MAX};
}

static strid_status assign(strid_source *self, uint32_t partition, const strid_resume *resume,
                           strid_error *err)
{
    struct unordered_partition *at = of(self, partition);
    (void)err;
    at->told_count = 0;
    at->in_hand = 0;
    at->confirmed = at->visible = 0;
    at->resumed_at = resume->position;
    return STRID_OK;
}

static strid_status poll(strid_source *self, uint32_t partition, strid_intake *out,
                         uint32_t records_max, strid_error *err)
{
    struct unordered_partition *at = of(self, partition);
    (void)err;
    at->visible = at->confirmed;
    for (uint32_t i = 0; i < records_max && at->at < at->count; i++) {
        const struct unordered_record *record = &at->waiting[at->at];
        strid_raw raw = {.key = strid_bytes_of_text(record->key),
                         .value = strid_bytes_of_text(record->value),
                         .position = record->position,
                         .next = {record->position.high, record->position.low + 1},
                         .timestamp_ms = STRID_TIMESTAMP_NONE};
        if (strid_intake_add(out, &raw) != STRID_OK)
            return STRID_AGAIN;
        at->at++;
        at->in_hand++;
    }
    return STRID_AGAIN;
}

static void ack_many(strid_source *self, uint32_t partition, const strid_position *positions,
                     uint32_t count)
{
    struct unordered_partition *at = of(self, partition);
    for (uint32_t i = 0; i < count; i++) {
        STRID_ASSERT(at->told_count < UNORDERED_RECORDS_MAX);
        at->told[at->told_count++] = positions[i];
    }
    at->in_hand -= count;
}

static uint64_t acked(strid_source *self, uint32_t partition)
{
    return of(self, partition)->visible;
}

static void release(strid_source *self, uint32_t partition, uint32_t count)
{
    of(self, partition)->released += count;
    of(self, partition)->in_hand -= count;
}

static void recall(strid_source *self, uint32_t partition, uint32_t count)
{
    of(self, partition)->in_hand += count;
}

static strid_status pump(strid_source *self, uint32_t partition, bool ending, strid_error *err)
{
    struct unordered_partition *at = of(self, partition);
    (void)err;
    at->pumps++;
    at->last_pumps += ending;
    at->visible = at->confirmed;
    return STRID_OK;
}

void unordered_source_init(struct unordered_source *source, struct runtime_case *at,
                           strid_handler handler)
{
    runtime_case_init(at, handler, NULL);
    source->usual_ops = at->definition->source.ops;
    source->usual_source = at->source;
    at->definition->source.ops = &unordered_source_ops;
    at->options.source = (strid_source *)(void *)source;
    at->definition->max_attempts = 100000;
    at->definition->retry.min_ms = at->definition->retry.max_ms = 10;
}

void unordered_source_fini(struct unordered_source *source, struct runtime_case *at)
{
    at->definition->source.ops = source->usual_ops;
    at->source = source->usual_source;
    runtime_case_fini(at);
}

void unordered_source_lay(struct unordered_source *source, uint32_t partition,
                          strid_position position, const char *key, const char *value)
{
    struct unordered_partition *at = &source->partitions[partition];
    STRID_ASSERT(at->count < UNORDERED_RECORDS_MAX);
    struct unordered_record *record = &at->waiting[at->count++];
    record->position = position;
    (void)snprintf(record->key, sizeof record->key, "%s", key);
    (void)snprintf(record->value, sizeof record->value, "%s", value);
}

void unordered_source_confirm(struct unordered_source *source)
{
    for (uint32_t p = 0; p < UNORDERED_PARTITIONS; p++)
        source->partitions[p].confirmed = source->partitions[p].told_count;
}

bool unordered_source_was_told(const struct unordered_source *source, uint32_t partition,
                               strid_position position)
{
    const struct unordered_partition *at = &source->partitions[partition];
    for (uint32_t i = 0; i < at->told_count; i++)
        if (strid_position_compare(at->told[i], position) == 0)
            return true;
    return false;
}

const strid_source_ops unordered_source_ops = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .flags = STRID_SOURCE_UNORDERED,
    .name = "unordered",
    .summary = "For tests",
    .instance_size = sizeof(struct unordered_source),
    .partition_count = partition_count,
    .describe = describe,
    .assign = assign,
    .poll = poll,
    .ack_many = ack_many,
    .acked = acked,
    .pump = pump,
    .release = release,
    .recall = recall,
};
