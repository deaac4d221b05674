/* The entries of a reply to XREADGROUP or XAUTOCLAIM, taken as hiredis parses them: copied one
 * behind the other into one buffer, without an object for each. redis_replies calls the four
 * functions below while `shape` says that the reply under way holds entries. One thread. */
#ifndef REDIS_ENTRIES_H
#define REDIS_ENTRIES_H

#include <strid/record.h>

#include "base/buffer.h"

enum redis_entries_shape {
    REDIS_ENTRIES_NONE = 0,
    REDIS_ENTRIES_READ, /* [[stream, [[id, [name, value, ...]], ...]]] */
    REDIS_ENTRIES_CLAIM /* [cursor, [[id, [...]], ...], [deleted id, ...]] */
};

/* One entry as it lies in `staged`; its fields follow: name length, name, value length, value. */
struct redis_entry_head {
    strid_position id;
    uint32_t field_count;
    uint32_t bytes; /* of the fields */
    bool is_gone;   /* it was deleted or trimmed while it was pending */
};

struct redis_entries {
    enum redis_entries_shape shape;
    struct buffer staged;
    size_t at;             /* in `staged`: the first that was not yet taken */
    size_t entry;          /* where the one that is being read begins */
    uint32_t count;        /* entries of the reply */
    strid_position cursor; /* where the next page begins; 0-0: there is none */
    struct buffer deleted; /* strid_position: gone from the stream, CLAIM */
    strid_position last;   /* ID of the last entry of the reply */
    bool is_broken;        /* an ID that is none */
};

void redis_entries_fini(struct redis_entries *entries);
/* Before a reply. What was taken of earlier ones goes. */
void redis_entries_begin(struct redis_entries *entries, enum redis_entries_shape shape);
/* Behind a reply: the memory behind the last value may be read. */
void redis_entries_end(struct redis_entries *entries);

/* At `depth` of the reply (0: the reply itself), the `index`-th of an array that is itself the
 * `outer`-th of its array. */
void redis_entries_array(struct redis_entries *entries, int depth, int outer, size_t count);
void redis_entries_text(struct redis_entries *entries, int depth, int outer, int index,
                        strid_bytes text);
void redis_entries_nil(struct redis_entries *entries, int depth, int outer, int index);

/* The first entry that was not taken; false: there is none. */
bool redis_entries_peek(const struct redis_entries *entries, struct redis_entry_head *head,
                        struct cursor *fields);
void redis_entries_take(struct redis_entries *entries);
/* The next field at the cursor. */
void redis_entries_field(struct cursor *fields, strid_header *out);

/* Nothing can be taken: of a reply that is under way there are no entries yet. */
static inline bool redis_entries_is_empty(const struct redis_entries *entries)
{
    return entries->shape != REDIS_ENTRIES_NONE || entries->at >= entries->staged.len;
}

#endif
