/* The input of the ledger: deterministic JSON lines over a number of keys, one file a partition.
 * What a line holds depends only on the seed, the partition and the number of the line. One line in
 * a hundred is broken in one of several ways.
 * @thread one */
#ifndef FAULTS_LEDGER_INPUT_H
#define FAULTS_LEDGER_INPUT_H

#include <stdbool.h>
#include <stdint.h>

struct ledger_input {
    const char *directory; /* has to exist */
    uint64_t seed;
    uint64_t records; /* lines of all files together */
    uint32_t files;
    uint32_t keys;
    uint32_t padding; /* at most this many bytes of padding a line */
    bool harsh; /* one record in eight fails at first, one in 32 for good; one in eight is late */
};

/* Writes part-0.jsonl ... part-N.jsonl. Returns 0, or -1 with a message on stderr. */
int ledger_input_write(const struct ledger_input *input);

#endif
