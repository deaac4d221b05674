/* What the sources of one seed hold, and the naive model: what each record does, worked out record
 * by record in one thread when the input is made. Chains are kept per key and partition, so that
 * they do not depend on how partitions are interleaved. Constant afterwards, but for the marks of
 * what arrived outside. */
#ifndef SIM_INPUT_H
#define SIM_INPUT_H

#include <strid/handler.h>
#include <strid/pipeline.h>

#include "base/buffer.h"

#include "sim_random.h"

enum {
    SIM_INPUT_PARTITIONS_MAX = 5,
    SIM_INPUT_VSHARDS = 256,
    SIM_INPUT_OUTPUTS_MAX = 3, /* of one record */
    SIM_INPUT_STORE_CHAIN = 1, /* numbers of the stores in the directory */
    SIM_INPUT_STORE_COUNT = 2,
    SIM_INPUT_STORE_HALF = 3,
    SIM_INPUT_STORE_AGED = 4, /* with a time to live in some seeds */
    SIM_INPUT_STORE_SUBS = 5  /* ordered */
};

enum sim_kind { SIM_DONE = 0, SIM_SKIP, SIM_RETRY, SIM_REJECT, SIM_FAULT, SIM_POISON, SIM_HANDED };

/* Who asks for a token, and what becomes of it. */
enum sim_defer {
    SIM_DEFER_NOT = 0,
    SIM_DEFER_OUTCOME, /* the handler that has the outcome: the completion says it */
    SIM_DEFER_OTHER,   /* the other one: the outcome is said at once */
    SIM_DEFER_BOTH,    /* both, for the same token: the completion says the outcome */
    SIM_DEFER_TAKEN,   /* nobody stands by the token */
    SIM_DEFER_NEVER,   /* another try is only asked for by saying nothing in time */
    SIM_DEFER_WAYS
};

struct sim_record {
    uint64_t place;    /* of its position */
    uint64_t chain;    /* of its key and partition, behind it */
    uint64_t before;   /* the chain before it */
    int64_t first_ms;  /* when it was first done, taken back since or not; 0: not yet */
    uint32_t done;     /* records of its key and partition that were done up to it */
    uint32_t key;      /* index in keys */
    uint32_t previous; /* index + 1 of the record of the same key before it; 0: none */
    uint8_t kind;      /* enum sim_kind */
    uint8_t retries;   /* how often its handler asks for another try; of SIM_HANDED: at which failed
                          attempt the host takes it over */
    uint8_t defer;     /* enum sim_defer */
    uint8_t defers;    /* of so many of its first attempts */
    uint8_t called;    /* tries before its last call, in `run` */
    uint64_t token;    /* generation of its last one */
    uint8_t late;      /* it does so by taking too long */
    uint8_t outputs;   /* if it is done */
    uint8_t sink;
    uint32_t
        returned; /* since it is a suspect an attempt came back: the next one, from 1; 0: none */
    bool parked;  /* or waiting for another attempt, as the directory was read last */
    uint8_t asks_second; /* the second handler gives the outcome */
    uint32_t run;        /* the last one in which it was handled */
    uint32_t handed;     /* the last one in which the host took it over */
    uint32_t completed;  /* the last one in which a completion was taken for it */
    uint64_t block;      /* of `worker`, which was open in that call */
    uint8_t worker;
    uint8_t crashes; /* how often the process ended while it ran alone */
    bool condemned;  /* it did so three times, once */
    bool suspect;    /* it was in hand when the process ended */
    uint8_t arrived; /* bit n: output n is durable outside; dead letter: bit 0 */
    bool waits;      /* its dead letter was in the outbox when that was looked at last */
    bool elsewhere;  /* acknowledged, and the directory that has its effects is lost */
};

struct sim_key {
    strid_bytes bytes; /* the key in the stores */
    bool keyless;      /* a partition's own key */
    uint32_t hash;     /* upper half of the engine's hash: the upper 8 bits are the vshard */
};

