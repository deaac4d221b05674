/* A source without order for tests: a test lays records into it, at any position, again and again,
 * and says when what was acknowledged counts as taken in. One thread. */
#ifndef UNIT_UNORDERED_SOURCE_H
#define UNIT_UNORDERED_SOURCE_H

#include <strid/source.h>

#include "runtime_case.h"

enum { UNORDERED_RECORDS_MAX = 256, UNORDERED_PARTITIONS = 2 };

struct unordered_record {
    strid_position position;
    char key[16];
    char value[32];
};

struct unordered_partition {
    struct unordered_record waiting[UNORDERED_RECORDS_MAX];
    uint32_t count, at;
    strid_position told[UNORDERED_RECORDS_MAX]; /* since it was assigned */
    uint32_t told_count;
    uint64_t confirmed, visible; /* by the test; as of the last poll or pump */
    uint32_t released;
    int64_t in_hand; /* delivered or recalled since it was assigned, and not told or released */
    strid_position resumed_at;
    uint32_t pumps, last_pumps; /* last: with ending */
};

struct unordered_source {
    struct unordered_partition partitions[UNORDERED_PARTITIONS];
    uint32_t away; /* partitions, the last ones: runs that begin now do not have them */
    const strid_source_ops *usual_ops; /* of the case, put back at its end */
    strid_source *usual_source;
};

extern const strid_source_ops unordered_source_ops;

/* A case that reads the source, and tries what fails every 10 ms without end. */
void unordered_source_init(struct unordered_source *source, struct runtime_case *at,
                           strid_handler handler);
void unordered_source_fini(struct unordered_source *source, struct runtime_case *at);

void unordered_source_lay(struct unordered_source *source, uint32_t partition,
                          strid_position position, const char *key, const char *value);
/* The other side takes in all that it was told. */
void unordered_source_confirm(struct unordered_source *source);
bool unordered_source_was_told(const struct unordered_source *source, uint32_t partition,
                               strid_position position);

#endif
