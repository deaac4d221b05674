/* Numbers by <charconv>: the only functions that are exact, fast and free of the locale. */
#include <strid/record.h>

extern "C" {
#include "buffer.h"
#include "json.h"
#include "json_number.h"
}

#include <charconv>
#include <cmath>
#include <cstring>

namespace
{

bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

size_t digits(const uint8_t *at, const uint8_t *end)
{
    size_t n = 0;
    while (at + n < end && is_digit(at[n]))
        n++;
    return n;
}

/* Of a number that is out of the range of doubles, which is not 0: whether it is too small for one,
 * and not too large. The place of its first digit that is not 0 tells, and its exponent. */
bool is_small(const char *begin, const char *end)
{
    const char *first = begin + (*begin == '-' ? 1 : 0);
    const char *point = first;
    const char *mark = first;
    while (mark < end && (*mark | 32) != 'e')
        mark++;
    while (point < mark && *point != '.')
        point++;
    while (first < mark && (*first == '0' || *first == '.'))
        first++;
    int64_t place = first < point ? point - first - 1 : point - first;
    int64_t exponent = 0;
    if (mark == end)
        return place < 0;
    auto parsed = std::from_chars(mark + (mark[1] == '+' ? 2 : 1), end, exponent);
    if (parsed.ec == std::errc::result_out_of_range)
        return mark[1] == '-';
    return exponent < -place;
}

} // namespace

extern "C" bool json_number_is_valid(strid_bytes raw)
{
    const uint8_t *at = raw.data;
    const uint8_t *end = at + raw.len;
    if (at < end && *at == '-')
        at++;
    size_t whole = digits(at, end);
    if (whole == 0 || (whole > 1 && *at == '0'))
        return false;
    at += whole;
    if (at < end && *at == '.') {
        size_t fraction = digits(++at, end);
        if (fraction == 0)
            return false;
        at += fraction;
    }
    if (at < end && (*at | 32) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        size_t exponent = digits(at, end);
        if (exponent == 0)
            return false;
        at += exponent;
    }
    return at == end;
}

/* A number whose integer does not fit is a double; one too large for a double is infinite. */
extern "C" void json_number_set(strid_bytes raw, strid_field *field)
{
    const char *begin = reinterpret_cast<const char *>(raw.data);
    const char *end = begin + raw.len;
    field->text = raw;
    field->kind = STRID_FIELD_INT;
    auto integer = std::from_chars(begin, end, field->integer);
    if (integer.ec == std::errc() && integer.ptr == end) {
        field->real =
            field->integer == 0 && *begin == '-' ? -0.0 : static_cast<double>(field->integer);
        return;
    }
    field->kind = STRID_FIELD_REAL;
    field->integer = 0;
    auto real = std::from_chars(begin, end, field->real);
    if (real.ec != std::errc::result_out_of_range)
        return;
    field->real = is_small(begin, end) ? 0.0 : HUGE_VAL;
    if (*begin == '-')
        field->real = -field->real;
}

extern "C" bool json_parse_number(strid_bytes text, strid_field *field)
{
    if (!json_number_is_valid(text))
        return false;
    json_number_set(text, field);
    return true;
}

extern "C" void json_put_f64(struct buffer *out, double value)
{
    char text[32];
    if (!std::isfinite(value)) {
        buffer_put(out, "null", 4);
        return;
    }
    auto end = std::to_chars(text, text + sizeof text, value);
    buffer_put(out, text, size_t(end.ptr - text));
}
