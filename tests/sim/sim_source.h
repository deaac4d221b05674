/* A source over the simulated input: batches of any size, polls that give nothing, gaps, unreadable
 * records, an end. It remembers what it was told and checks each acknowledgement against the disk.
 */
#ifndef SIM_SOURCE_H
#define SIM_SOURCE_H

#include <strid/source.h>

#include "sim_input.h"
#include "sim_unordered.h"

struct sim_source {
    struct {
        uint32_t cursor; /* next record to be delivered */
        bool assigned;
        bool taken;        /* away, in this run: its epoch was raised, and nothing more comes */
        bool acknowledged; /* in any run */
        uint64_t acked;    /* place */
    } partitions[SIM_INPUT_PARTITIONS_MAX];
    bool repeated; /* a record was offered again in this run, which has to end */
    struct sim_unordered unordered[SIM_INPUT_PARTITIONS_MAX]; /* of a source without order */
    struct buffer value;                                      /* of the record that is offered */
};

extern const strid_source_ops sim_source_ops;

/* Offers one record. */
strid_status sim_source_add(uint32_t p, uint32_t index, strid_intake *out);

/* The partition is asked for records: it is not while more waits for its account than may. */
void sim_source_check_bound(uint32_t p);

/* The place that a shared source was told of; 0: none. */
uint64_t sim_source_told(uint32_t p);

/* What both kinds of source have. */
extern const strid_option sim_source_no_options[];
strid_status sim_source_open(strid_source *self, const strid_connector_args *args,
                             strid_error *err);
uint32_t sim_source_partition_count(strid_source *self);
void sim_source_describe(strid_source *self, uint32_t partition, strid_partition_info *info);
size_t sim_source_fingerprint(strid_source *self, uint32_t partition, uint8_t *out);
void sim_source_close(strid_source *self);

#endif
