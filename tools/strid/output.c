#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

#include "talk.h"

enum { OUTPUT_FLUSH_BYTES = 64 * 1024 };

struct buffer output_buffer;
static int write_errno;

static void flush(void)
{
    if (write_errno == 0 && output_buffer.len > 0) {
        errno = 0;
        if (fwrite(output_buffer.data, 1, output_buffer.len, stdout) != output_buffer.len)
            write_errno = errno == 0 ? EIO : errno;
    }
    buffer_clear(&output_buffer);
}

void output_part(void)
{
    if (output_buffer.len >= OUTPUT_FLUSH_BYTES)
        flush();
}

void output_line(void)
{
    buffer_put_u8(&output_buffer, '\n');
    output_part();
}

bool output_now(void)
{
    flush();
    errno = 0;
    if (fflush(stdout) != 0 && write_errno == 0)
        write_errno = errno == 0 ? EIO : errno;
    return write_errno == 0;
}

bool output_close(void)
{
    (void)output_now();
    buffer_fini(&output_buffer);
    if (write_errno != 0)
        talk_error("standard output could not be written: %s", strerror(write_errno));
    return write_errno == 0;
}

static void put_comma(void)
{
    uint8_t last = output_buffer.len == 0 ? '{' : output_buffer.data[output_buffer.len - 1];
    if (last != '{' && last != '[')
        buffer_put_u8(&output_buffer, ',');
}

void output_name(const char *name)
{
    put_comma();
    json_put_text(&output_buffer, name);
    buffer_put_u8(&output_buffer, ':');
}

void output_bytes(const char *name, strid_bytes value)
{
    if (json_utf8_is_valid(value)) {
        output_name(name);
        json_put_string(&output_buffer, value);
        return;
    }
    put_comma();
    buffer_printf(&output_buffer, "\"%s_base64\":\"", name);
    json_put_base64(&output_buffer, value);
    buffer_put_u8(&output_buffer, '"');
}

void output_text(const char *name, const char *value)
{
    output_bytes(name, strid_bytes_of_text(value));
}

void output_number(const char *name, uint64_t value)
{
    output_name(name);
    buffer_printf(&output_buffer, "%" PRIu64, value);
}

bool output_is_pair(const char *source)
{
    return source != NULL && strncmp(source, "redis", 5) == 0;
}

void output_plain_position(strid_position position, bool is_pair)
{
    if (is_pair || position.high != 0)
        buffer_printf(&output_buffer, "%" PRIu64 "-", position.high);
    buffer_printf(&output_buffer, "%" PRIu64, position.low);
}

/* A number where it is one; else text, as no JSON number holds 128 bits. */
void output_position(const char *name, strid_position position, bool is_pair)
{
    output_name(name);
    is_pair = is_pair || position.high != 0;
    if (is_pair)
        buffer_put_u8(&output_buffer, '"');
    output_plain_position(position, is_pair);
    if (is_pair)
        buffer_put_u8(&output_buffer, '"');
}

/* Integers and doubles; false for bytes. */
static bool put_numeric(strid_state_kind kind, strid_bytes value)
{
    int64_t integer = 0;
    double real = 0;
    if (kind == STRID_STATE_I64 && value.len == sizeof integer) {
        memcpy(&integer, value.data, sizeof integer);
        json_put_i64(&output_buffer, integer);
        return true;
    }
    if (kind == STRID_STATE_F64 && value.len == sizeof real) {
        memcpy(&real, value.data, sizeof real);
        json_put_f64(&output_buffer, real);
        return true;
    }
    return false;
}

void output_value(const char *name, strid_state_kind kind, strid_bytes value)
{
    if (kind == STRID_STATE_BYTES) {
        output_bytes(name, value);
        return;
    }
    output_name(name);
    if (!put_numeric(kind, value))
        buffer_printf(&output_buffer, "null");
}

/* JSON lets these pass, and a terminal may obey them: DEL and U+0080 to U+009F. */
static bool is_control(const uint8_t *at, const uint8_t *end)
{
    return *at == 0x7f || (*at == 0xc2 && at + 1 < end && at[1] < 0xa0);
}

static void put_harmless(strid_bytes text)
{
    const uint8_t *end = text.data + text.len;
    for (const uint8_t *at = text.data; at < end; at++) {
        if (!is_control(at, end))
            buffer_put_u8(&output_buffer, *at);
        else if (*at == 0x7f)
            buffer_printf(&output_buffer, "\\u007f");
        else
            buffer_printf(&output_buffer, "\\u%04x", *++at);
    }
}

void output_plain(strid_bytes bytes)
{
    if (!json_utf8_is_valid(bytes)) {
        buffer_printf(&output_buffer, "base64:");
        json_put_base64(&output_buffer, bytes);
        return;
    }
    struct buffer quoted = {0};
    json_put_string(&quoted, bytes);
    put_harmless(strid_bytes_of(quoted.data + 1, quoted.len - 2));
    buffer_fini(&quoted);
}

void output_plain_value(strid_state_kind kind, strid_bytes value)
{
    if (!put_numeric(kind, value))
        output_plain(value);
}

void output_grouped(struct buffer *out, uint64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, value);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            buffer_put_u8(out, ',');
        buffer_put_u8(out, (uint8_t)digits[i]);
    }
}
