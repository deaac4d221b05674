/* CRC-32C (Castagnoli), in hardware where there is SSE 4.2. @thread any */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 at first) over `len` bytes. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
