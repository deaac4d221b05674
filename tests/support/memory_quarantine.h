/* How much more memory a process may take where AddressSanitizer watches it: that keeps what was
 * freed for a while (256 MiB), and adds to each allocation. For tests that bound memory. */
#ifndef TEST_SUPPORT_MEMORY_QUARANTINE_H
#define TEST_SUPPORT_MEMORY_QUARANTINE_H

#include <stdint.h>

#ifdef __SANITIZE_ADDRESS__
static const uint64_t memory_quarantine_bytes = UINT64_C(512) << 20;
#else
static const uint64_t memory_quarantine_bytes = 0;
#endif

#endif
