#include "decoder.h"

#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"

#include "pattern.h"

enum { KEY_BYTES_MAX = 64 * 1024, SLOTS_MAX = DEFINITION_FIELDS_MAX + 2, NO_SLOT = SLOTS_MAX };

/* One look-up for all names: the declared fields come first, in their order, then type and key
 * unless they are among them. */
struct decoder {
    enum decode_format format;
    enum decode_unmatched unmatched;
    bool padded;
    uint32_t slot_count;
    uint32_t key_slot;  /* NO_SLOT: the record's own key */
    uint32_t type_slot; /* NO_SLOT: the pattern has no group of that name */
    struct json_parser *parser;
    struct pattern *pattern;
    struct buffer scratch; /* a padded copy of the value */
    const char *names[SLOTS_MAX];
    int groups[SLOTS_MAX];
    strid_bytes texts[SLOTS_MAX];
    strid_field fields[SLOTS_MAX];
};

static uint32_t add_slot(struct decoder *decoder, const char *name)
{
    for (uint32_t i = 0; i < decoder->slot_count; i++)
        if (strcmp(decoder->names[i], name) == 0)
            return i;
    decoder->names[decoder->slot_count] = name;
    return decoder->slot_count++;
}

static strid_status open_pattern(struct decoder *decoder,
                                 const struct decode_definition *definition, strid_error *err)
{
    if (definition->pattern == NULL)
        return STRID_OK;
    STRID_TRY(pattern_create(definition->pattern, 1, &decoder->pattern, err));
    for (uint32_t i = 0; i < decoder->slot_count; i++)
        decoder->groups[i] = pattern_group(decoder->pattern, decoder->names[i]);
    return STRID_OK;
}

strid_status decoder_create(const struct decode_definition *definition, bool padded,
                            struct decoder **out, strid_error *err)
{
    struct decoder *decoder = memory_alloc_zeroed(sizeof *decoder);
    *out = NULL;
    decoder->format = definition->format;
    decoder->unmatched = definition->unmatched;
    decoder->padded = padded;
    decoder->key_slot = NO_SLOT;
    decoder->type_slot = NO_SLOT;
    for (uint32_t i = 0; i < definition->field_count; i++)
        (void)add_slot(decoder, definition->fields[i]);
    if (definition->format != DECODE_RAW)
        decoder->type_slot =
            add_slot(decoder, definition->type == NULL ? "type" : definition->type);
    if (definition->key != NULL)
        decoder->key_slot = add_slot(decoder, definition->key);
    if (definition->format == DECODE_JSONL)
        decoder->parser = json_parser_create();
    if (decoder->parser != NULL)
        json_prepare(decoder->parser, decoder->names, decoder->slot_count);
    strid_status status = open_pattern(decoder, definition, err);
    if (status != STRID_OK)
        decoder_destroy(decoder);
    else
        *out = decoder;
    return status;
}

void decoder_destroy(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    json_parser_destroy(decoder->parser);
    pattern_destroy(decoder->pattern);
    buffer_fini(&decoder->scratch);
    memory_free(decoder);
}

static const char *decode_jsonl(struct decoder *decoder, strid_bytes value)
{
    if (!decoder->padded) {
        buffer_clear(&decoder->scratch);
        uint8_t *to = buffer_reserve(&decoder->scratch, value.len + JSON_PADDING);
        memcpy(to, value.data, value.len);
        memset(to + value.len, 0, JSON_PADDING);
        value.data = to;
    }
    return json_extract_prepared(decoder->parser, value, decoder->fields);
}

static const char *decode_text(struct decoder *decoder, strid_bytes value, bool *skip)
{
    if (decoder->pattern == NULL)
        return NULL;
    enum pattern_result result = pattern_match(decoder->pattern, value, decoder->groups,
                                               decoder->texts, decoder->slot_count);
    if (result == PATTERN_LIMIT) /* nobody knows whether it matches, so it may not be skipped */
        return "pattern_limit";
    if (result == PATTERN_NO_MATCH) {
        *skip = decoder->unmatched == DECODE_UNMATCHED_SKIP;
        return *skip ? NULL : "unmatched";
    }
    for (uint32_t i = 0; i < decoder->slot_count; i++) {
        bool set = decoder->texts[i].data != NULL;
        decoder->fields[i] = (strid_field){.text = decoder->texts[i],
                                           .kind = set ? STRID_FIELD_STRING : STRID_FIELD_ABSENT};
    }
    return NULL;
}

/* A field as key or type: whatever it is, its text; absent where there is none. */
static strid_bytes field_text(const strid_field *field)
{
    if (field->kind == STRID_FIELD_ABSENT || field->kind == STRID_FIELD_NULL)
        return strid_bytes_of(NULL, 0);
    return field->text;
}

static const char *decode_value(struct decoder *decoder, const strid_raw *raw, bool *skip)
{
    if (raw->value.data == NULL || decoder->format == DECODE_RAW) {
        /* A tombstone has no fields and is no fault. */
        memset(decoder->fields, 0, decoder->slot_count * sizeof decoder->fields[0]);
        return NULL;
    }
    return decoder->format == DECODE_JSONL ? decode_jsonl(decoder, raw->value)
                                           : decode_text(decoder, raw->value, skip);
}

void decoder_decode(struct decoder *decoder, const strid_raw *raw, struct decoded *out)
{
    *out = (struct decoded){.fields = decoder->fields, .fault = raw->fault};
    if (out->fault == NULL)
        out->fault = decode_value(decoder, raw, &out->skip);
    if (__builtin_expect(out->fault != NULL || out->skip, 0))
        return;
    out->key =
        decoder->key_slot == NO_SLOT ? raw->key : field_text(&decoder->fields[decoder->key_slot]);
    if (decoder->key_slot != NO_SLOT && out->key.data == NULL)
        out->fault = "key_missing";
    else if (out->key.len > KEY_BYTES_MAX)
        out->fault = "key_too_long";
    if (out->fault != NULL)
        out->key = strid_bytes_of(NULL, 0);
    else if (decoder->type_slot != NO_SLOT)
        out->type = field_text(&decoder->fields[decoder->type_slot]);
}
