/* What a figure was measured on and with. @thread any, one at a time */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdint.h>

struct machine {
    char cpu[128];
    char kernel[128];
    long cores;
    uint64_t memory_bytes;
    const char *commit;
    const char *compiler;
    const char *flags;
};

void machine_describe(struct machine *out);

#endif
