/* Any text as the path of a field, and any bytes as the document: the first line is the path, the
 * rest is the document. What json_extract reads is valid JSON for json_validate, too. */
#include "fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "base/json.h"
#include "base/memory.h"

static uint64_t sum; /* so that every byte of a result is looked at */

static void extract(const char *path, const uint8_t *data, size_t size)
{
    const char *names[] = {path, "n"};
    strid_field fields[2];
    struct json_parser *parser = json_parser_create();
    uint8_t *padded = memory_alloc(size + JSON_PADDING);
    memcpy(padded, data, size);
    memset(padded + size, 0, JSON_PADDING);
    const char *fault = json_extract(parser, strid_bytes_of(padded, size), names, 2, fields);
    if (fault == NULL) {
        struct buffer minified = {0};
        for (uint32_t f = 0; f < 2; f++)
            for (size_t i = 0; i < fields[f].text.len; i++)
                sum += fields[f].text.data[i];
        STRID_ASSERT(json_validate(parser, strid_bytes_of(padded, size)) == NULL);
        json_put_minified(&minified, strid_bytes_of(padded, size));
        STRID_ASSERT(json_validate(parser, buffer_bytes(&minified)) == NULL);
        STRID_ASSERT(memchr(minified.data, '\n', minified.len) == NULL);
        buffer_fini(&minified);
    }
    memory_free(padded);
    json_parser_destroy(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size == 0 ? NULL : memchr(data, '\n', size);
    size_t len = line == NULL ? size : (size_t)(line - data);
    size_t used = line == NULL ? size : len + 1;
    char *path = memory_alloc(len + 1);
    if (len > 0)
        memcpy(path, data, len);
    path[len] = '\0';
    extract(path, data + used, size - used);
    memory_free(path);
    return 0;
}
