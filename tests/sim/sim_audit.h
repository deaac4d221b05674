/* Looks at every write on its way to the disk, and knows from it what is durable: which records of
 * each partition and vshard the synced blocks cover. Invariants of DESIGN section 12 that can be
 * seen there are checked there. One thread. */
#ifndef SIM_AUDIT_H
#define SIM_AUDIT_H

#include "base/buffer.h"
#include "state/store.h"

#include "sim_held.h"
#include "sim_input.h"
#include "sim_stored.h"

enum { SIM_AUDIT_WORKERS = 16 };

struct sim_audit {
    /* Highest record index + 1 that synced blocks cover. */
    uint32_t durable[SIM_INPUT_PARTITIONS_MAX][SIM_INPUT_VSHARDS];
    uint32_t low[SIM_INPUT_PARTITIONS_MAX]; /* records before the stored low position: covered */
    struct buffer pending;                  /* progress in writes that no sync covers */
    uint32_t writes;                        /* number of the next write in the disk's log */
    uint64_t synced_number;                 /* highest block number that a sync covers */
    uint64_t last_number;                   /* of the run that is on */
    uint64_t sequences[SIM_AUDIT_WORKERS];  /* last one of each worker of the run */
    uint32_t applied[SIM_AUDIT_WORKERS][SIM_INPUT_PARTITIONS_MAX]; /* of the run */
    uint64_t through;
    struct sim_held held;     /* states in durable blocks */
    struct sim_stored stored; /* states in the store */
};

void sim_audit_init(struct sim_audit *audit);
void sim_audit_fini(struct sim_audit *audit);
void sim_audit_begin_run(struct sim_audit *audit);

/* A write that is about to reach the disk. */
void sim_audit_write(struct sim_audit *audit, const struct store_op *ops, size_t count);
/* The first `writes` writes of the log became durable; of the others those are still there that the
 * disk's log holds. */
void sim_audit_durable(struct sim_audit *audit, uint32_t writes);

/* Only what durable blocks hold may be loaded. */
void sim_audit_load(struct sim_audit *audit, const struct store_op *op);

#endif
