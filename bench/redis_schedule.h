/* Entries added to a stream at times that were fixed beforehand: an open loop. Each entry's latency
 * is counted from when it should have been added to when it was handled, so that a reader that
 * stands still is charged for every entry that waited meanwhile, and a sender that comes late as
 * well.
 * @thread control, but for note: whoever handles the entry; the sender has a thread of its own */
#ifndef BENCH_REDIS_SCHEDULE_H
#define BENCH_REDIS_SCHEDULE_H

#include <pthread.h>
#include <stdatomic.h>

#include "measure.h"

struct redis_schedule {
    const char *socket;
    const char *stream;
    uint64_t entries;
    int64_t interval_ns;
    uint32_t value_bytes;
    int64_t *latencies_ns;    /* of each entry, -1 until it was handled; one writer each */
    _Atomic int64_t start_ns; /* release before the first entry is sent */
    _Atomic bool is_ready;    /* what reads has shown an entry: the schedule can begin */
    pthread_t thread;
    int result; /* of the sender, read once it was joined */
};

/* An entry that says that the reader reads comes before all others. What init was given lives until
 * fini. */
int redis_schedule_init(struct redis_schedule *schedule, const char *socket, const char *stream,
                        uint64_t entries, uint32_t per_second, uint32_t value_bytes);
void redis_schedule_fini(struct redis_schedule *schedule);

int redis_schedule_start(struct redis_schedule *schedule);
/* An entry is handled: its field "v". */
void redis_schedule_note(struct redis_schedule *schedule, const void *value, size_t len);
/* Waits until all was added and sorts the latencies; -1 where one was never handled. */
int redis_schedule_join(struct redis_schedule *schedule);
/* The latency in microseconds below which such a part of all lies. After join. */
double redis_schedule_quantile_us(const struct redis_schedule *schedule, double part);

#endif
