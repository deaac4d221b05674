#include "runtime/waiting_change.h"

#include "base/assert.h"
#include "base/memory.h"

enum {
    CHANGES_MIN = 64,
    HEAD_BYTES = 64, /* of a head in a block, besides its key */
    COPY_BYTES = 16, /* of a record in a block, besides its key and itself */
    POSITION_BYTES = 40
};

/* What a copy adds to, or takes from, the account of the block. */
static uint64_t entries_of_copy(const struct waiting_changes *changes)
{
    return changes->has_positions ? 2 : 1;
}

static uint64_t bytes_of_copy(const struct waiting_changes *changes, const struct waiting_key *key,
                              size_t len)
{
    return COPY_BYTES + key->key_len + len +
           (changes->has_positions ? (uint64_t)POSITION_BYTES : 0);
}

static void free_copy(struct waiting_changes *changes, struct waiting_copy *copy)
{
    spares_free(&changes->spares, copy, sizeof *copy + copy->len);
}

static void free_copies(struct waiting_changes *changes, struct waiting_copy *copy)
{
    while (copy != NULL) {
        struct waiting_copy *next = copy->next;
        free_copy(changes, copy);
        copy = next;
    }
}

void waiting_change_fini(struct waiting_changes *changes)
{
    for (uint32_t i = 0; i < changes->count; i++)
        free_copies(changes, changes->list[i].first);
    memory_free(changes->list);
    spares_fini(&changes->spares);
    *changes = (struct waiting_changes){0};
}

static struct waiting_change *change_of(const struct waiting_changes *changes,
                                        const struct waiting_key *key)
{
    if (key->changed_at == 0)
        return NULL;
    struct waiting_change *change = &changes->list[key->changed_at - 1];
    STRID_ASSERT(key->changed_at <= changes->count);
    STRID_ASSERT(change->key == key);
    return change;
}

void waiting_change_note(struct waiting_changes *changes, struct waiting_key *key)
{
    if (change_of(changes, key) != NULL)
        return;
    if (changes->count == changes->capacity) {
        changes->capacity = changes->capacity == 0 ? CHANGES_MIN : 2 * changes->capacity;
        changes->list = memory_resize(changes->list, changes->capacity * sizeof *changes->list);
    }
    changes->list[changes->count++] = (struct waiting_change){.key = key};
    key->changed_at = changes->count;
    changes->entries++;
    changes->bytes += HEAD_BYTES + key->key_len;
}

void waiting_change_add(struct waiting_changes *changes, struct waiting_key *key, uint64_t seq,
                        strid_bytes record)
{
    waiting_change_note(changes, key);
    struct waiting_change *change = change_of(changes, key);
    struct waiting_copy *copy = spares_alloc(&changes->spares, sizeof *copy + record.len);
    *copy = (struct waiting_copy){.seq = seq, .len = record.len};
    memcpy(copy->bytes, record.data, record.len);
    STRID_ASSERT(change->last == NULL || change->last->seq + 1 == seq);
    if (change->last == NULL)
        change->first = copy;
    else
        change->last->next = copy;
    change->last = copy;
    changes->entries += entries_of_copy(changes);
    changes->bytes += bytes_of_copy(changes, key, record.len);
}

const struct waiting_copy *waiting_change_first(const struct waiting_changes *changes,
                                                const struct waiting_key *key)
{
    const struct waiting_change *change = change_of(changes, key);
    if (change == NULL || change->first == NULL || change->first->seq != key->head.first_seq)
        return NULL;
    return change->first;
}

static void drop_first(struct waiting_changes *changes, struct waiting_change *change)
{
    struct waiting_copy *copy = change->first;
    change->first = copy->next;
    if (change->first == NULL)
        change->last = NULL;
    changes->entries -= entries_of_copy(changes);
    changes->bytes -= bytes_of_copy(changes, change->key, copy->len);
    free_copy(changes, copy);
}

void waiting_change_settle(struct waiting_changes *changes, const struct waiting_key *key)
{
    STRID_ASSERT(waiting_change_first(changes, key) != NULL);
    drop_first(changes, change_of(changes, key));
}

void waiting_change_drop(struct waiting_changes *changes, struct waiting_key *key)
{
    struct waiting_change *change = change_of(changes, key);
    if (change == NULL)
        return;
    while (change->first != NULL)
        drop_first(changes, change);
    changes->entries--;
    changes->bytes -= HEAD_BYTES + key->key_len;
    *change = changes->list[--changes->count];
    change->key->changed_at = key->changed_at; /* perhaps its own */
    key->changed_at = 0;
}

void waiting_change_clear(struct waiting_changes *changes)
{
    for (uint32_t i = 0; i < changes->count; i++) {
        changes->list[i].key->changed_at = 0;
        free_copies(changes, changes->list[i].first);
    }
    changes->count = 0;
    changes->entries = changes->bytes = 0;
}
