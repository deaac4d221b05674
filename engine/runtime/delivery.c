#include "runtime/delivery.h"

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"
#include "runtime/storage.h"
#include "runtime/worker.h"

static const int64_t backoff_min_ns = 100000000, backoff_max_ns = 10000000000;

void delivery_init(struct delivery *delivery, struct run *run, uint32_t index,
                   struct sink_instance *instance)
{
    agent_init(&delivery->agent, "strid-delivery", delivery_do_work, delivery, 20000000);
    delivery->run = run;
    delivery->index = index;
    delivery->instance = instance;
    delivery->reader.run = run;
    delivery->from_workers = memory_alloc_zeroed(run->worker_count * sizeof(struct ring *));
    for (uint32_t w = 0; w < run->worker_count; w++)
        delivery->from_workers[w] = ring_create(WORKER_BLOCKS);
}

void delivery_fini(struct delivery *delivery)
{
    for (uint32_t w = 0; delivery->from_workers != NULL && w < delivery->run->worker_count; w++)
        ring_destroy(delivery->from_workers[w]);
    memory_free(delivery->from_workers);
    buffer_fini(&delivery->blocks);
    output_reader_fini(&delivery->reader);
}

static size_t block_count(const struct delivery *delivery)
{
    return delivery->blocks.len / sizeof(struct sealed_block *);
}

static struct sealed_block *block_at(const struct delivery *delivery, size_t index)
{
    struct sealed_block *block;
    memcpy(&block, delivery->blocks.data + index * sizeof block, sizeof block);
    return block;
}

static strid_status write_block(struct delivery *delivery, const struct sealed_block *block,
                                strid_error *err)
{
    const struct output_list *list = &block->outputs[delivery->index];
    const struct sink_instance *instance = delivery->instance;
    delivery->reader.cursor = cursor_of(buffer_bytes(&list->bytes));
    strid_output output;
    while (output_next(&delivery->reader, &output)) {
        strid_status status = instance->definition->ops->write(instance->sink, &output, 1, err);
        if (status != STRID_OK)
            return status;
    }
    return STRID_OK;
}

static strid_status deliver(struct delivery *delivery, strid_error *err)
{
    CRASH_POINT("delivery_before_write");
    strid_status status = sink_instance_open(delivery->instance, err);
    for (size_t i = 0; status == STRID_OK && i < block_count(delivery); i++)
        status = write_block(delivery, block_at(delivery, i), err);
    if (status != STRID_OK)
        return status;
    CRASH_POINT("delivery_before_flush");
    status = delivery->instance->definition->ops->flush(delivery->instance->sink, err);
    CRASH_POINT("delivery_after_flush");
    return status;
}

static void report(struct delivery *delivery)
{
    for (size_t i = 0; i < block_count(delivery); i++) {
        struct sealed_block *block = block_at(delivery, i);
        atomic_fetch_add_explicit(&delivery->delivered, block->outputs[delivery->index].count,
                                  memory_order_relaxed);
        /* release: our reads of the block are over; storage may write it, its worker use it again
         */
        atomic_fetch_sub_explicit(&block->pending, 1, memory_order_release);
    }
    buffer_clear(&delivery->blocks);
    agent_wake(storage_agent(delivery->run->storage));
}

static void wait_after_failure(struct delivery *delivery, const strid_error *err)
{
    int64_t next = 2 * delivery->backoff_ns;
    delivery->backoff_ns = next < backoff_min_ns ? backoff_min_ns : next;
    if (delivery->backoff_ns > backoff_max_ns)
        delivery->backoff_ns = backoff_max_ns;
    delivery->retry_at_ns = clock_monotonic_ns(delivery->run->clock) + delivery->backoff_ns;
    log_warn(delivery->run->log, "delivery",
             "sink \"%s\" (%s): %s; nothing is lost, reading waits, tried again in %lld ms",
             delivery->instance->definition->name, delivery->instance->definition->url,
             err->message, (long long)(delivery->backoff_ns / 1000000));
}

int delivery_do_work(void *self)
{
    struct delivery *delivery = self;
    struct run *run = delivery->run;
    for (uint32_t w = 0; w < run->worker_count; w++) {
        struct sealed_block *block;
        while ((block = ring_pop(delivery->from_workers[w])) != NULL)
            buffer_put(&delivery->blocks, &block, sizeof block);
    }
    if (block_count(delivery) == 0)
        return 0;
    if (delivery->retry_at_ns != 0 && clock_monotonic_ns(run->clock) < delivery->retry_at_ns)
        return 0;
    strid_error err = STRID_ERROR_INIT;
    if (deliver(delivery, &err) != STRID_OK) {
        wait_after_failure(delivery, &err);
        return 0;
    }
    delivery->retry_at_ns = delivery->backoff_ns = 0;
    report(delivery);
    return 1;
}
