#include "concurrent/ring.h"

#include "base/assert.h"
#include "base/memory.h"

enum { RING_ELEMENTS_MIN = 4, RING_SPAN = 128 };

static uint32_t slots_for(uint32_t elements)
{
    /* One slot always stays empty. */
    uint32_t slots = RING_ELEMENTS_MIN;
    while (slots - 1 < elements) {
        STRID_ASSERT(slots < UINT32_C(1) << 30);
        slots *= 2;
    }
    return slots;
}

#if defined(STRID_RING_C11)

#include <stdalign.h>
#include <stdatomic.h>

struct ring {
    alignas(RING_SPAN) _Atomic uint32_t head; /* next to pop, written by the consumer */
    alignas(RING_SPAN) _Atomic uint32_t tail; /* next to push, written by the producer */
    alignas(RING_SPAN) void **slots;
    uint32_t mask;
};

struct ring *ring_create(uint32_t elements)
{
    uint32_t slots = slots_for(elements);
    struct ring *ring = memory_alloc_aligned(RING_SPAN, sizeof *ring);
    ring->slots = memory_alloc_aligned_unset(RING_SPAN, slots * sizeof *ring->slots);
    ring->mask = slots - 1;
    return ring;
}

void ring_destroy(struct ring *ring)
{
    if (ring == NULL)
        return;
    memory_free(ring->slots);
    memory_free(ring);
}

bool ring_push(struct ring *ring, void *element)
{
    STRID_ASSERT(element != NULL);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* ours */
    /* acquire, pairs with the release in pop: the slot is no longer read */
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (tail - head >= ring->mask)
        return false;
    ring->slots[tail & ring->mask] = element;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release); /* publishes the slot */
    return true;
}

void *ring_pop(struct ring *ring)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed); /* ours */
    /* acquire, pairs with the release in push: the slot and what it points to are visible */
    if (atomic_load_explicit(&ring->tail, memory_order_acquire) == head)
        return NULL;
    void *element = ring->slots[head & ring->mask];
    atomic_store_explicit(&ring->head, head + 1, memory_order_release); /* gives the slot back */
    return element;
}

uint32_t ring_size(const struct ring *ring)
{
    return atomic_load_explicit(&ring->tail, memory_order_relaxed) -
           atomic_load_explicit(&ring->head, memory_order_relaxed);
}

#else

#include <ck_ring.h>

struct ring {
    ck_ring_t ring;
    ck_ring_buffer_t *slots; /* an allocation of its own, on lines of its own */
};

struct ring *ring_create(uint32_t elements)
{
    uint32_t slots = slots_for(elements);
    struct ring *ring = memory_alloc_aligned(RING_SPAN, sizeof *ring);
    ring->slots = memory_alloc_aligned_unset(RING_SPAN, slots * sizeof *ring->slots);
    ck_ring_init(&ring->ring, slots);
    return ring;
}

void ring_destroy(struct ring *ring)
{
    if (ring == NULL)
        return;
    memory_free(ring->slots);
    memory_free(ring);
}

bool ring_push(struct ring *ring, void *element)
{
    STRID_ASSERT(element != NULL);
    return ck_ring_enqueue_spsc(&ring->ring, ring->slots, element);
}

void *ring_pop(struct ring *ring)
{
    void *element = NULL;
    bool popped = ck_ring_dequeue_spsc(&ring->ring, ring->slots, &element);
#if !defined(__x86_64__)
    /* 0.7.1 publishes the head with a store fence only, which on weak memory does not order the
     * read of the slot. */
    ck_pr_fence_load_store();
#endif
    return popped ? element : NULL;
}

uint32_t ring_size(const struct ring *ring) { return ck_ring_size(&ring->ring); }

#endif
