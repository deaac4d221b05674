/* One seed: its input, its disk, what is outside, its clock and its chance. One thread; `sim_world`
 * points to the seed that runs, since stores, sources and sinks are reached through the engine. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "pipeline/definition.h"
#include "runtime/run.h"

#include "sim_audit.h"
#include "sim_crash.h"
#include "sim_deferred.h"
#include "sim_disk.h"
#include "sim_input.h"
#include "sim_keys.h"
#include "sim_sink.h"
#include "sim_source.h"

enum {
    SIM_SINKS = 2,
    SIM_DEAD_LETTERS = SIM_SINKS,
    SIM_WORKERS_MAX = 4,
    SIM_CAUGHT = 3,
    SIM_AGENTS_MAX = 16
};

enum sim_mode { SIM_LIVENESS = 0, SIM_SAFETY };

/* What differs from seed to seed besides the input. A rate n: once in n times; 0: never. Records of
 * a chunk, seal interval and entries of the outbox: 0 is the engine's default. */
struct sim_knobs {
    uint32_t readers, chunks_per_reader, chunk_records, vshards_used, workers;
    uint64_t cache_bytes, redo_bytes, block_bytes, load_bytes;
    int64_t seal_interval_ns;
    int64_t ttl_ms;         /* of the store of aged entries; 0: they stay */
    uint32_t clock_step_us; /* the clock moves up to so far between two steps */
    uint32_t store_rate;    /* writes, syncs and loads that fail with an unknown outcome */
    uint32_t read_rate;     /* reads that fail */
    uint32_t sink_rate;     /* writes and flushes that fail */
    uint32_t sink_waits;  /* others go on so often while a sink writes or flushes, and time does */
    uint32_t again_rate;  /* polls that give nothing */
    uint32_t repeat_rate; /* polls that offer an earlier record once more */
    bool wall_jumps;      /* the wall clock is set, to and fro */
    uint32_t death_rate;  /* calls of an agent in which the process ends */
    uint32_t yield_rate;  /* calls in which other agents go on */
    bool subs;            /* records put and delete subkeys, and scan them */
    /* Of a source without order: the queue acknowledges what it takes, and declines letters of what
     * another consumer has taken; so many deliveries of a partition at most that nobody was told
     * of, 0: any. */
    bool moves;
    uint32_t decline_rate, unacknowledged;
    bool loses; /* the directory may be lost */
    uint64_t outbox_entries;
    uint64_t max_parked, max_parked_bytes; /* 0: the usual ones */
    uint32_t crashes_wanted;               /* besides those that faults bring about */
};

/* What happened, so that a change that makes the simulator miss half of the engine is seen. */
struct sim_figures {
    uint64_t steps, runs, reopened, killed, power_losses, drained, halted, failed_opens;
    uint64_t unsynced;    /* writes that a power loss took */
    uint64_t taken, away; /* partitions: within a run, from its beginning on */
    uint64_t repeated;    /* records that were offered again */
    uint64_t clock_sets;
    uint64_t deaths, deaths_in_hand, alone; /* the process ended within a step; suspects handled */
    uint64_t late;                          /* handlers that exceeded their time */
    uint64_t nested;                        /* steps within a call of another agent */
    uint64_t evictions, replayed, retried, dead_letters, outputs, materialised, backpressure;
    uint64_t deferred, never, completed; /* outcomes that come later, or not in time */
    uint64_t stale;                      /* completions that were too late */
    uint64_t handed;                     /* records that the host took over */
    uint64_t bounded;                    /* steps in which a partition was not to be read */
    uint64_t left;                       /* dead letters that a run left to the next one */
    uint64_t moved;                      /* dead letters that acknowledged their record */
    uint64_t lost, again;                /* directories; records that they held, and come again */
    uint64_t shared_lost;                /* directories of nodes that shared their source */
    uint64_t settled;                    /* positions that a shared source was told of */
    uint64_t declined, given_back;       /* letters; records that came again after that */
};

/* How many records lie before a place: the last answer for a partition. */
struct sim_covered {
    uint64_t place; /* 0: none yet */
    uint32_t records;
};

struct sim_world {
    uint64_t seed;
    enum sim_mode mode;
    bool trace;
    bool faults; /* are injected now */
    uint64_t steps;
    uint64_t hash; /* of all that happened */
    struct sim_random random;
    struct sim_knobs knobs;
    int64_t now_ns;
    int64_t wall_offset_ms;
    int64_t wall_max_ms; /* the latest that it ever was */
    struct clock clock;
    struct log log;
    struct sim_input input;
    struct sim_disk disk;
    struct sim_audit audit;
    struct sim_keys keys;
    struct sim_crash crash;
    struct sim_deferred deferred;
    struct sim_covered covered[SIM_INPUT_PARTITIONS_MAX];
    struct sim_source source;
    struct sim_sink outside[SIM_SINKS + 1]; /* where outputs and dead letters go */
    struct definition *definition;
    struct sink_definition dead_letters;
    struct sink_instance sinks[SIM_SINKS + 1];
    struct run *run; /* NULL: between two */
    uint32_t workers;
    uint32_t runs, crashes;
    uint64_t run_steps; /* of the run that is on */
    uint32_t fails_in;  /* so many store calls from now one fails; 0: none is picked */
    /* While one agent waits in a call, others go on, as threads would. */
    struct agent *agents[SIM_AGENTS_MAX];
    uint8_t weights[SIM_AGENTS_MAX];
    uint32_t agent_count; /* 0: no run is pumped now */
    uint32_t idle;        /* steps since there was work */
    uint32_t busy;        /* bit n: agents[n] is in its do_work */
    struct sim_figures figures;
    uint32_t *called;    /* partition x key: index + 1 of the last record handled in this run */
    uint32_t *attempted; /* partition x key: tries of that record */
};

extern struct sim_world *sim_world;

void sim_world_init(struct sim_world *world, uint64_t seed, enum sim_mode mode, bool trace);
void sim_world_fini(struct sim_world *world);

/* Something happened: part of the hash, and a line of the trace. `what` is a constant. */
void sim_world_note(const char *what, uint64_t a, uint64_t b, uint64_t c);

/* An invariant does not hold: says so, and how to replay it, and ends the process with SIM_CAUGHT.
 */
void sim_world_violated(const char *invariant, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

#define SIM_CHECK(invariant, condition, ...)                                                       \
    ((condition) ? (void)0 : sim_world_violated(invariant, __VA_ARGS__))

/* Whether a fault of that rate strikes now. */
bool sim_world_strikes(uint32_t rate);

#endif
