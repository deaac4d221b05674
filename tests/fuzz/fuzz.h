/* A fuzz target: libFuzzer's entry point, with the replay (fuzz_replay.c) in its place where the
 * build has no libFuzzer. Targets crash, or a sanitizer ends them, when something is wrong.
 * @thread one */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
