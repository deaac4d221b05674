/* Whether a consumer group has members: a node that keeps state joins only an empty one. One that
 * died is a member until its session is over. @thread the source's @locks none */
#ifndef KAFKA_OTHERS_H
#define KAFKA_OTHERS_H

#include "kafka_place.h"

struct kafka_others {
    int64_t next_ns;  /* not asked before that */
    int64_t until_ns; /* waited for as long; 0: not yet asked */
};

/* `*alone`: there are none. Else to be called again, some time; STRID_ESTATE: waited long enough,
 * and who they are. */
strid_status kafka_others_look(struct kafka_others *others, const struct kafka_place *place,
                               bool *alone, strid_error *err);

#endif
