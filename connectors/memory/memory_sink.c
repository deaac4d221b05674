/* The memory sink: outputs wait in `written` until a flush moves them to `ready`, from where the
 * host takes them. */
#include "memory_sink.h"

#include "base/assert.h"
#include "base/error.h"

#include "memory_config.h"
#include "memory_output.h"

#include <inttypes.h>
#include <pthread.h>

struct queue {
    struct memory_output *first;
    struct memory_output *last;
    uint64_t bytes;
};

struct memory_sink {
    pthread_mutex_t lock; /* guards everything below: the delivery writes, any thread takes */
    struct queue written;
    struct queue ready;
    struct memory_output *taken; /* what the last take gave out */
    uint64_t capacity;
    const char *target;
};

static struct memory_sink *of(strid_sink *self) { return (struct memory_sink *)self; }

static void append(struct queue *queue, const struct queue *more)
{
    if (more->first == NULL)
        return;
    if (queue->last == NULL)
        queue->first = more->first;
    else
        queue->last->next = more->first;
    queue->last = more->last;
    queue->bytes += more->bytes;
}

static strid_status sink_open(strid_sink *self, const strid_connector_args *args, strid_error *err)
{
    (void)err;
    const struct memory_sink_options *options = args->options;
    of(self)->capacity = options->capacity;
    of(self)->target = args->target;
    pthread_mutex_init(&of(self)->lock, NULL);
    return STRID_OK;
}

/* With nothing left to take, more than the capacity is let in: what lies between two flushes has to
 * go through at some time. */
static bool has_room(const struct memory_sink *sink)
{
    return sink->ready.first == NULL || sink->ready.bytes + sink->written.bytes <= sink->capacity;
}

static strid_status sink_write(strid_sink *self, const strid_output *outputs, uint32_t count,
                               strid_error *err)
{
    struct memory_sink *sink = of(self);
    strid_status status = STRID_OK;
    pthread_mutex_lock(&sink->lock);
    for (uint32_t i = 0; i < count && has_room(sink); i++) {
        struct memory_output *output = memory_output_create(&outputs[i]);
        struct queue one = {output, output, output->bytes};
        append(&sink->written, &one);
    }
    if (!has_room(sink)) {
        memory_output_destroy_all(sink->written.first);
        sink->written = (struct queue){0};
        status = error_set(err, STRID_ELIMIT, "memory",
                           "memory:%s is full, %" PRIu64
                           " bytes wait to be taken: take them, or raise `capacity`",
                           sink->target, sink->ready.bytes);
        if (err != NULL)
            err->flags |= STRID_ERROR_RETRIABLE;
    }
    pthread_mutex_unlock(&sink->lock);
    return status;
}

static strid_status sink_flush(strid_sink *self, strid_error *err)
{
    (void)err;
    struct memory_sink *sink = of(self);
    pthread_mutex_lock(&sink->lock);
    append(&sink->ready, &sink->written);
    sink->written = (struct queue){0};
    pthread_mutex_unlock(&sink->lock);
    return STRID_OK;
}

static strid_status sink_take(strid_sink *self, strid_output *out)
{
    struct memory_sink *sink = of(self);
    strid_status status = STRID_AGAIN;
    pthread_mutex_lock(&sink->lock);
    struct memory_output *first = sink->ready.first;
    if (first != NULL) {
        memory_output_destroy_all(sink->taken);
        sink->ready.first = first->next;
        if (first->next == NULL)
            sink->ready.last = NULL;
        STRID_ASSERT(sink->ready.bytes >= first->bytes);
        sink->ready.bytes -= first->bytes;
        first->next = NULL;
        sink->taken = first;
        *out = first->output;
        status = STRID_OK;
    }
    pthread_mutex_unlock(&sink->lock);
    return status;
}

static void sink_close(strid_sink *self)
{
    struct memory_sink *sink = of(self);
    memory_output_destroy_all(sink->written.first);
    memory_output_destroy_all(sink->ready.first);
    memory_output_destroy_all(sink->taken);
    pthread_mutex_destroy(&sink->lock);
}

const strid_sink_ops memory_sink_ops = {
    .abi_version = STRID_SINK_ABI_VERSION,
    .flags = 0,
    .name = "memory",
    .summary = "Outputs that the host program takes",
    .options = memory_sink_config,
    .options_size = sizeof(struct memory_sink_options),
    .instance_size = sizeof(struct memory_sink),
    .open = sink_open,
    .write = sink_write,
    .flush = sink_flush,
    .close = sink_close,
    .take = sink_take,
};
