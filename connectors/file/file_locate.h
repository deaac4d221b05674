/* Where a file may be gone on with, for tools that move a node's place. @thread control */
#ifndef FILE_LOCATE_H
#define FILE_LOCATE_H

#include <strid/source.h>

#include "file_list.h"

/* Fills `wanted`: its beginning, its end, or a byte at which a line begins. STRID_EINVAL: no line
 * begins there; STRID_EUNSUPPORTED: lines have no time, and are not counted. */
strid_status file_locate(const struct file_entry *entry, const strid_place *to,
                         strid_relocation *relocation, strid_error *err);

#endif
