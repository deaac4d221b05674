/* The disk, which outlives runs. `live` is what was applied: a killed process leaves it. `durable`
 * is what a power loss leaves at least; the log holds the writes since the last sync, of which a
 * power loss may leave a prefix. What is loaded in bulk is durable at once: it is kept apart, since
 * nothing else changes it. One thread. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "base/buffer.h"
#include "state/memory/skip_list.h"
#include "state/store.h"

struct sim_disk {
    struct skip_list *live, *durable; /* all but what is loaded */
    struct skip_list *states;
    struct buffer log; /* writes that no sync covers */
    uint32_t log_writes;
    /* The file beside the data that says how far syncs went, now and before: never synced itself.
     */
    uint64_t noted, noted_before;
    bool open; /* a run or a tool holds it */
    bool read_only;
    bool failed; /* a write failed: it has to be opened again */
};

void sim_disk_init(struct sim_disk *disk);
void sim_disk_fini(struct sim_disk *disk);

void sim_disk_write(struct sim_disk *disk, const struct store_op *ops, size_t count);
/* The first `writes` writes of the log are durable. */
void sim_disk_sync(struct sim_disk *disk, uint32_t writes);
/* Returns how many entries more (1) or less (-1) there are. */
int sim_disk_load(struct sim_disk *disk, const struct store_op *op);
/* Where keys of that kind are, as the store shows them. */
const struct skip_list *sim_disk_of(const struct sim_disk *disk, uint8_t kind);

void sim_disk_note(struct sim_disk *disk, uint64_t number);

/* Of the writes that no sync covers, the first `kept` stay, and are durable. Of the file that is
 * never synced stays what it says, what it said before, or nothing. */
void sim_disk_lose_power(struct sim_disk *disk, uint32_t kept);

/* Low position of a partition as it is stored; false: none. */
bool sim_disk_low(const struct skip_list *list, uint32_t partition, uint64_t *high, uint64_t *low);

#endif
