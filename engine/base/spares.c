#include "base/spares.h"

#include "base/memory.h"

#ifdef __SANITIZE_ADDRESS__
enum { KEEPS = 0 };
#else
enum { KEEPS = 1 };
#endif

void spares_fini(struct spares *spares)
{
    for (uint32_t class = 0; class < SPARES_CLASSES; class ++)
        while (spares->lists[class] != NULL) {
            struct spare *spare = spares->lists[class];
            spares->lists[class] = spare->next;
            memory_free(spare);
        }
    *spares = (struct spares){0};
}

/* SPARES_CLASSES or more: too large to keep. */
static size_t class_of(size_t bytes) { return bytes == 0 ? 0 : (bytes - 1) / SPARES_STEP; }

void *spares_alloc(struct spares *spares, size_t bytes)
{
    size_t class = class_of(bytes);
    if (class >= SPARES_CLASSES)
        return memory_alloc(bytes);
    struct spare *spare = spares->lists[class];
    if (spare == NULL)
        return memory_alloc((class + 1) * SPARES_STEP);
    spares->lists[class] = spare->next;
    spares->counts[class]--;
    return spare;
}

void spares_free(struct spares *spares, void *memory, size_t bytes)
{
    size_t class = class_of(bytes);
    if (!KEEPS || class >= SPARES_CLASSES || spares->counts[class] >= SPARES_KEPT) {
        memory_free(memory);
        return;
    }
    struct spare *spare = memory;
    spare->next = spares->lists[class];
    spares->lists[class] = spare;
    spares->counts[class]++;
}