struct sim_partition {
    char topic[24];
    struct sim_record *records;
    uint32_t count;
    uint64_t end;   /* place behind the last record */
    uint32_t *last; /* per key: index + 1 of its last record */
};

struct sim_input {
    struct sim_partition partitions[SIM_INPUT_PARTITIONS_MAX];
    uint32_t partition_count;
    struct sim_key *keys;
    uint32_t key_count; /* of records, then one for each partition */
    struct buffer key_bytes;
    bool unordered; /* the source has no order: chains are sums */
    bool shared;    /* other nodes go on behind what is acknowledged */
    strid_ordering ordering;
    uint32_t defer_rate; /* so many records have one whose outcome comes later; 0: none */
    bool times_out;      /* some never do */
    bool hands_over;     /* the host takes some over that failed */
    bool headers;        /* records have some */
    bool text;           /* values are taken apart by a pattern, which gives a type and a field */
    uint32_t max_attempts;
    uint32_t poisons;  /* records that end the process, still to be made */
    uint32_t pad_max;  /* bytes that values of the chain store are padded with; 0: none */
    uint32_t fill_max; /* bytes behind the payload of a record's value; 0: none */
    bool wide;         /* positions use both halves */
    bool tight;        /* a record's `next` is the next record's position, not the one behind it */
};

/* What a record's value is made of. */
struct sim_payload {
    uint32_t partition;
    uint32_t index;
    uint32_t ordinal; /* of an output */
    uint32_t dropped; /* an output of an attempt that must take no effect */
};

enum { SIM_INPUT_FILL_LONG = 70000 }; /* beyond what a chunk usually holds */

/* A record's whole value: payload and filler. */
void sim_input_put_value(const struct sim_input *input, uint32_t partition, uint32_t index,
                         struct buffer *out);

/* Whether these bytes are that record's value. */
bool sim_input_is_value(const struct sim_input *input, uint32_t partition, uint32_t index,
                        strid_bytes value);

/* What a key's state is once each partition's records up to `applied` are in. */
struct sim_state {
    uint64_t chains[SIM_INPUT_PARTITIONS_MAX];
    uint64_t done;
};

void sim_input_init(struct sim_input *input, struct sim_random *random, uint32_t vshards_used,
                    uint64_t hash_seed);
void sim_input_fini(struct sim_input *input);

strid_position sim_input_position(const struct sim_input *input, uint64_t place);
uint64_t sim_input_place(const struct sim_input *input, strid_position position);
/* How many records lie before the place. */
uint32_t sim_input_before(const struct sim_partition *partition, uint64_t place);

bool sim_input_is_done(const struct sim_input *input, const struct sim_record *record);
bool sim_input_is_dead(const struct sim_input *input, const struct sim_record *record);
uint8_t sim_input_vshard(const struct sim_input *input, const struct sim_record *record);

uint64_t sim_input_chain(uint64_t before, uint32_t partition, uint32_t index);
/* Value of the chain store. */
void sim_input_put_chains(const struct sim_input *input, const struct sim_state *state,
                          struct buffer *out);
/* Whether the order in which a key's records take effect is not known: chains are sums. */
static inline bool sim_input_is_sum(const struct sim_input *input)
{
    return input->unordered || input->ordering == STRID_ORDERING_NONE;
}

/* Whether the outcome of that attempt comes later. */
bool sim_input_defers(const struct sim_record *record, uint32_t tries);
/* Nothing waits for it, and so it leaves the state of its key alone. */
bool sim_input_is_stateless(const struct sim_input *input, const struct sim_record *record);

/* The state of a key when partition p's records of the key's vshard up to index applied[p] - 1 are
 * in, but for those that are parked where others pass them, and those whose effects are lost. */
void sim_input_state(const struct sim_input *input, uint32_t key, const uint32_t *applied,
                     struct sim_state *out);

#endif
