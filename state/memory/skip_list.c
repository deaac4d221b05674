#include "skip_list.h"

#include "base/assert.h"
#include "base/memory.h"

#include <stdint.h>
#include <string.h>

enum { LEVELS_MAX = 20 }; /* one node in four rises a level: enough for 4^20 */

struct skip_node {
    uint8_t *value;
    size_t value_len, value_max; /* bytes, and how many fit */
    uint64_t first;              /* the key's first 8 bytes, as a number: decides most orders */
    size_t key_len;
    uint32_t levels;
    struct skip_node *next[]; /* `levels` of them; the key's bytes follow */
};

struct skip_list {
    struct skip_node *head; /* without a key, LEVELS_MAX high */
    uint64_t random;
    size_t count;
    size_t bytes;
    uint32_t levels; /* of the highest node */
};

static uint8_t *key_bytes(const struct skip_node *node)
{
    return (uint8_t *)&node->next[node->levels];
}

/* Numbers in the order of the bytes; where they are the same the whole keys decide. */
static uint64_t first_of(strid_bytes key)
{
    uint8_t first[8] = {0};
    uint64_t number = 0;
    if (key.len > 0)
        memcpy(first, key.data, key.len < sizeof first ? key.len : sizeof first);
    for (size_t i = 0; i < sizeof first; i++)
        number = number << 8 | first[i];
    return number;
}

static size_t node_bytes(size_t key_len, uint32_t levels)
{
    return sizeof(struct skip_node) + levels * sizeof(struct skip_node *) + key_len;
}

static struct skip_node *node_create(strid_bytes key, uint32_t levels)
{
    struct skip_node *node = memory_alloc_zeroed(node_bytes(key.len, levels));
    node->levels = levels;
    node->key_len = key.len;
    node->first = first_of(key);
    if (key.len > 0)
        memcpy(key_bytes(node), key.data, key.len);
    return node;
}

static void node_set_value(struct skip_node *node, strid_bytes value)
{
    /* Its bytes may be those that are there. Never NULL, also when empty. */
    if (node->value == NULL || value.len > node->value_max || value.len < node->value_max / 2) {
        uint8_t *old = node->value;
        node->value = memory_alloc(value.len + 1);
        node->value_max = value.len;
        if (value.len > 0)
            memcpy(node->value, value.data, value.len);
        memory_free(old);
    } else if (value.len > 0)
        memmove(node->value, value.data, value.len);
    node->value_len = value.len;
}

static void node_destroy(struct skip_node *node)
{
    memory_free(node->value);
    memory_free(node);
}

struct skip_list *skip_list_create(void)
{
    struct skip_list *list = memory_alloc_zeroed(sizeof *list);
    list->head = node_create((strid_bytes){0}, LEVELS_MAX);
    list->random = UINT64_C(0x9e3779b97f4a7c15);
    list->levels = 1;
    return list;
}

void skip_list_clear(struct skip_list *list)
{
    struct skip_node *node = list->head->next[0];
    while (node != NULL) {
        struct skip_node *next = node->next[0];
        node_destroy(node);
        node = next;
    }
    for (uint32_t level = 0; level < LEVELS_MAX; level++)
        list->head->next[level] = NULL;
    list->levels = 1;
    list->count = 0;
    list->bytes = 0;
}

void skip_list_destroy(struct skip_list *list)
{
    if (list == NULL)
        return;
    skip_list_clear(list);
    node_destroy(list->head);
    memory_free(list);
}

int skip_list_compare(strid_bytes a, strid_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    if (order != 0)
        return order < 0 ? -1 : 1;
    return a.len < b.len ? -1 : (a.len > b.len ? 1 : 0);
}

static bool is_below(const struct skip_node *node, uint64_t first, strid_bytes key)
{
    if (node->first != first)
        return node->first < first;
    return skip_list_compare(skip_node_key(node), key) < 0;
}

/* The first node not below `key`; before[level], where given: the last node below it on each level.
 */
static struct skip_node *locate(const struct skip_list *list, strid_bytes key,
                                struct skip_node **before)
{
    struct skip_node *at = list->head, *next;
    uint64_t first = first_of(key);
    for (uint32_t level = list->levels; level-- > 0;) {
        while ((next = at->next[level]) != NULL && is_below(next, first, key))
            at = next;
        if (before != NULL)
            before[level] = at;
    }
    return at->next[0];
}

/* xorshift64: level n with the chance 1 in 4^(n-1). */
static uint32_t random_levels(struct skip_list *list)
{
    list->random ^= list->random << 13;
    list->random ^= list->random >> 7;
    list->random ^= list->random << 17;
    uint64_t bits = list->random;
    uint32_t levels = 1;
    while (levels < LEVELS_MAX && (bits & 3) == 0) {
        levels++;
        bits >>= 2;
    }
    return levels;
}

void skip_list_put(struct skip_list *list, strid_bytes key, strid_bytes value)
{
    struct skip_node *before[LEVELS_MAX];
    struct skip_node *node = locate(list, key, before);
    if (node != NULL && skip_list_compare(skip_node_key(node), key) == 0) {
        list->bytes = list->bytes - node->value_len + value.len;
        node_set_value(node, value);
        return;
    }
    uint32_t levels = random_levels(list);
    while (list->levels < levels)
        before[list->levels++] = list->head;
    node = node_create(key, levels);
    node_set_value(node, value);
    for (uint32_t level = 0; level < levels; level++) {
        node->next[level] = before[level]->next[level];
        before[level]->next[level] = node;
    }
    list->count++;
    list->bytes += node_bytes(key.len, levels) + value.len;
}

bool skip_list_remove(struct skip_list *list, strid_bytes key)
{
    struct skip_node *before[LEVELS_MAX];
    struct skip_node *node = locate(list, key, before);
    if (node == NULL || skip_list_compare(skip_node_key(node), key) != 0)
        return false;
    for (uint32_t level = 0; level < node->levels; level++) {
        STRID_DASSERT(before[level]->next[level] == node);
        before[level]->next[level] = node->next[level];
    }
    list->count--;
    list->bytes -= node_bytes(node->key_len, node->levels) + node->value_len;
    node_destroy(node);
    return true;
}

const struct skip_node *skip_list_find(const struct skip_list *list, strid_bytes key)
{
    const struct skip_node *node = locate(list, key, NULL);
    return node != NULL && skip_list_compare(skip_node_key(node), key) == 0 ? node : NULL;
}

const struct skip_node *skip_list_seek(const struct skip_list *list, strid_bytes key)
{
    return locate(list, key, NULL);
}

const struct skip_node *skip_list_next(const struct skip_node *node) { return node->next[0]; }

strid_bytes skip_node_key(const struct skip_node *node)
{
    return strid_bytes_of(key_bytes(node), node->key_len);
}

strid_bytes skip_node_value(const struct skip_node *node)
{
    return strid_bytes_of(node->value, node->value_len);
}

size_t skip_list_count(const struct skip_list *list) { return list->count; }
size_t skip_list_bytes(const struct skip_list *list) { return list->bytes; }
