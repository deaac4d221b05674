/* Meta keys and values of a state directory: encoding only. Layout in directory.h. @thread any */
#ifndef STATE_META_H
#define STATE_META_H

#include "base/buffer.h"

/* "m/" + kind + "/" + name. */
void meta_key(struct buffer *out, const char *kind, strid_bytes name);
void meta_key_number(struct buffer *out, const char *kind, uint64_t number,
                     size_t bytes); /* big-endian */

/* If `key` is a meta key of that kind, true and what stands behind "m/kind/" ("" for "m/kind"). */
bool meta_key_is(strid_bytes key, const char *kind, strid_bytes *name);

/* A value is written between begin and end, which adds the CRC. */
void meta_value_begin(struct buffer *out);
void meta_value_end(struct buffer *out);
/* A cursor over the value without its CRC; `failed` if damaged. */
struct cursor meta_value_read(strid_bytes value);

#endif
