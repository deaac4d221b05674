/* IDs of entries, "ms-seq": compared as numbers, written and read here alone. */
#ifndef REDIS_ID_H
#define REDIS_ID_H

#include <strid/record.h>

enum { REDIS_ID_MAX = 48 }; /* two numbers of 20 digits, '-' and a terminator */

/* "ms-seq", or "ms" alone; false: neither. */
bool redis_id_parse(strid_bytes text, strid_position *out);
/* Writes the terminated text, returns its length. */
size_t redis_id_format(strid_position id, char out[REDIS_ID_MAX]);
/* The smallest ID behind `id`; the highest of all stays as it is. */
strid_position redis_id_next(strid_position id);
/* The highest ID before `id`; 0-0 stays as it is. */
strid_position redis_id_before(strid_position id);

#endif
