/* A bounded ring of pointers between exactly one producer and one consumer thread, wait-free on
 * both sides.
 *
 * One element is a chunk, a block or a round, never a record. Full is told, not waited for: the
 * caller decides. By default concurrencykit's ck_ring; with STRID_RING_C11 the same in C11 atomics,
 * so that ThreadSanitizer, which does not see ck's inline assembly, checks the users of the ring.
 */
#ifndef CONCURRENT_RING_H
#define CONCURRENT_RING_H

#include <stdbool.h>
#include <stdint.h>

struct ring;

/* Room for at least `elements` pointers. Any thread. */
struct ring *ring_create(uint32_t elements);
void ring_destroy(struct ring *ring);

bool ring_push(struct ring *ring,
               void *element);     /* @thread producer; false: full. NULL is no element. */
void *ring_pop(struct ring *ring); /* @thread consumer; NULL: empty */
uint32_t ring_size(const struct ring *ring); /* @thread any; a snapshot, for figures */

#endif
