/* The writing half of json.h. */
#include "json.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool needs_escape(uint8_t c) { return c < 0x20 || c == '"' || c == '\\'; }

static size_t escape(uint8_t *to, uint8_t c)
{
    static const char letters[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    to[0] = '\\';
    for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
        if ((uint8_t)letters[i] == c) {
            to[1] = (uint8_t)letters[i + 1];
            return 2;
        }
    }
    to[1] = 'u';
    to[2] = '0';
    to[3] = '0';
    to[4] = (uint8_t)hex_digits[c >> 4];
    to[5] = (uint8_t)hex_digits[c & 15];
    return 6;
}

void json_put_string(struct buffer *out, strid_bytes text)
{
    buffer_put_u8(out, '"');
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!needs_escape(text.data[i]))
            continue;
        buffer_put(out, text.data + start, i - start);
        out->len += escape(buffer_reserve(out, 6), text.data[i]);
        start = i + 1;
    }
    if (text.len > start)
        buffer_put(out, text.data + start, text.len - start);
    buffer_put_u8(out, '"');
}

void json_put_text(struct buffer *out, const char *text)
{
    json_put_string(out, strid_bytes_of_text(text));
}

void json_put_member_bytes(struct buffer *out, const char *name, strid_bytes bytes)
{
    if (json_utf8_is_valid(bytes)) {
        buffer_printf(out, "\"%s\": ", name);
        json_put_string(out, bytes);
        return;
    }
    buffer_printf(out, "\"%s_base64\": \"", name);
    json_put_base64(out, bytes);
    buffer_put_u8(out, '"');
}

void json_put_i64(struct buffer *out, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    buffer_put(out, digits + at, sizeof digits - at);
}

void json_put_minified(struct buffer *out, strid_bytes document)
{
    uint8_t *to = buffer_reserve(out, document.len);
    bool in_string = false;
    for (size_t i = 0; i < document.len; i++) {
        uint8_t c = document.data[i];
        if (!in_string && (c == ' ' || c == '\n' || c == '\r' || c == '\t'))
            continue;
        *to++ = c;
        if (in_string && c == '\\' && i + 1 < document.len)
            *to++ = document.data[++i];
        else if (c == '"')
            in_string = !in_string;
    }
    out->len = (size_t)(to - out->data);
}

void json_put_base64(struct buffer *out, strid_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        if (left > 1)
            group |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= bytes.data[i + 2];
        char text[4] = {base64_digits[group >> 18], base64_digits[group >> 12 & 63],
                        left > 1 ? base64_digits[group >> 6 & 63] : '=',
                        left > 2 ? base64_digits[group & 63] : '='};
        buffer_put(out, text, sizeof text);
    }
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool json_base64_decode(struct buffer *out, strid_bytes text)
{
    if (text.len % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < text.len && text.data[text.len - 1 - padding] == '=')
        padding++;
    size_t len_before = out->len;
    uint32_t group = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = i >= text.len - padding ? 0 : base64_value(text.data[i]);
        if (value < 0) {
            out->len = len_before;
            return false;
        }
        group = group << 6 | (uint32_t)value;
        if (i % 4 != 3)
            continue;
        uint8_t bytes[3] = {(uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
        buffer_put(out, bytes, i + 1 == text.len ? 3 - padding : 3);
        group = 0;
    }
    return true;
}
