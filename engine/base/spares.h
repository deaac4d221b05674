/* Blocks of memory that were freed, kept for what is allocated next: for owners whose small blocks
 * come and go by the hundreds within a millisecond, more than the allocator keeps at hand. A list
 * for each size of 16 bytes; what is larger, or one too many, goes to the allocator. Under
 * AddressSanitizer all of it does, so that it sees what is used after it was freed.
 * @thread the owner's @locks none */
#ifndef BASE_SPARES_H
#define BASE_SPARES_H

#include <stddef.h>
#include <stdint.h>

enum { SPARES_STEP = 16, SPARES_CLASSES = 32, SPARES_KEPT = 512 };

struct spares { /* a zeroed struct holds none */
    struct spare {
        struct spare *next;
    } * lists[SPARES_CLASSES]; /* of blocks of (place + 1) * SPARES_STEP bytes */
    uint32_t counts[SPARES_CLASSES];
};

void spares_fini(struct spares *spares);

/* Unset memory of at least `bytes`; belongs to the caller until spares_free(). */
void *spares_alloc(struct spares *spares, size_t bytes);
/* `bytes` as when it was allocated. */
void spares_free(struct spares *spares, void *memory, size_t bytes);

#endif
