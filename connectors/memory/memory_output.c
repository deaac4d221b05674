#include "memory_output.h"

#include "base/assert.h"
#include "base/memory.h"

static size_t payload_bytes(const strid_output *output)
{
    size_t bytes = output->id.len + output->key.len + output->value.len;
    for (uint32_t i = 0; i < output->header_count; i++)
        bytes += output->headers[i].name.len + output->headers[i].value.len;
    const strid_dead_letter *letter = output->dead_letter;
    if (letter != NULL)
        bytes += letter->topic.len + letter->reason.len + letter->type.len +
                 strlen(letter->source) + strlen(letter->pipeline) + strlen(letter->node) + 3;
    return bytes;
}

static strid_bytes copy(uint8_t **to, strid_bytes bytes)
{
    if (bytes.data == NULL)
        return bytes;
    if (bytes.len > 0)
        memcpy(*to, bytes.data, bytes.len);
    strid_bytes copied = {*to, bytes.len};
    *to += bytes.len;
    return copied;
}

static const char *copy_text(uint8_t **to, const char *text)
{
    return (const char *)copy(to, strid_bytes_of(text, strlen(text) + 1)).data;
}

struct memory_output *memory_output_create(const strid_output *output)
{
    size_t fixed =
        sizeof(struct memory_output) + output->header_count * sizeof(struct strid_header);
    size_t bytes = fixed + payload_bytes(output);
    struct memory_output *made = memory_alloc(bytes);
    uint8_t *to = (uint8_t *)made + fixed;
    *made = (struct memory_output){.bytes = bytes, .output = *output};
    made->output.id = copy(&to, output->id);
    made->output.key = copy(&to, output->key);
    made->output.value = copy(&to, output->value);
    made->output.headers = made->headers;
    for (uint32_t i = 0; i < output->header_count; i++) {
        made->headers[i].name = copy(&to, output->headers[i].name);
        made->headers[i].value = copy(&to, output->headers[i].value);
    }
    const strid_dead_letter *letter = output->dead_letter;
    if (letter != NULL) {
        made->letter = *letter;
        made->letter.source = copy_text(&to, letter->source);
        made->letter.topic = copy(&to, letter->topic);
        made->letter.reason = copy(&to, letter->reason);
        made->letter.type = copy(&to, letter->type);
        made->letter.pipeline = copy_text(&to, letter->pipeline);
        made->letter.node = copy_text(&to, letter->node);
        made->output.dead_letter = &made->letter;
    }
    STRID_ASSERT(to <= (uint8_t *)made + bytes);
    return made;
}

void memory_output_destroy_all(struct memory_output *first)
{
    while (first != NULL) {
        struct memory_output *next = first->next;
        memory_free(first);
        first = next;
    }
}
