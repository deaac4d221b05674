/* Any text as a duration, a size and a JSON number: read or refused, and what is read is what the
 * same number without its unit stands for. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/units.h"

static void check_duration(const char *text)
{
    int64_t duration_ms = -1;
    if (!units_parse_duration_ms(text, &duration_ms))
        return;
    STRID_ASSERT(duration_ms >= 0);
    if (strchr(text, '.') == NULL)
        STRID_ASSERT((uint64_t)duration_ms >= strtoull(text, NULL, 10));
}

static void check_size(const char *text)
{
    uint64_t size = 0;
    if (!units_parse_size(text, &size))
        return;
    if (strchr(text, '.') == NULL)
        STRID_ASSERT(size >= strtoull(text, NULL, 10));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    strid_field field = {0};
    char *text = memory_alloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    check_duration(text);
    check_size(text);
    uint8_t *number = memory_alloc(size + (size == 0)); /* ends where the number does */
    memcpy(number, data, size);
    if (json_parse_number(strid_bytes_of(number, size), &field))
        STRID_ASSERT(field.text.len == size);
    memory_free(number);
    memory_free(text);
    return 0;
}
