/* The memory source. Each partition is a queue under a lock of its own: the host's threads push,
 * the partition's reader reads, the committer acknowledges. */
#include "memory_source.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"

#include "memory_config.h"
#include "memory_queue.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#define COMPONENT "memory"

struct partition {
    pthread_mutex_t lock; /* guards everything below; held for copies of records, never for I/O */
    struct memory_queue queue;
    uint64_t base; /* position of the queue's record 0; fixed by the first assign */
    bool assigned;
    bool ended;
    char identity[32];
};

struct memory_source {
    struct partition *partitions;
    uint32_t partition_count;
    uint64_t capacity; /* bytes a partition */
    const char *target;
};

static struct memory_source *of(strid_source *self) { return (struct memory_source *)self; }

static struct partition *lock(strid_source *self, uint32_t number)
{
    STRID_ASSERT(number < of(self)->partition_count);
    struct partition *partition = &of(self)->partitions[number];
    pthread_mutex_lock(&partition->lock);
    return partition;
}

static void unlock(struct partition *partition) { pthread_mutex_unlock(&partition->lock); }

static strid_status source_open(strid_source *self, const strid_connector_args *args,
                                strid_error *err)
{
    (void)err;
    struct memory_source *source = of(self);
    const struct memory_source_options *options = args->options;
    source->partition_count = (uint32_t)options->partitions;
    source->capacity = options->capacity;
    source->target = args->target;
    source->partitions = memory_alloc_zeroed(source->partition_count * sizeof *source->partitions);
    for (uint32_t i = 0; i < source->partition_count; i++) {
        struct partition *partition = &source->partitions[i];
        pthread_mutex_init(&partition->lock, NULL);
        (void)snprintf(partition->identity, sizeof partition->identity, "partition-%" PRIu32, i);
    }
    return STRID_OK;
}

static uint32_t source_partition_count(strid_source *self) { return of(self)->partition_count; }

static void source_describe(strid_source *self, uint32_t number, strid_partition_info *info)
{
    STRID_ASSERT(number < of(self)->partition_count);
    info->topic = of(self)->target;
    info->identity = of(self)->partitions[number].identity;
    info->bytes_total = UINT64_MAX;
}

/* What was pushed before the first assign is new, whatever number the last run ended with: numbers
 * go on from there. Later assigns go back to a record that is still kept. */
static strid_status source_assign(strid_source *self, uint32_t number, const strid_resume *resume,
                                  strid_error *err)
{
    uint64_t position = resume->resumed ? resume->position.low : 0;
    strid_status status = STRID_OK;
    struct partition *partition = lock(self, number);
    if (!partition->assigned)
        partition->base = position;
    uint64_t first = partition->base + partition->queue.kept.number;
    uint64_t last = partition->base + partition->queue.pushed;
    if (position < first || position > last || (resume->resumed && resume->position.high != 0)) {
        status = error_set(err, STRID_EGAP, COMPONENT,
                           "memory:%s partition %" PRIu32 ": position %" PRIu64
                           " cannot be read again, the records kept are %" PRIu64 " up to %" PRIu64
                           ": start with a new state directory",
                           of(self)->target, number, position, first, last);
    } else {
        partition->assigned = true;
        memory_queue_go_to(&partition->queue, position - partition->base);
    }
    unlock(partition);
    return status;
}

/* Nothing outlives the process that a later run could be compared with. */
static size_t source_fingerprint(strid_source *self, uint32_t number, uint8_t *out)
{
    (void)self;
    (void)number;
    (void)out;
    return 0;
}

static strid_status source_poll(strid_source *self, uint32_t number, strid_intake *out,
                                uint32_t records_max, strid_error *err)
{
    (void)err;
    struct partition *partition = lock(self, number);
    strid_status status = STRID_OK;
    for (uint32_t i = 0; i < records_max; i++) {
        struct memory_record record;
        if (!memory_queue_peek(&partition->queue, &record)) {
            status = partition->ended ? STRID_EOF : STRID_AGAIN;
            break;
        }
        uint64_t position = partition->base + partition->queue.read.number;
        strid_raw raw = {
            .key = record.key,
            .value = record.value,
            .position = {0, position},
            .next = {0, position + 1},
            .timestamp_ms = record.timestamp_ms,
        };
        status = strid_intake_add(out, &raw);
        if (status != STRID_OK)
            break;
        memory_queue_advance(&partition->queue);
    }
    unlock(partition);
    return status;
}

static strid_status source_ack(strid_source *self, uint32_t number, strid_position low,
                               strid_error *err)
{
    (void)err;
    struct partition *partition = lock(self, number);
    if (low.high == 0 && low.low > partition->base)
        memory_queue_forget(&partition->queue, low.low - partition->base);
    unlock(partition);
    return STRID_OK;
}

static void source_close(strid_source *self)
{
    struct memory_source *source = of(self);
    for (uint32_t i = 0; i < source->partition_count; i++) {
        memory_queue_fini(&source->partitions[i].queue);
        pthread_mutex_destroy(&source->partitions[i].lock);
    }
    memory_free(source->partitions);
    source->partitions = NULL;
    source->partition_count = 0;
}

static strid_status source_dlq_url(strid_source *self, char *out, size_t size)
{
    int used = snprintf(out, size, "memory:%s-dlq", of(self)->target);
    return used >= 0 && (size_t)used < size ? STRID_OK : STRID_ELIMIT;
}

static strid_status source_push(strid_source *self, uint32_t number, strid_bytes key,
                                strid_bytes value, int64_t timestamp_ms)
{
    if (number >= of(self)->partition_count)
        return STRID_EINVAL;
    uint64_t bytes = memory_queue_record_bytes(key, value);
    if (bytes > of(self)->capacity)
        return STRID_ELIMIT; /* it would never fit */
    strid_status status = STRID_OK;
    struct partition *partition = lock(self, number);
    if (partition->ended)
        status = STRID_EINVAL;
    else if (bytes > of(self)->capacity - partition->queue.bytes)
        status = STRID_AGAIN;
    else
        memory_queue_push(&partition->queue, key, value, timestamp_ms);
    unlock(partition);
    return status;
}

static void source_push_end(strid_source *self)
{
    for (uint32_t i = 0; i < of(self)->partition_count; i++) {
        struct partition *partition = lock(self, i);
        partition->ended = true;
        unlock(partition);
    }
}

const strid_source_ops memory_source_ops = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .flags = STRID_SOURCE_REPLAYABLE | STRID_SOURCE_BOUNDED,
    .name = "memory",
    .summary = "Records that the host program pushes",
    .options = memory_source_config,
    .options_size = sizeof(struct memory_source_options),
    .instance_size = sizeof(struct memory_source),
    .open = source_open,
    .partition_count = source_partition_count,
    .describe = source_describe,
    .assign = source_assign,
    .fingerprint = source_fingerprint,
    .poll = source_poll,
    .ack = source_ack,
    .close = source_close,
    .dlq_url = source_dlq_url,
    .push = source_push,
    .push_end = source_push_end,
};
