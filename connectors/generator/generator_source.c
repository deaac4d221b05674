/* The generator source: position n of a partition is record n. @thread as the source contract says;
 * partitions share only what is constant. */
#include "generator_source.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include "generator_record.h"

#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <xxhash.h>

#define COMPONENT "generator"

/* A tenth of a second may be made up for after a pause. */
#define BURST_SECONDS 0.1

struct partition {
    alignas(128) struct generator_writer writer;
    uint64_t next; /* number of the next record */
    uint64_t records;
    double tokens;       /* how many records may go out now */
    double rate;         /* records/s; 0: no limit */
    int64_t refilled_ns; /* 0: never */
    char identity[32];
};

struct generator_source {
    struct generator_model model;
    struct partition *partitions;
    uint32_t partition_count;
};

static struct generator_source *of(strid_source *self) { return (struct generator_source *)self; }

static struct partition *partition_of(strid_source *self, uint32_t number)
{
    STRID_ASSERT(number < of(self)->partition_count);
    return &of(self)->partitions[number];
}

static void partition_init(struct partition *partition, const struct generator_model *model,
                           uint32_t number)
{
    const struct generator_options *options = model->options;
    uint64_t records = (uint64_t)options->records;
    uint64_t partitions = (uint64_t)options->partitions;
    generator_writer_init(&partition->writer, model, number);
    partition->records =
        records == 0 ? UINT64_MAX : records / partitions + (number < records % partitions);
    partition->rate = (double)options->rate / (double)options->partitions;
    (void)snprintf(partition->identity, sizeof partition->identity, "partition-%" PRIu32, number);
}

static strid_status source_check(const strid_connector_args *args, strid_error *err)
{
    struct generator_model model;
    return generator_model_init(&model, args->options, err);
}

static strid_status source_open(strid_source *self, const strid_connector_args *args,
                                strid_error *err)
{
    struct generator_source *source = of(self);
    strid_status status = generator_model_init(&source->model, args->options, err);
    if (status != STRID_OK)
        return status;
    source->partition_count = (uint32_t)source->model.options->partitions;
    source->partitions = memory_alloc_aligned(alignof(struct partition),
                                              source->partition_count * sizeof *source->partitions);
    for (uint32_t i = 0; i < source->partition_count; i++)
        partition_init(&source->partitions[i], &source->model, i);
    return STRID_OK;
}

static uint32_t source_partition_count(strid_source *self) { return of(self)->partition_count; }

/* Sizes are in the unit of positions, which is records here. */
static void source_describe(strid_source *self, uint32_t number, strid_partition_info *info)
{
    const struct partition *partition = partition_of(self, number);
    info->topic = "generator";
    info->identity = partition->identity;
    info->bytes_total = partition->records;
}

/* Of all that decides what a record looks like. `records` and `rate` may change between runs. */
static uint64_t hash_options(const struct generator_options *options)
{
    char text[512];
    int used =
        snprintf(text, sizeof text,
                 "%" PRId64 " %" PRId64 " %s %" PRIu64 " %" PRId64 " %" PRId32 " %" PRId64 " %s",
                 options->seed, options->keys, options->dist, options->size, options->partitions,
                 options->format, options->broken, options->type);
    STRID_ASSERT(used > 0);
    return XXH3_64bits(text, (size_t)used < sizeof text ? (size_t)used : sizeof text - 1);
}

static strid_status source_assign(strid_source *self, uint32_t number, const strid_resume *resume,
                                  strid_error *err)
{
    struct partition *partition = partition_of(self, number);
    const struct generator_options *options = of(self)->model.options;
    partition->next = 0;
    if (!resume->resumed)
        return STRID_OK;
    uint64_t hash = hash_options(options);
    if (resume->fingerprint.len != 0 &&
        !strid_bytes_equal(resume->fingerprint, strid_bytes_of(&hash, sizeof hash)))
        return error_set(err, STRID_EGAP, COMPONENT,
                         "partition %" PRIu32 " was generated with other options: use those again "
                         "(only records and rate may change), or a new state directory",
                         number);
    if (resume->position.high != 0 || resume->position.low > partition->records)
        return error_set(err, STRID_EGAP, COMPONENT,
                         "partition %" PRIu32 " was read up to record %" PRIu64
                         " but has only %" PRIu64 ": raise records, or use a new state directory",
                         number, resume->position.low, partition->records);
    partition->next = resume->position.low;
    return STRID_OK;
}

