/* The polynomial is 0x82f63b78, reflected (RFC 3720, appendix B.4). */
#include "crc32c.h"

#include <string.h>

#if defined(__SSE4_2__)
#include <nmmintrin.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t value = crc ^ 0xffffffffu;
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        value = _mm_crc32_u64(value, word);
    }
    uint32_t rest = (uint32_t)value;
    for (; len > 0; len--, at++)
        rest = _mm_crc32_u8(rest, *at);
    return rest ^ 0xffffffffu;
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;
    crc ^= 0xffffffffu;
    for (; len > 0; len--, at++) {
        crc ^= *at;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
    }
    return crc ^ 0xffffffffu;
}

#endif
