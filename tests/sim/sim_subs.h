/* The ordered store of the simulator's handler, and its model: which subkeys a key has is a
 * function of how many of its records are done. Each record puts or deletes two of a few subkeys,
 * so that what a scan meets lies in the write set, in the cache and in the store at the same time.
 */
#ifndef SIM_SUBS_H
#define SIM_SUBS_H

#include <strid/handler.h>

#include "base/buffer.h"
#include "state/key.h"

enum { SIM_SUBS = 12 };

/* Ascending; some are beginnings of others. */
strid_bytes sim_subs_name(uint32_t slot);

/* The record that wrote each subkey last, counted from 1; 0: there is none. */
struct sim_subs {
    uint64_t by[SIM_SUBS];
};
void sim_subs_of(uint64_t done, struct sim_subs *out);

/* The value that record wrote. */
void sim_subs_value(uint32_t slot, uint64_t by, struct buffer *out);
strid_state_kind sim_subs_kind(uint32_t slot);

/* Checks what a scan sees after `done` records, writes what the next one does, and checks again. */
void sim_subs_handle(strid_context *ctx, strid_store store, uint64_t done);

/* Many subkeys in a try that must take no effect. */
void sim_subs_spoil(strid_context *ctx, strid_store store);

#endif
