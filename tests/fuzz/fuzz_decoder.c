/* Any bytes as a record's value, in each format: decoded or a fault; nothing behind it is read. The
 * first byte chooses the format. */
#include "fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "pipeline/decoder.h"

enum { PADDING = 64 };

static uint64_t sum; /* so that every byte of a result is looked at */

static void touch(strid_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        sum += bytes.data[i];
}

static void decode(struct decode_definition *definition, bool padded, const uint8_t *data,
                   size_t size)
{
    struct decoder *decoder = NULL;
    struct decoded decoded;
    strid_error err = STRID_ERROR_INIT;
    uint8_t *value = memory_alloc(size + (padded ? PADDING : 1));
    STRID_ASSERT(decoder_create(definition, padded, &decoder, &err) == STRID_OK);
    memcpy(value, data, size);
    memset(value + size, 0, padded ? PADDING : 1);
    strid_raw raw = {.value = strid_bytes_of(value, size)};
    decoder_decode(decoder, &raw, &decoded);
    if (decoded.fault == NULL && !decoded.skip) {
        STRID_ASSERT(definition->key == NULL || decoded.key.data != NULL);
        touch(decoded.key);
        touch(decoded.type);
        for (uint32_t i = 0; i < definition->field_count; i++)
            if (definition->format != DECODE_TEXT || definition->pattern != NULL)
                touch(decoded.fields[i].text);
    }
    decoder_destroy(decoder);
    memory_free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char key[] = "k", pointer[] = "/a/0", plain[] = "n", pattern[] = "(?<k>\\w+) (?<n>[0-9.]*)";
    struct decode_definition definition = {.key = key};
    if (size == 0)
        return 0;
    switch (data[0] % 4) {
    case 0:
        definition.format = DECODE_TEXT;
        definition.pattern = pattern;
        definition.unmatched = DECODE_UNMATCHED_SKIP;
        break;
    case 1:
        definition.format = DECODE_RAW;
        definition.key = NULL;
        break;
    default:
        definition.format = DECODE_JSONL;
        definition.fields[definition.field_count++] = pointer;
        break;
    }
    if (definition.format != DECODE_RAW)
        definition.fields[definition.field_count++] = plain;
    decode(&definition, data[0] % 4 == 3, data + 1, size - 1);
    return 0;
}
