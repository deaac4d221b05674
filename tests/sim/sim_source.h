/* A source over the simulated input: batches of any size, polls that give nothing, gaps, unreadable
 * records, an end. It remembers what it was told and checks each acknowledgement against the disk.
 */
#ifndef SIM_SOURCE_H
#define SIM_SOURCE_H

#include <strid/source.h>

#include "sim_input.h"

struct sim_source {
    struct {
        uint32_t cursor; /* next record to be delivered */
        bool assigned;
        bool taken;        /* away, in this run: its epoch was raised, and nothing more comes */
        bool acknowledged; /* in any run */
        uint64_t acked;    /* place */
    } partitions[SIM_INPUT_PARTITIONS_MAX];
    bool repeated;       /* a record was offered again in this run, which has to end */
    struct buffer value; /* of the record that is offered */
};

extern const strid_source_ops sim_source_ops;

#endif
