/* A walk over the subkeys of one key in ascending order: the write set of the record in hand, the
 * entries in the worker's cache and the store as one. Writes win over the cache, which wins over
 * the store: the cache gives away only what is materialised, and only between two chunks.
 *
 *   store range ──┐
 *   cache, subs ──┼─> lowest subkey next, newest of equal ones ──> fn
 *   write set ────┘
 *
 * The store is read by one iterator, and not at all where the cache holds the whole vshard. Nothing
 * of the range is copied. @thread worker */
#ifndef RUNTIME_SUB_SCAN_H
#define RUNTIME_SUB_SCAN_H

#include "runtime/worker.h"

struct sub_scan_write {
    strid_bytes subkey;
    strid_bytes value;
    strid_state_kind kind; /* STRID_STATE_ABSENT: deleted */
};

struct sub_scan {
    struct worker *worker;
    strid_bytes key; /* the record key, in the stores */
    uint32_t hash;
    uint8_t store;
    strid_bytes from, to;                /* from <= subkey < to; an absent `to`: to the end */
    const struct sub_scan_write *writes; /* of that range, ascending */
    size_t write_count;
    strid_state_scan_fn fn; /* may read state and add to the write set, which this does not see */
    void *user;
};

/* After an error of the store nothing of the record may count. */
strid_status sub_scan_run(const struct sub_scan *scan, strid_error *err);

#endif
