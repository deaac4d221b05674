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
    agent_init(&delivery->agent, "strid-delivery", delivery_do_work, delivery, AGENT_REST_NS);
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
    buffer_fini(&delivery->lists);
    output_reader_fini(&delivery->reader);
}

static size_t list_count(const struct delivery *delivery)
{
    return delivery->lists.len / sizeof(struct output_list *);
}

static struct output_list *list_at(const struct delivery *delivery, size_t index)
{
    struct output_list *list;
    memcpy(&list, delivery->lists.data + index * sizeof list, sizeof list);
    return list;
}

static strid_status write_list(struct delivery *delivery, const struct output_list *list,
                               strid_error *err)
{
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
    for (size_t i = 0; status == STRID_OK && i < list_count(delivery); i++)
        status = write_list(delivery, list_at(delivery, i), err);
    if (status != STRID_OK)
        return status;
    CRASH_POINT("delivery_before_flush");
    status = delivery->instance->definition->ops->flush(delivery->instance->sink, err);
    CRASH_POINT("delivery_after_flush");
    return status;
}

/* Letters whose records are another node's by now: each list is told of its own. */
static void note_declined(struct delivery *delivery)
{
    const struct sink_instance *instance = delivery->instance;
    uint32_t count = 0, at = 0, first = 0;
    if (instance->definition->ops->declined == NULL)
        return;
    const uint32_t *numbers = instance->definition->ops->declined(instance->sink, &count);
    for (size_t i = 0; i < list_count(delivery); i++) {
        struct output_list *list = list_at(delivery, i);
        for (; at < count && numbers[at] < first + list->count; at++) {
            const uint32_t place = numbers[at] - first;
            buffer_put(&list->declined, &place, sizeof place);
        }
        first += list->count;
    }
    STRID_ASSERT(at == count);
}

/* Their deliverer's reads of the lists are over: a block may be written and used again by its
 * worker, an outbox may delete its letters. */
static void report(struct delivery *delivery)
{
    struct run *run = delivery->run;
    bool blocks = false;
    for (size_t i = 0; i < list_count(delivery); i++) {
        struct output_list *list = list_at(delivery, i);
        atomic_fetch_add_explicit(&delivery->delivered, list->count, memory_order_relaxed);
        if (list->block != NULL) {
            /* release: pairs with the acquire of storage */
            atomic_fetch_sub_explicit(&list->block->pending, 1, memory_order_release);
            blocks = true;
            continue;
        }
        struct worker *worker = &run->workers[list->worker];
        bool pushed = ring_push(worker->outbox.from_delivery, list);
        STRID_ASSERT(pushed); /* the ring holds all lists of the worker */
        agent_wake(&worker->agent);
    }
    buffer_clear(&delivery->lists);
    if (blocks)
        agent_wake(storage_agent(run->storage));
}

static void wait_after_failure(struct delivery *delivery, const strid_error *err)
{
    int64_t next = 2 * delivery->backoff_ns;
    delivery->backoff_ns = next < backoff_min_ns ? backoff_min_ns : next;
    if (delivery->backoff_ns > backoff_max_ns)
        delivery->backoff_ns = backoff_max_ns;
    delivery->retry_at_ns = clock_monotonic_ns(delivery->run->clock) + delivery->backoff_ns;
    log_warn(
        delivery->run->log, "delivery",
        "sink \"%s\" (%s): %s; nothing is lost, %s, tried again in %lld ms",
        delivery->instance->definition->name, delivery->instance->definition->url, err->message,
        list_at(delivery, 0)->block == NULL ? "the letters wait in the outbox" : "reading waits",
        (long long)(delivery->backoff_ns / 1000000));
}

int delivery_do_work(void *self)
{
    struct delivery *delivery = self;
    struct run *run = delivery->run;
    for (uint32_t w = 0; w < run->worker_count; w++) {
        struct output_list *list;
        while ((list = ring_pop(delivery->from_workers[w])) != NULL)
            buffer_put(&delivery->lists, &list, sizeof list);
    }
    delivery->agent.park_ns = AGENT_REST_NS; /* who brings something wakes it */
    if (list_count(delivery) == 0)
        return 0;
    int64_t left_ns = delivery->retry_at_ns - clock_monotonic_ns(run->clock);
    if (delivery->retry_at_ns != 0 && left_ns > 0) {
        delivery->agent.park_ns = left_ns;
        return 0;
    }
    strid_error err = STRID_ERROR_INIT;
    if (deliver(delivery, &err) != STRID_OK) {
        wait_after_failure(delivery, &err);
        delivery->agent.park_ns = delivery->backoff_ns;
        return 0;
    }
    delivery->retry_at_ns = delivery->backoff_ns = 0;
    note_declined(delivery);
    report(delivery);
    return 1;
}
