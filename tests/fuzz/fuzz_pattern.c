/* Any text as the pattern of text lines, and any bytes as a line: the first line is the pattern,
 * the rest is what it is matched with. Groups are views into the line; no pattern runs away. */
#include "fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "pipeline/pattern.h"

static void match(struct pattern *pattern, const uint8_t *data, size_t size)
{
    int named = pattern_group(pattern, "k");
    int numbers[] = {0, named < 0 ? 0 : named};
    strid_bytes groups[2];
    uint8_t *line = memory_alloc(size + (size == 0)); /* ends where the line does */
    if (size > 0)
        memcpy(line, data, size);
    if (pattern_match(pattern, strid_bytes_of(line, size), numbers, groups, 2) == PATTERN_MATCH)
        for (uint32_t g = 0; g < 2; g++)
            if (groups[g].data != NULL) {
                STRID_ASSERT(groups[g].data >= line);
                STRID_ASSERT(groups[g].data + groups[g].len <= line + size);
            }
    memory_free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size == 0 ? NULL : memchr(data, '\n', size);
    size_t len = line == NULL ? size : (size_t)(line - data);
    size_t used = line == NULL ? size : len + 1;
    struct pattern *pattern = NULL;
    strid_error err = STRID_ERROR_INIT;
    char *text = memory_alloc(len + 1);
    if (len > 0)
        memcpy(text, data, len);
    text[len] = '\0';
    if (pattern_create(text, 1, &pattern, &err) == STRID_OK)
        match(pattern, data + used, size - used);
    else
        STRID_ASSERT(pattern == NULL && err.message[0] != '\0');
    pattern_destroy(pattern);
    memory_free(text);
    return 0;
}
