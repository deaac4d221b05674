#include "redis_command.h"

enum { NUMBER_MAX = 20 };

/* The digits of `value` at the end of `text`; returns where they begin. */
static const uint8_t *digits_of(uint64_t value, uint8_t *text)
{
    uint8_t *at = text + NUMBER_MAX;
    do {
        *--at = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return at;
}

static void put_count(struct buffer *out, uint8_t mark, uint64_t count)
{
    uint8_t text[NUMBER_MAX];
    const uint8_t *digits = digits_of(count, text);
    buffer_put_u8(out, mark);
    buffer_put(out, digits, (size_t)(text + NUMBER_MAX - digits));
    buffer_put(out, "\r\n", 2);
}

void redis_command_begin(struct buffer *out, uint32_t words) { put_count(out, '*', words); }

void redis_command_word(struct buffer *out, strid_bytes word)
{
    put_count(out, '$', word.len);
    buffer_put_bytes(out, word);
    buffer_put(out, "\r\n", 2);
}

void redis_command_text(struct buffer *out, const char *word)
{
    redis_command_word(out, strid_bytes_of_text(word));
}

void redis_command_number(struct buffer *out, uint64_t word)
{
    uint8_t text[NUMBER_MAX];
    const uint8_t *digits = digits_of(word, text);
    redis_command_word(out, strid_bytes_of(digits, (size_t)(text + NUMBER_MAX - digits)));
}

void redis_command_put(struct buffer *out, const char *const *words)
{
    uint32_t count = 0;
    while (words[count] != NULL)
        count++;
    redis_command_begin(out, count);
    for (uint32_t i = 0; i < count; i++)
        redis_command_text(out, words[i]);
}
