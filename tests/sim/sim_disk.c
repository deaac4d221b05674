#include "sim_disk.h"

#include "base/assert.h"
#include "state/meta.h"

void sim_disk_init(struct sim_disk *disk)
{
    *disk = (struct sim_disk){
        .live = skip_list_create(), .durable = skip_list_create(), .states = skip_list_create()};
}

void sim_disk_fini(struct sim_disk *disk)
{
    skip_list_destroy(disk->live);
    skip_list_destroy(disk->durable);
    skip_list_destroy(disk->states);
    buffer_fini(&disk->log);
}

static void change(struct skip_list *list, const struct store_op *op)
{
    if (op->value.data == NULL)
        (void)skip_list_remove(list, op->key);
    else
        skip_list_put(list, op->key, op->value);
}

void sim_disk_write(struct sim_disk *disk, const struct store_op *ops, size_t count)
{
    buffer_put_varint(&disk->log, count);
    for (size_t i = 0; i < count; i++) {
        change(disk->live, &ops[i]);
        buffer_put_varint(&disk->log, ops[i].key.len);
        buffer_put_bytes(&disk->log, ops[i].key);
        buffer_put_varint(&disk->log, ops[i].value.data == NULL ? 0 : ops[i].value.len + 1);
        buffer_put_bytes(&disk->log, ops[i].value);
    }
    disk->log_writes++;
}

/* The first `count` writes of the log become durable and leave it. */
static void replay_log(struct sim_disk *disk, uint32_t count)
{
    struct cursor at = cursor_of(buffer_bytes(&disk->log));
    for (uint32_t write = 0; write < count; write++)
        for (uint64_t left = cursor_varint(&at); left > 0; left--) {
            struct store_op op = {.key = cursor_bytes(&at, cursor_varint(&at))};
            uint64_t len = cursor_varint(&at);
            if (len > 0)
                op.value = cursor_bytes(&at, len - 1);
            change(disk->durable, &op);
        }
    STRID_ASSERT(!at.failed);
    size_t left = (size_t)(at.end - at.at);
    memmove(disk->log.data, at.at, left);
    disk->log.len = left;
    disk->log_writes -= count;
}

void sim_disk_sync(struct sim_disk *disk, uint32_t writes)
{
    STRID_ASSERT(writes <= disk->log_writes);
    if (writes > 0)
        replay_log(disk, writes);
}

int sim_disk_load(struct sim_disk *disk, const struct store_op *op)
{
    size_t before = skip_list_count(disk->states);
    change(disk->states, op);
    return (int)skip_list_count(disk->states) - (int)before;
}

const struct skip_list *sim_disk_of(const struct sim_disk *disk, uint8_t kind)
{
    return kind == 's' ? disk->states : disk->live;
}

void sim_disk_note(struct sim_disk *disk, uint64_t number)
{
    disk->noted_before = disk->noted;
    disk->noted = number;
}

void sim_disk_lose_power(struct sim_disk *disk, uint32_t kept)
{
    const uint64_t left[] = {disk->noted, disk->noted_before, 0};
    disk->noted = left[(kept + disk->noted) % 3]; /* any of them, and no draw of its own */
    sim_disk_sync(disk, kept);
    buffer_clear(&disk->log);
    disk->log_writes = 0;
    skip_list_clear(disk->live);
    const struct skip_node *node = skip_list_seek(disk->durable, strid_bytes_of("", 0));
    for (; node != NULL; node = skip_list_next(node))
        skip_list_put(disk->live, skip_node_key(node), skip_node_value(node));
}

bool sim_disk_low(const struct skip_list *list, uint32_t partition, uint64_t *high, uint64_t *low)
{
    struct buffer key = {0};
    meta_key_number(&key, "low", partition, 4);
    const struct skip_node *node = skip_list_find(list, buffer_bytes(&key));
    buffer_fini(&key);
    if (node == NULL)
        return false;
    struct cursor value = meta_value_read(skip_node_value(node));
    *high = cursor_u64(&value);
    *low = cursor_u64(&value);
    STRID_ASSERT(!value.failed);
    return true;
}
