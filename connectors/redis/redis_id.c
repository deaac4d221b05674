#include "redis_id.h"

static bool parse_u64(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    const uint8_t *begin = *at;
    *out = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(**at - '0'), out))
            return false;
    }
    return *at > begin;
}

bool redis_id_parse(strid_bytes text, strid_position *out)
{
    *out = (strid_position){0, 0};
    if (text.len == 0)
        return false; /* there is no text, perhaps */
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.len;
    if (!parse_u64(&at, end, &out->high))
        return false;
    if (at == end)
        return true;
    at++;
    return at[-1] == '-' && parse_u64(&at, end, &out->low) && at == end;
}

/* By hand: an acknowledgement is written for every entry. */
static size_t put_digits(uint64_t value, char *out)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < count; i++)
        out[i] = digits[count - 1 - i];
    return count;
}

size_t redis_id_format(strid_position id, char out[REDIS_ID_MAX])
{
    size_t len = put_digits(id.high, out);
    out[len++] = '-';
    len += put_digits(id.low, out + len);
    out[len] = '\0';
    return len;
}

strid_position redis_id_next(strid_position id)
{
    if (id.low < UINT64_MAX)
        id.low++;
    else if (id.high < UINT64_MAX)
        id = (strid_position){id.high + 1, 0};
    return id;
}

strid_position redis_id_before(strid_position id)
{
    if (id.low > 0)
        id.low--;
    else if (id.high > 0)
        id = (strid_position){id.high - 1, UINT64_MAX};
    return id;
}
