/* Writes the n-th record of a partition: the same bytes for the same (options, partition, n). */
#ifndef GENERATOR_RECORD_H
#define GENERATOR_RECORD_H

#include <stdbool.h>

#include <strid/bytes.h>
#include <strid/error.h>

#include "generator_config.h"
#include "generator_zipf.h"

enum {
    GENERATOR_KEY_BYTES = 16,
    GENERATOR_NUMBER_BYTES = 16, /* a value of format bytes begins with the number, in digits */
    GENERATOR_TYPE_MAX = 64,
    GENERATOR_PADDING = 64,
    GENERATOR_KEYS_AHEAD = 16
};

/* Constant after init, shared by all partitions. */
struct generator_model {
    const struct generator_options *options;
    struct generator_zipf zipf;
    bool is_zipf;
    double exponent;
};

/* Sixteen digits as they were written last; the first is in the lowest byte. */
struct generator_digits {
    uint64_t value;       /* where numbers follow each other: which one it was */
    uint64_t upper_value; /* that the upper eight are of; UINT64_MAX: nothing yet */
    uint64_t upper, lower;
    const char *begin; /* stands over the first of the upper ones */
    size_t begin_len;
};

/* A partition's own. */
struct generator_writer {
    const struct generator_model *model;
    uint64_t key_stream;
    uint64_t detail_stream;
    const uint8_t *key; /* of the record made last; one of `keys` */
    uint64_t keys_from; /* number of the record that the first of `keys` belongs to */
    uint8_t keys[GENERATOR_KEYS_AHEAD][GENERATOR_KEY_BYTES];
    uint8_t *value; /* room for the longest value and padding */
    uint8_t *filling;
    size_t value_len;
    struct generator_digits key_digits;
    struct generator_digits number_digits; /* a value of format bytes begins with them */
};

/* STRID_ECONFIG: options that do not go together. */
strid_status generator_model_init(struct generator_model *model,
                                  const struct generator_options *options, strid_error *err);

void generator_writer_init(struct generator_writer *writer, const struct generator_model *model,
                           uint32_t partition);
void generator_writer_fini(struct generator_writer *writer);

/* Fills key, value and value_len; they live until the next call. */
void generator_writer_make(struct generator_writer *writer, uint64_t n);

#endif
