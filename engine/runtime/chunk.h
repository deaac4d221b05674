/* A chunk: up to 256 records on their way from a reader through a worker to the committer and back.
 * It has exactly one owner at any time: reader -> (ring) -> worker -> (ring) -> committer -> (ring)
 * -> the same reader.
 *
 * A round: what a reader delivered of one partition in one go, over one or more chunks. The
 * committer counts what of it is durable; rounds of a partition that are complete from the oldest
 * on move the low position. So the low position is computed over delivered records, whatever gaps
 * positions have.
 *
 *   round  reader fills it while polling, closes it, pushes it behind its last chunk; then it is
 * the committer's chunk  slots[count] (views) -> arena (bytes) */
#ifndef RUNTIME_CHUNK_H
#define RUNTIME_CHUNK_H

#include <strid/record.h>
#include <strid/source.h>

#include "pipeline/decoder.h"

enum { CHUNK_RECORDS_MAX = 256, CHUNK_ARENA_BYTES = 64 * 1024 };

struct round {
    uint32_t partition; /* index in the run */
    uint32_t epoch;
    uint64_t records;     /* delivered in it */
    uint64_t durable;     /* @thread committer */
    strid_position next;  /* where reading goes on behind it */
    struct round *behind; /* next round of the partition; @thread committer */
};

/* Two cache lines, which only the reader writes: what the worker finds out about a record it keeps
 * in its own `found`, so that the lines need not travel back changed. */
struct chunk_slot {
    _Alignas(64) strid_record record;
    uint64_t hash;     /* of the key, or of the partition where there is none */
    const char *fault; /* not NULL: unreadable, why; a static string */
};
_Static_assert(sizeof(struct chunk_slot) == 128, "a slot is two cache lines");

struct chunk {
    struct round *round;
    uint64_t
        block; /* sequence of the worker's block that its effects are part of; @thread worker */
    uint32_t partition;
    uint32_t epoch;
    uint32_t reader;
    uint32_t worker;
    uint32_t count;
    bool dropped; /* of an older epoch: nothing of it was applied */
    size_t arena_used, arena_bytes;
    uint8_t *arena;
    struct chunk_slot slots[CHUNK_RECORDS_MAX];
};

/* A record that the pattern of its pipeline does not match, and that is passed over for it: in a
 * chunk only where the source has no order, since it has to be acknowledged by itself. */
extern const char chunk_unmatched[];

struct chunk *chunk_create(void);
void chunk_destroy(struct chunk *chunk);
void chunk_reset(struct chunk *chunk); /* empty, and of the usual size again */

/* Copies a record into the chunk. false: it does not fit behind those that are there. An empty
 * chunk takes any record. */
bool chunk_add(struct chunk *chunk, const strid_raw *raw, const struct decoded *decoded,
               const strid_origin *origin, uint32_t field_count, uint64_t hash);

/* Bytes that the record will take in the arena. */
size_t chunk_bytes_of(const strid_raw *raw, const struct decoded *decoded, uint32_t field_count);

#endif
