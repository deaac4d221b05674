/* Ids that were seen, to tell repeats: by hashes of 128 bits, at most 128 MiB of them, for the last
 * LETTER_IDS_MAX ids. A letter is repeated where a node crashed before it had noted the delivery,
 * and so not far behind the first copy. One thread; a zeroed struct is empty. */
#ifndef API_LETTER_IDS_H
#define API_LETTER_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <strid/bytes.h>

enum { LETTER_IDS_MAX = 1 << 22 };

struct letter_ids {
    uint64_t *slots; /* two words each; both 0: free */
    size_t slot_count, count;
    uint64_t *before; /* the half that was filled before: of the same size, NULL: none */
};

void letter_ids_fini(struct letter_ids *ids);
bool letter_ids_add(struct letter_ids *ids, strid_bytes id); /* false: it was seen */
bool letter_ids_has(const struct letter_ids *ids, strid_bytes id);
/* Whether none was dropped yet. */
bool letter_ids_are_all(const struct letter_ids *ids);

#endif
