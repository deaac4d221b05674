#include "redis_entries.h"

#include "base/assert.h"

#include "redis_id.h"

enum { PADDING = 64 };

void redis_entries_fini(struct redis_entries *entries)
{
    buffer_fini(&entries->staged);
    buffer_fini(&entries->deleted);
    *entries = (struct redis_entries){.shape = REDIS_ENTRIES_NONE};
}

void redis_entries_begin(struct redis_entries *entries, enum redis_entries_shape shape)
{
    STRID_ASSERT(redis_entries_is_empty(entries));
    buffer_clear(&entries->staged);
    buffer_clear(&entries->deleted);
    entries->at = 0;
    entries->count = 0;
    entries->is_broken = false;
    entries->last = entries->cursor = (strid_position){0, 0};
    entries->shape = shape;
}

void redis_entries_end(struct redis_entries *entries)
{
    (void)buffer_reserve(&entries->staged, PADDING);
    entries->shape = REDIS_ENTRIES_NONE;
}

/* How deep entries lie. */
static int entry_depth(const struct redis_entries *entries)
{
    return entries->shape == REDIS_ENTRIES_READ ? 3 : 2;
}

/* Whether that is a part of the entry that was begun last. A server that answers with shapes of its
 * own may have begun none. */
static bool is_part(const struct redis_entries *entries, int depth)
{
    return entries->count > 0 && depth > entry_depth(entries);
}

static void put_head(struct redis_entries *entries, const struct redis_entry_head *head)
{
    memcpy(entries->staged.data + entries->entry, head, sizeof *head);
}

static struct redis_entry_head head_at(const struct redis_entries *entries, size_t at)
{
    struct redis_entry_head head;
    memcpy(&head, entries->staged.data + at, sizeof head);
    return head;
}

static bool is_deleted_list(const struct redis_entries *entries, int depth, int outer)
{
    return entries->shape == REDIS_ENTRIES_CLAIM && depth == 2 && outer == 2;
}

void redis_entries_array(struct redis_entries *entries, int depth, int outer, size_t count)
{
    int entry = entry_depth(entries);
    if (depth == entry && !is_deleted_list(entries, depth, outer)) {
        struct redis_entry_head head = {.is_gone = false};
        entries->entry = entries->staged.len;
        (void)buffer_reserve(&entries->staged, sizeof head);
        entries->staged.len += sizeof head;
        put_head(entries, &head);
        entries->count++;
    } else if (depth == entry + 1 && is_part(entries, depth)) {
        struct redis_entry_head head = head_at(entries, entries->entry);
        head.field_count = (uint32_t)(count / 2);
        put_head(entries, &head);
    }
}

static void take_id(struct redis_entries *entries, strid_bytes text)
{
    struct redis_entry_head head = head_at(entries, entries->entry);
    if (!redis_id_parse(text, &head.id))
        entries->is_broken = true;
    entries->last = head.id;
    put_head(entries, &head);
}

static void take_deleted(struct redis_entries *entries, strid_bytes text)
{
    strid_position id;
    if (!redis_id_parse(text, &id))
        entries->is_broken = true;
    else
        buffer_put(&entries->deleted, &id, sizeof id);
}

void redis_entries_text(struct redis_entries *entries, int depth, int outer, int index,
                        strid_bytes text)
{
    int entry = entry_depth(entries);
    if (depth > entry && !is_part(entries, depth))
        return;
    if (depth == entry + 2) {
        buffer_put_u32(&entries->staged, (uint32_t)text.len);
        buffer_put_bytes(&entries->staged, text);
        struct redis_entry_head head = head_at(entries, entries->entry);
        head.bytes = (uint32_t)(entries->staged.len - entries->entry - sizeof head);
        put_head(entries, &head);
    } else if (depth == entry + 1 && index == 0) {
        take_id(entries, text);
    } else if (is_deleted_list(entries, depth, outer)) {
        take_deleted(entries, text);
    } else if (entries->shape == REDIS_ENTRIES_CLAIM && depth == 1 && index == 0) {
        if (!redis_id_parse(text, &entries->cursor))
            entries->is_broken = true;
    }
}

/* Instead of its fields: the entry is gone. (Servers before 7.0 leave out its ID in a claim, too:
 * then nothing is known of it.) */
void redis_entries_nil(struct redis_entries *entries, int depth, int outer, int index)
{
    (void)outer;
    if (depth != entry_depth(entries) + 1 || index != 1 || !is_part(entries, depth))
        return;
    struct redis_entry_head head = head_at(entries, entries->entry);
    head.is_gone = true;
    put_head(entries, &head);
}

bool redis_entries_peek(const struct redis_entries *entries, struct redis_entry_head *head,
                        struct cursor *fields)
{
    if (redis_entries_is_empty(entries))
        return false;
    *head = head_at(entries, entries->at);
    *fields =
        cursor_of(strid_bytes_of(entries->staged.data + entries->at + sizeof *head, head->bytes));
    return true;
}

void redis_entries_take(struct redis_entries *entries)
{
    struct redis_entry_head head = head_at(entries, entries->at);
    entries->at += sizeof head + head.bytes;
}

void redis_entries_field(struct cursor *fields, strid_header *out)
{
    out->name = cursor_bytes(fields, cursor_u32(fields));
    out->value = cursor_bytes(fields, cursor_u32(fields));
}
