/* Committer: knows which records of which round lie in which block, and so when a round is durable.
 * Moves the low position of each partition over complete rounds, has storage write it, acknowledges
 * it to the source once it is synced, and returns chunks and rounds to the readers. Never blocks.
 */
#ifndef RUNTIME_COMMITTER_H
#define RUNTIME_COMMITTER_H

#include "runtime/run.h"

enum { COMMITTER_ROUNDS_MAX = 65536 }; /* per reader, between delivery and durability */

/* A low position on its way to storage: one per partition, the committer's again once lows_synced
 * reached `order`. */
struct low_position {
    uint32_t partition; /* index in the run */
    strid_position position;
};

struct agent *committer_agent(struct committer *committer);
struct ring *committer_lows(struct committer *committer); /* to storage */
/* worker -> committer: chunks that were handled */
struct ring *committer_from_worker(struct committer *committer, uint32_t worker);
struct committer *committer_create(struct run *run);
void committer_destroy(struct committer *committer);
int committer_do_work(void *committer);

#endif
