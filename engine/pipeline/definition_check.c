/* How a definition's values are decoded, and what can only be checked when all of it is there. */
#include "definition.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

#include "state/store.h"

#include "pattern.h"
#include "places.h"

enum { WORKERS_MAX = 64 };

static const char *const formats[] = {
    [DECODE_RAW] = "raw", [DECODE_JSONL] = "jsonl", [DECODE_TEXT] = "text", NULL};

static void replace(char **text, const char *by)
{
    memory_free(*text);
    *text = memory_copy_text(by);
}

strid_status definition_check_pointer(const char *name, strid_error *err)
{
    for (const char *at = name; *name == '/' && *at != '\0'; at++)
        if (*at == '~' && at[1] != '0' && at[1] != '1')
            return error_set(err, STRID_ECONFIG, "config",
                             "\"%s\" is no JSON Pointer, since it begins with / and has a ~ "
                             "without 0 or 1 behind it; ~0 stands for ~ and ~1 for /",
                             name);
    return STRID_OK;
}

static strid_status check_field_name(const char *what, const char *name, strid_error *err)
{
    if (name == NULL || *name != '\0')
        return name == NULL ? STRID_OK : definition_check_pointer(name, err);
    return error_set(err, STRID_ECONFIG, "config", "\"%s\": expected the name of a field, got \"\"",
                     what);
}

strid_status definition_set_decode(struct definition *definition, const char *format,
                                   const char *key, const char *type, strid_error *err)
{
    struct decode_definition *decode = &definition->decode;
    uint32_t index = format == NULL ? DECODE_JSONL : 0;
    while (format != NULL && formats[index] != NULL && strcmp(formats[index], format) != 0)
        index++;
    if (formats[index] == NULL)
        return error_set(err, STRID_ECONFIG, "config",
                         "\"format\": expected one of jsonl, text, raw, got \"%s\"", format);
    STRID_TRY(check_field_name("key", key, err));
    STRID_TRY(check_field_name("type", type, err));
    decode->format = (enum decode_format)index;
    replace(&decode->key, key);
    replace(&decode->type, type);
    return STRID_OK;
}

strid_status definition_set_pattern(struct definition *definition, const char *pattern,
                                    enum decode_unmatched unmatched, strid_error *err)
{
    struct pattern *compiled = NULL;
    if (pattern != NULL)
        STRID_TRY(pattern_create(pattern, 1, &compiled, err));
    pattern_destroy(compiled);
    replace(&definition->decode.pattern, pattern);
    definition->decode.unmatched = unmatched;
    return STRID_OK;
}

strid_status definition_set_state(struct definition *definition, const char *url, strid_error *err)
{
    const char *path = NULL;
    const struct store_ops *store = store_find(url, &path);
    if (store == NULL)
        return error_set(err, STRID_ECONFIG, "config",
                         "there is no state store \"%s\"; expected rocksdb:DIR or memory:", url);
    if ((store->flags & STORE_DURABLE) != 0 && *path == '\0')
        return error_set(err, STRID_ECONFIG, "config",
                         "\"%s\": expected a place behind the colon, such as %s:./state", url,
                         store->scheme);
    replace(&definition->state_url, url);
    return STRID_OK;
}

static strid_status check_group(const struct pattern *pattern, const char *what, const char *name,
                                strid_error *err)
{
    if (name == NULL || (pattern != NULL && pattern_group(pattern, name) > 0))
        return STRID_OK;
    if (pattern == NULL)
        return error_set(err, STRID_ECONFIG, "config",
                         "%s \"%s\" needs a \"pattern\" with a group (?<%s>...)", what, name, name);
    return error_set(err, STRID_ECONFIG, "config",
                     "the pattern has no group (?<%s>...), which %s \"%s\" needs", name, what,
                     name);
}

static strid_status check_text(const struct decode_definition *decode, strid_error *err)
{
    struct pattern *pattern = NULL;
    if (decode->pattern != NULL)
        STRID_TRY(pattern_create(decode->pattern, 1, &pattern, err));
    strid_status status = check_group(pattern, "key", decode->key, err);
    if (status == STRID_OK)
        status = check_group(pattern, "type", decode->type, err);
    for (uint32_t i = 0; status == STRID_OK && i < decode->field_count; i++)
        status = check_group(pattern, "field", decode->fields[i], err);
    pattern_destroy(pattern);
    return status;
}

static strid_status check_decode(const struct decode_definition *decode, strid_error *err)
{
    if (decode->format == DECODE_TEXT)
        return check_text(decode, err);
    if (decode->pattern != NULL)
        return error_set(err, STRID_ECONFIG, "config", "\"pattern\" needs \"format: text\", not %s",
                         formats[decode->format]);
    if (decode->format == DECODE_JSONL)
        return STRID_OK;
    const char *name = decode->key != NULL    ? decode->key
                       : decode->type != NULL ? decode->type
                                              : decode->fields[0];
    if (decode->field_count == 0 && name == NULL)
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, "config",
                     "\"format: raw\" has no fields, but \"%s\" is asked for; use jsonl or text",
                     name);
}

strid_status definition_check_ordering(const struct definition *definition, strid_error *err)
{
    if (definition->retry.ordering != STRID_ORDERING_PARTITION || definition->workers <= 1)
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, "config",
                     "\"ordering: partition\" keeps all records of a partition in order, which "
                     "takes one worker, not %u; set \"workers: 1\", or use \"ordering: key\"",
                     definition->workers);
}

strid_status definition_check(const struct definition *definition, strid_error *err)
{
    const char *at = NULL;
    if (definition->source.ops == NULL)
        return error_set(err, STRID_ECONFIG, "config", "the pipeline has no source");
    if (definition->workers > WORKERS_MAX)
        return error_set(err, STRID_ECONFIG, "config",
                         "\"workers\": %u is out of bounds, expected 1 to %d, or auto",
                         definition->workers, WORKERS_MAX);
    if (definition->max_attempts == 0)
        return error_set(err, STRID_ECONFIG, "config",
                         "\"max_attempts\": 0 is out of bounds, expected at least 1");
    STRID_TRY(definition_check_ordering(definition, err));
    STRID_TRY(places_check(definition, &at, err));
    return check_decode(&definition->decode, err);
}
