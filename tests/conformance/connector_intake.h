/* A reader for tests: takes what a source offers, keeps a copy, refuses at random, and checks what
 * every source has to keep to. It stands in for the engine's strid_intake_add().
 * @thread one at a time per intake */
#ifndef CONFORMANCE_CONNECTOR_INTAKE_H
#define CONFORMANCE_CONNECTOR_INTAKE_H

#include <strid/source.h>

#include "base/buffer.h"

struct taken {
    size_t key; /* where the bytes begin in intake.bytes */
    size_t value;
    size_t key_len;
    size_t value_len;
    bool has_key;
    strid_position position;
    strid_position next;
    const char *fault;
    uint32_t header_count;
};

struct strid_intake {
    struct taken *records;
    size_t count;
    size_t capacity;
    struct buffer bytes;
    bool is_unordered;      /* positions come in any order */
    bool is_counting;       /* keep nothing, only count */
    bool reads_padding;     /* touch the 64 bytes behind every value */
    uint32_t refuse_one_in; /* 0: never */
    uint64_t random;
    bool has_refused; /* the last offer was refused: the next has to be the same */
    strid_position refused;
    strid_position passed; /* what was taken or skipped so far */
    const char *violation; /* the first broken rule, NULL: none */
    uint8_t padding_sum;
};

void intake_clear(struct strid_intake *intake); /* keeps the settings */
void intake_fini(struct strid_intake *intake);
strid_bytes intake_value(const struct strid_intake *intake, size_t index);
strid_bytes intake_key(const struct strid_intake *intake, size_t index);

#endif
