#include "kafka_headers.h"

#include <stdint.h>

/* 2.0.2 to 2.14.2: those whose parser was read for this. Another version is asked. */
enum { VERSION_MIN = 0x020002ff, VERSION_MAX = 0x020e02ff, PAGE_BYTES = 4096 };

/* In the older formats the byte may be the first one behind the buffer. That is harmless as long as
 * it lies in the page of the value's last byte; the sanitizer cannot know it. */
__attribute__((no_sanitize("address"))) bool kafka_headers_absent(const rd_kafka_message_t *message)
{
    int version = rd_kafka_version();
    const uint8_t *behind = (const uint8_t *)message->payload + message->len;
    if (message->payload == NULL || message->len == 0) /* then it may lie elsewhere */
        return false;
    if ((uintptr_t)behind % PAGE_BYTES == 0 || version < VERSION_MIN || version > VERSION_MAX)
        return false;
    return *behind == 0;
}
