#include "ring_loop.h"

#include <ck_ring.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_RECORDS = 256,
    RING_SLOTS = 64,
    CHUNKS = 32,
    TEMPLATES = 4096, /* different records, so that the copy reads memory as a source does */
    CLOCK_EVERY = 16, /* chunks between two looks at the clock */
    SPINS = 200       /* before the processor is given up: there may be no second one */
};

/* What is computed from a record has to go somewhere, or the compiler drops the work. */
static _Atomic uint64_t kept;

struct chunk {
    uint32_t count;
    uint32_t lengths[CHUNK_RECORDS];
    uint8_t *arena;
};

struct loop {
    alignas(128) ck_ring_t full;
    alignas(128) ck_ring_t empty;
    alignas(128) ck_ring_buffer_t full_slots[RING_SLOTS];
    alignas(128) ck_ring_buffer_t empty_slots[RING_SLOTS];
    alignas(128) struct chunk chunks[CHUNKS];
    size_t record_bytes;
    uint8_t *templates;
    uint8_t *arenas;
    uint64_t records; /* @thread consumer until it was joined */
    uint64_t touched;
};

static struct chunk *take(ck_ring_t *ring, ck_ring_buffer_t *slots)
{
    void *chunk = NULL;
    for (uint32_t spins = 0; !ck_ring_dequeue_spsc(ring, slots, &chunk); spins++) {
        if (spins < SPINS)
            ck_pr_stall();
        else
            (void)sched_yield();
    }
    return chunk;
}

/* Both rings hold more than there are chunks, so this cannot fail. */
static void give(ck_ring_t *ring, ck_ring_buffer_t *slots, struct chunk *chunk)
{
    if (!ck_ring_enqueue_spsc(ring, slots, chunk))
        abort();
}

static void *consume(void *user)
{
    struct loop *loop = user;
    for (;;) {
        struct chunk *chunk = take(&loop->full, loop->full_slots);
        if (chunk->count == 0) /* the last one */
            return NULL;
        const uint8_t *record = chunk->arena;
        for (uint32_t i = 0; i < chunk->count; i++) {
            uint64_t word;
            memcpy(&word, record, sizeof word);
            loop->touched += word + record[chunk->lengths[i] - 1];
            record += chunk->lengths[i];
        }
        loop->records += chunk->count;
        give(&loop->empty, loop->empty_slots, chunk);
    }
}

static void fill(struct loop *loop, struct chunk *chunk, uint32_t *at)
{
    uint8_t *to = chunk->arena;
    for (uint32_t i = 0; i < CHUNK_RECORDS; i++) {
        memcpy(to, loop->templates + (size_t)*at * loop->record_bytes, loop->record_bytes);
        chunk->lengths[i] = (uint32_t)loop->record_bytes;
        to += loop->record_bytes;
        *at = (*at + 1) % TEMPLATES;
    }
    chunk->count = CHUNK_RECORDS;
}

static void produce(struct loop *loop, double until_s)
{
    uint32_t at = 0;
    for (uint64_t n = 1; n % CLOCK_EVERY != 0 || measure_wall_s() < until_s; n++) {
        struct chunk *chunk = take(&loop->empty, loop->empty_slots);
        fill(loop, chunk, &at);
        give(&loop->full, loop->full_slots, chunk);
    }
    struct chunk *last = take(&loop->empty, loop->empty_slots);
    last->count = 0;
    give(&loop->full, loop->full_slots, last);
}

static struct loop *make_loop(size_t record_bytes)
{
    struct loop *loop = aligned_alloc(alignof(struct loop), sizeof *loop);
    if (loop == NULL)
        return NULL;
    memset(loop, 0, sizeof *loop);
    loop->record_bytes = record_bytes;
    loop->templates = malloc(TEMPLATES * record_bytes);
    loop->arenas = malloc((size_t)CHUNKS * CHUNK_RECORDS * record_bytes);
    if (loop->templates == NULL || loop->arenas == NULL) {
        free(loop->templates);
        free(loop->arenas);
        free(loop);
        return NULL;
    }
    for (size_t i = 0; i < TEMPLATES * record_bytes; i++)
        loop->templates[i] = (uint8_t)(i * 31);
    ck_ring_init(&loop->full, RING_SLOTS);
    ck_ring_init(&loop->empty, RING_SLOTS);
    for (size_t i = 0; i < CHUNKS; i++) {
        loop->chunks[i].arena = loop->arenas + i * CHUNK_RECORDS * record_bytes;
        give(&loop->empty, loop->empty_slots, &loop->chunks[i]);
    }
    return loop;
}

/* The first two processors that this thread may use; the same one twice where there is one. */
static void find_processors(const cpu_set_t *allowed, size_t found[2])
{
    int count = 0;
    for (size_t cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
        if (CPU_ISSET(cpu, allowed))
            found[count++] = cpu;
    if (count < 2)
        found[1] = found[0];
}

static int place_thread(pthread_t thread, size_t cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return pthread_setaffinity_np(thread, sizeof one, &one);
}

static int run_loop(struct loop *loop, enum ring_place place, double seconds, struct bench_run *out)
{
    cpu_set_t before;
    size_t cpus[2] = {0};
    pthread_t thread;
    int failed = pthread_getaffinity_np(pthread_self(), sizeof before, &before);
    if (failed != 0)
        return failed;
    find_processors(&before, cpus);
    double cpu_s = measure_cpu_s();
    double wall_s = measure_wall_s();
    failed = pthread_create(&thread, NULL, consume, loop);
    if (failed != 0)
        return failed;
    failed = place_thread(thread, cpus[place == RING_ONE_CORE ? 0 : 1]);
    if (failed == 0)
        failed = place_thread(pthread_self(), cpus[0]);
    produce(loop, failed == 0 ? wall_s + seconds : wall_s);
    (void)pthread_join(thread, NULL);
    out->wall_s = measure_wall_s() - wall_s;
    out->cpu_s = measure_cpu_s() - cpu_s;
    out->records = loop->records;
    atomic_store_explicit(&kept, loop->touched, memory_order_relaxed); /* nobody reads it */
    int restored = pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    return failed != 0 ? failed : restored;
}

int ring_loop(size_t record_bytes, enum ring_place place, double seconds, struct bench_run *out)
{
    struct loop *loop = make_loop(record_bytes);
    if (loop == NULL)
        return measure_failed("raw_ring", "out of memory");
    int failed = run_loop(loop, place, seconds, out);
    free(loop->templates);
    free(loop->arenas);
    free(loop);
    return failed == 0 ? 0 : measure_failed("raw_ring", strerror(failed));
}
