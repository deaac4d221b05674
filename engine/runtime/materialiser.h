/* Materialiser: turns a prefix of the synced blocks into sorted files and deletes them: read, fold,
 * sort, ingest in one call; then one write deletes the blocks and moves their progress. Never
 * touches what no sync covers. */
#ifndef RUNTIME_MATERIALISER_H
#define RUNTIME_MATERIALISER_H

#include "runtime/run.h"

struct materialiser *materialiser_create(struct run *run);
void materialiser_destroy(struct materialiser *materialiser);
int materialiser_do_work(void *materialiser);
struct agent *materialiser_agent(struct materialiser *materialiser);

void materialiser_add_redo(struct materialiser *materialiser, int64_t bytes); /* @thread worker */
/* A worker has nothing to evict: do not wait for more blocks. @thread any */
void materialiser_hurry(struct materialiser *materialiser);
int64_t materialiser_redo_bytes(const struct materialiser *materialiser); /* @thread any */
/* Sorted files that lie over each other, after the last ingest or check. @thread any */
uint64_t materialiser_level0_files(const struct materialiser *materialiser);
/* Sequence of the worker's last block that is in the store as state. @thread any */
uint64_t materialiser_sequence(const struct materialiser *materialiser, uint32_t worker);
uint64_t materialiser_through(const struct materialiser *materialiser); /* @thread any */

#endif
