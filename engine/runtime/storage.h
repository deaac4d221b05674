/* Storage: gives each sealed block the next number of the directory's one sequence, writes blocks
 * and low positions in one atomic write, syncs as the durability of the pipeline wants it, and
 * tells what is durable. */
#ifndef RUNTIME_STORAGE_H
#define RUNTIME_STORAGE_H

#include "runtime/run.h"

struct storage *storage_create(struct run *run);
void storage_destroy(struct storage *storage);
int storage_do_work(void *storage);
struct agent *storage_agent(struct storage *storage);
struct ring *storage_from_worker(struct storage *storage, uint32_t worker); /* sealed blocks */
struct ring *storage_to_worker(struct storage *storage, uint32_t worker); /* blocks to use again */

/* @thread any */
void storage_want_sync(struct storage *storage); /* in replay: of what is written by now */
uint64_t storage_synced_sequence(const struct storage *storage, uint32_t worker);
uint64_t storage_synced_number(const struct storage *storage);
uint64_t storage_lows_synced(const struct storage *storage);
uint64_t storage_syncs(const struct storage *storage);
uint64_t storage_blocks(const struct storage *storage);

#endif
