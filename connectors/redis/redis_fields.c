#include "redis_fields.h"

#include "redis_reply.h"

#include <hiredis/hiredis.h>

#include <string.h>

/* A JSON text that is read from its beginning. */
struct text {
    const uint8_t *at, *end;
};

void redis_fields_fini(struct redis_fields *fields)
{
    buffer_fini(&fields->list);
    buffer_fini(&fields->text);
}

uint32_t redis_fields_count(const struct redis_fields *fields)
{
    return (uint32_t)(fields->list.len / sizeof(strid_header));
}

const strid_header *redis_fields_at(const struct redis_fields *fields, uint32_t index)
{
    return (const strid_header *)(const void *)fields->list.data + index;
}

static void put(struct redis_fields *fields, strid_bytes name, strid_bytes value)
{
    buffer_put(&fields->list, &(strid_header){.name = name, .value = value}, sizeof(strid_header));
}

static bool take(struct text *text, uint8_t wanted)
{
    while (text->at < text->end && strchr(" \t\r\n", *text->at) != NULL && *text->at != '\0')
        text->at++;
    if (text->at == text->end || *text->at != wanted)
        return false;
    text->at++;
    return true;
}

/* Four hexadecimal digits of a control character, which is all that is written so. */
static bool take_control(struct text *text, struct buffer *out)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++, text->at++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit =
            text->at < text->end && *text->at != '\0' ? strchr(digits, *text->at) : NULL;
        if (digit == NULL)
            return false;
        value = value * 16 + (unsigned)(digit - digits) % 16;
    }
    if (value >= 0x80)
        return false;
    buffer_put_u8(out, (uint8_t)value);
    return true;
}

static bool take_escape(struct text *text, struct buffer *out)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (text->at == text->end || *text->at == '\0')
        return false;
    const uint8_t name = *text->at++;
    const char *at = strchr(names, name);
    if (name == 'u')
        return take_control(text, out);
    if (at == NULL)
        return false;
    buffer_put_u8(out, (uint8_t)meant[at - names]);
    return true;
}

/* `out` has room for all that the text can become, so that what was taken before stays where it is.
 */
static bool take_string(struct text *text, struct buffer *out, strid_bytes *string)
{
    size_t begin = out->len;
    if (!take(text, '"'))
        return false;
    while (text->at < text->end && *text->at != '"') {
        const uint8_t c = *text->at++;
        if (c != '\\')
            buffer_put_u8(out, c);
        else if (!take_escape(text, out))
            return false;
    }
    *string = strid_bytes_of(out->data + begin, out->len - begin);
    return take(text, '"');
}

/* An object of texts, as redis_record makes it of the fields. */
static bool restore_object(struct redis_fields *fields, strid_bytes object)
{
    struct text text = {object.data, object.data + object.len};
    strid_bytes name, value;
    buffer_clear(&fields->text);
    (void)buffer_reserve(&fields->text, object.len);
    if (!take(&text, '{'))
        return false;
    do {
        if (!take_string(&text, &fields->text, &name) || !take(&text, ':') ||
            !take_string(&text, &fields->text, &value))
            return false;
        put(fields, name, value);
    } while (take(&text, ','));
    return take(&text, '}') && text.at == text.end;
}

static bool restore_own(struct redis_fields *fields, const struct redis_source_options *options,
                        const strid_output *letter)
{
    if (options->field == NULL && letter->value.data != NULL)
        return restore_object(fields, letter->value);
    for (uint32_t i = 0; i < letter->header_count; i++)
        put(fields, letter->headers[i].name, letter->headers[i].value);
    if (options->field != NULL && options->key_field != NULL && letter->key.data != NULL)
        put(fields, strid_bytes_of_text(options->key_field), letter->key);
    if (options->field != NULL && letter->value.data != NULL)
        put(fields, strid_bytes_of_text(options->field), letter->value);
    return true;
}

bool redis_fields_restore(struct redis_fields *fields, const struct redis_source_options *options,
                          const struct redis_letter *letter, const struct redisReply *entry)
{
    const struct redisReply *all = entry->element[1];
    buffer_clear(&fields->list);
    if (redis_letter_is_own(letter))
        return restore_own(fields, options, &letter->output) && fields->list.len > 0;
    for (size_t i = 0; i + 1 < all->elements; i += 2)
        if (redis_letter_is_of_record(letter, redis_reply_bytes(all->element[i])))
            put(fields, redis_reply_bytes(all->element[i]), redis_reply_bytes(all->element[i + 1]));
    return fields->list.len > 0;
}
