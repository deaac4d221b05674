/* One producer, one consumer: every element arrives once, in order, with what was written into it
 * before the push. The payload is not atomic, so ThreadSanitizer sees a hand-off that is none.
 * usage: stress_ring [ELEMENTS] */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "concurrent/ring.h"

enum { SLOTS = 16, ELEMENTS_DEFAULT = 2000000 };

struct element {
    uint64_t number;
    uint64_t twice;
};

struct stress {
    struct ring *there; /* producer -> consumer */
    struct ring *back;  /* consumer -> producer: elements are reused, as chunks are */
    uint64_t elements;
    uint64_t wrong; /* @thread consumer, read after the join */
};

static void *consume(void *user)
{
    struct stress *stress = user;
    for (uint64_t expected = 0; expected < stress->elements;) {
        struct element *element = ring_pop(stress->there);
        if (element == NULL) {
            sched_yield();
            continue;
        }
        if (element->number != expected || element->twice != 2 * expected)
            stress->wrong++;
        expected++;
        element->number = UINT64_MAX; /* the producer gets it back dirty */
        while (!ring_push(stress->back, element))
            sched_yield();
    }
    return NULL;
}

static void produce(struct stress *stress)
{
    for (uint64_t number = 0; number < stress->elements;) {
        struct element *element = ring_pop(stress->back);
        if (element == NULL) {
            sched_yield();
            continue;
        }
        element->number = number;
        element->twice = 2 * number;
        while (!ring_push(stress->there, element))
            sched_yield();
        number++;
    }
}

int main(int argc, char **argv)
{
    struct stress stress = {.elements = argc > 1 ? strtoull(argv[1], NULL, 10) : ELEMENTS_DEFAULT};
    stress.there = ring_create(SLOTS / 2); /* smaller than the pool: it is full at times */
    stress.back = ring_create(SLOTS);
    struct element *pool = memory_alloc_zeroed(SLOTS * sizeof *pool);
    for (int i = 0; i < SLOTS - 1; i++)
        if (!ring_push(stress.back, &pool[i]))
            return 1;
    pthread_t consumer;
    if (pthread_create(&consumer, NULL, consume, &stress) != 0)
        return 1;
    produce(&stress);
    pthread_join(consumer, NULL);
    ring_destroy(stress.there);
    ring_destroy(stress.back);
    memory_free(pool);
    printf("%llu elements, %llu wrong\n", (unsigned long long)stress.elements,
           (unsigned long long)stress.wrong);
    return stress.wrong == 0 ? 0 : 1;
}
