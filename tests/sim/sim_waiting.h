/* Which records wait or are parked, as a directory says: progress covers them, and they have had no
 * effect yet. */
#ifndef SIM_WAITING_H
#define SIM_WAITING_H

#include "sim_world.h"

/* Reads what waits under key `k`, marks these records, and no others of the key, and takes them out
 * of `applied` (per partition: how many records are in). They are the last ones of their key and
 * partition that progress covers. Returns how many there are. */
uint32_t sim_waiting_take(const struct directory *directory, uint32_t k, uint32_t *applied);

/* The same where records wait under other names than their key's: marks all that wait, and no
 * others. With the order of partitions nothing of the partition that progress covers has passed
 * them. Returns how many there are. */
uint32_t sim_waiting_look(const struct directory *directory, sim_coverage applied);
/* Takes those of key `k` that are marked, and what is behind them, out of `applied`. */
void sim_waiting_cut(uint32_t k, uint32_t *applied);

/* Nothing waits: no entry of the engine's stores is left. */
void sim_waiting_check_none(void);

/* Of a source without order, behind sim_waiting_look(): each of the `count` records that wait has
 * its position in the store of positions, no other one has, and none is acknowledged. */
void sim_waiting_check_positions(const struct directory *directory, uint32_t count);

#endif
