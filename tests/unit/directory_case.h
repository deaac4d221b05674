/* A state directory over a store in memory that outlives its handles, so that tests can open it
 * again, change what lies in it, and see what recovery makes of it. One test a process. */
#ifndef UNIT_DIRECTORY_CASE_H
#define UNIT_DIRECTORY_CASE_H

#include "state/directory.h"

struct directory_case {
    struct directory *directory;
    struct log log;
    char last_log[512];
    uint32_t logs;
    strid_error err;
};

extern const struct store_ops directory_case_ops; /* store_memory, always the same one */

void directory_case_init(struct directory_case *at);
void directory_case_fini(struct directory_case *at);

/* Opens (and closes what was open). */
strid_status directory_case_open(struct directory_case *at);
/* Opens and begins a run whose vshards go round over `workers`. Failures end the test. */
void directory_case_run(struct directory_case *at, uint32_t workers);

void directory_case_put(strid_bytes key, strid_bytes value); /* value absent: delete */
bool directory_case_get(strid_bytes key, struct buffer *value);
/* An entry of state, beside what the engine writes. */
void directory_case_put_entry(const struct key_state *key, const struct key_value *value);
size_t directory_case_count(const char *from, const char *to);

struct directory_case_block {
    uint64_t number, synced;
    uint32_t worker;
    uint64_t position; /* progress of partition 0 */
    const char *key;   /* in store 1, NULL: none */
    int64_t value;     /* INT64_MIN: deleted */
};

/* Writes a block of the run that was begun last. */
void directory_case_block(struct directory_case *at, const struct directory_case_block *block);
/* What the store says of a key of store 1; INT64_MIN: absent. */
int64_t directory_case_value(const char *key);

#endif
