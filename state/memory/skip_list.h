/* An ordered map from bytes to bytes: keys in the order of unsigned bytes, a shorter key before its
 * extensions. It copies keys and values and owns the copies. Levels come from a generator with a
 * fixed seed, so that the same calls give the same list. @thread owner @locks none */
#ifndef SKIP_LIST_H
#define SKIP_LIST_H

#include <stdbool.h>

#include <strid/bytes.h>

struct skip_list;
struct skip_node;

struct skip_list *skip_list_create(void);
void skip_list_destroy(struct skip_list *list); /* NULL is allowed */

/* Copies both; replaces the value of a key that is there. An absent value counts as empty. */
void skip_list_put(struct skip_list *list, strid_bytes key, strid_bytes value);
/* False: it was not there. */
bool skip_list_remove(struct skip_list *list, strid_bytes key);
void skip_list_clear(struct skip_list *list);

/* NULL: not there. Nodes live until their key is put again, removed, or the list goes. */
const struct skip_node *skip_list_find(const struct skip_list *list, strid_bytes key);
/* The first node whose key is not below `key`; NULL: none. An empty key gives the first node. */
const struct skip_node *skip_list_seek(const struct skip_list *list, strid_bytes key);
const struct skip_node *skip_list_next(const struct skip_node *node);

strid_bytes skip_node_key(const struct skip_node *node);
strid_bytes skip_node_value(const struct skip_node *node); /* data is never NULL */

size_t skip_list_count(const struct skip_list *list);
size_t skip_list_bytes(const struct skip_list *list); /* of memory, about */

/* -1, 0 or 1: the order of keys. */
int skip_list_compare(strid_bytes a, strid_bytes b);

#endif