static size_t source_fingerprint(strid_source *self, uint32_t number, uint8_t *out)
{
    (void)number;
    uint64_t hash = hash_options(of(self)->model.options);
    memcpy(out, &hash, sizeof hash);
    return sizeof hash;
}

static void refill(struct partition *partition)
{
    int64_t now_ns = clock_monotonic_ns(&clock_system);
    double most = partition->rate * BURST_SECONDS;
    if (most < 1.0)
        most = 1.0;
    if (partition->refilled_ns != 0)
        partition->tokens += (double)(now_ns - partition->refilled_ns) * 1e-9 * partition->rate;
    if (partition->tokens > most)
        partition->tokens = most;
    partition->refilled_ns = now_ns;
}

/* Makes records until one is refused or `count` are made; returns how many were taken. */
static uint64_t add_records(struct partition *partition, strid_intake *out, uint64_t count,
                            strid_status *status)
{
    struct generator_writer *writer = &partition->writer;
    strid_raw raw = {
        .key = {NULL, GENERATOR_KEY_BYTES},
        .value = {writer->value, 0},
        .timestamp_ms = STRID_TIMESTAMP_NONE,
    };
    uint64_t made = 0;
    for (*status = STRID_OK; made < count; made++) {
        generator_writer_make(writer, partition->next);
        raw.key.data = writer->key;
        raw.value.len = writer->value_len;
        raw.position.low = partition->next;
        raw.next.low = partition->next + 1;
        *status = strid_intake_add(out, &raw);
        if (*status != STRID_OK)
            break;
        partition->next++;
    }
    return made;
}

static strid_status source_poll(strid_source *self, uint32_t number, strid_intake *out,
                                uint32_t records_max, strid_error *err)
{
    (void)err;
    struct partition *partition = partition_of(self, number);
    uint64_t left = partition->records - partition->next;
    uint64_t count = left < records_max ? left : records_max;
    bool is_last = count == left;
    if (partition->rate > 0.0) {
        refill(partition);
        if ((double)count > partition->tokens) {
            count = (uint64_t)partition->tokens;
            is_last = false;
        }
        if (count == 0 && left > 0)
            return STRID_AGAIN;
        partition->tokens -= (double)count;
    }
    strid_status status = STRID_OK;
    uint64_t made = add_records(partition, out, count, &status);
    if (partition->rate > 0.0)
        partition->tokens += (double)(count - made);
    if (status != STRID_OK)
        return status;
    return is_last ? STRID_EOF : STRID_OK;
}

static void source_close(strid_source *self)
{
    struct generator_source *source = of(self);
    for (uint32_t i = 0; i < source->partition_count; i++)
        generator_writer_fini(&source->partitions[i].writer);
    memory_free(source->partitions);
    source->partitions = NULL;
    source->partition_count = 0;
}

const strid_source_ops generator_source_ops = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .flags = STRID_SOURCE_REPLAYABLE | STRID_SOURCE_BOUNDED | STRID_SOURCE_PADDED,
    .name = "generator",
    .summary = "Records made up from a seed",
    .options = generator_config,
    .options_size = sizeof(struct generator_options),
    .instance_size = sizeof(struct generator_source),
    .open = source_open,
    .check = source_check,
    .partition_count = source_partition_count,
    .describe = source_describe,
    .assign = source_assign,
    .fingerprint = source_fingerprint,
    .poll = source_poll,
    .close = source_close,
};
