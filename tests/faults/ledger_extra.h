/* A further store of the ledger, chosen for a run by name, whose entry for a key follows from how
 * many records of the key were done (`count`), so that dump and checker know what has to be there:
 *
 *   recent  the count and when it was written, for 300 ms: there with the newest count, or expired
 *   large   100 KiB to 1 MiB that follow from key and count, written every LEDGER_LARGE_EVERY
 *   window  subkeys: the last LEDGER_WINDOW counts, each with itself as its value
 *
 * The handler checks what it finds before it writes; a finding is the reason of a dead letter. */
#ifndef FAULTS_LEDGER_EXTRA_H
#define FAULTS_LEDGER_EXTRA_H

#include <strid/strid.h>

#include "base/buffer.h"

enum { LEDGER_WINDOW = 8, LEDGER_LARGE_EVERY = 64 };

struct ledger_extra {
    const char *name; /* of the store, too */
    strid_store_options options;
    /* A record of the key is done, the `count`-th. NULL, or what is wrong. @thread worker */
    const char *(*enter)(strid_context *ctx, strid_store store, strid_bytes key, int64_t count);
    /* Writes what must not stay. false: it was refused. @thread worker */
    bool (*spoil)(strid_context *ctx, strid_store store);
    /* Appends members for the checker, "value" among them. */
    void (*print)(const strid_state_entry *entry, struct buffer *line);
};

/* NULL: no such name. */
const struct ledger_extra *ledger_extra_find(const char *name);

#endif
