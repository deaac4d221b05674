#include "redis_object.h"

#include "base/json.h"

#include <string.h>

/* All below walks over what was found to be valid JSON: no look goes beyond its end. */

void redis_object_fini(struct redis_object *object)
{
    buffer_fini(&object->members);
    buffer_fini(&object->text);
    json_parser_destroy(object->parser);
    *object = (struct redis_object){.parser = NULL};
}

uint32_t redis_object_count(const struct redis_object *object)
{
    return (uint32_t)(object->members.len / sizeof(struct redis_member));
}

const struct redis_member *redis_object_at(const struct redis_object *object, uint32_t index)
{
    return (const struct redis_member *)(const void *)object->members.data + index;
}

static const uint8_t *skip_space(const uint8_t *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')
        at++;
    return at;
}

static uint32_t hex_of(const uint8_t *digits)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const uint8_t c = digits[i];
        value = value * 16 + (c <= '9' ? c - (uint32_t)'0' : (c | 32) - (uint32_t)'a' + 10);
    }
    return value;
}

static void put_utf8(struct buffer *out, uint32_t c)
{
    if (c < 0x80) {
        buffer_put_u8(out, (uint8_t)c);
        return;
    }
    if (c < 0x800)
        buffer_put_u8(out, (uint8_t)(0xc0 | c >> 6));
    else {
        if (c < 0x10000)
            buffer_put_u8(out, (uint8_t)(0xe0 | c >> 12));
        else {
            buffer_put_u8(out, (uint8_t)(0xf0 | c >> 18));
            buffer_put_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        }
        buffer_put_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    }
    buffer_put_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
}

/* The digits behind "\u", those of a second half too. */
static const uint8_t *take_code(const uint8_t *at, struct buffer *out)
{
    uint32_t c = hex_of(at);
    at += 4;
    if (c >= 0xd800 && c < 0xdc00 && at[0] == '\\' && at[1] == 'u') {
        const uint32_t low = hex_of(at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
        }
    }
    put_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c); /* a half alone is no character */
    return at;
}

/* `at` is at the quote. What is unescaped is never longer than it was, so `text` has room for all
 * of it and stays where it is. */
static const uint8_t *take_text(struct redis_object *object, const uint8_t *at, strid_bytes *out)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    struct buffer *text = &object->text;
    const size_t begin = text->len;
    for (at++; *at != '"';) {
        if (*at != '\\') {
            buffer_put_u8(text, *at++);
            continue;
        }
        const uint8_t name = at[1];
        at += 2;
        if (name == 'u')
            at = take_code(at, text);
        else
            buffer_put_u8(text, (uint8_t)meant[strchr(names, name) - names]);
    }
    *out = strid_bytes_of(text->data + begin, text->len - begin);
    return at + 1;
}

static const uint8_t *skip_text(const uint8_t *at)
{
    for (at++; *at != '"'; at++)
        at += *at == '\\';
    return at;
}

/* Behind a value that is no text. */
static const uint8_t *skip_value(const uint8_t *at)
{
    for (uint32_t depth = 0;; at++) {
        if (depth == 0 && (*at == ',' || *at == '}' || skip_space(at) != at))
            return at;
        if (*at == '"')
            at = skip_text(at);
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
    }
}

static const uint8_t *take_member(struct redis_object *object, const uint8_t *at)
{
    struct redis_member member = {.is_text = false};
    at = skip_space(take_text(object, at, &member.field.name));
    at = skip_space(at + 1); /* behind the colon */
    member.is_text = *at == '"';
    if (member.is_text) {
        at = take_text(object, at, &member.field.value);
    } else {
        const uint8_t *end = skip_value(at);
        member.field.value = strid_bytes_of(at, (size_t)(end - at));
        at = end;
    }
    buffer_put(&object->members, &member, sizeof member);
    return skip_space(at);
}

bool redis_object_read(struct redis_object *object, strid_bytes json)
{
    buffer_clear(&object->members);
    buffer_clear(&object->text);
    if (object->parser == NULL)
        object->parser = json_parser_create();
    if (json.len == 0 || json_validate(object->parser, json) != NULL)
        return false;
    const uint8_t *at = skip_space(json.data);
    if (*at != '{')
        return false;
    (void)buffer_reserve(&object->text, json.len);
    for (at = skip_space(at + 1); *at != '}'; at = skip_space(at + (*at == ',')))
        at = take_member(object, at);
    return object->members.len > 0;
}
