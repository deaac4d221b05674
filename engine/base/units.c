#include "units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Keeps mantissa times the largest factor within 64 bits wherever the result fits. */
enum { FRACTION_DIGITS_MAX = 6 };

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},         {"m", 60 * 1000},
                                             {"h", 3600000}, {"d", 24 * 3600000}, {NULL, 0}};

static const struct unit size_units[] = {{"", 1},
                                         {"B", 1},
                                         {"kB", 1000},
                                         {"KB", 1000},
                                         {"MB", 1000000},
                                         {"GB", 1000000000},
                                         {"TB", 1000000000000},
                                         {"KiB", UINT64_C(1) << 10},
                                         {"MiB", UINT64_C(1) << 20},
                                         {"GiB", UINT64_C(1) << 30},
                                         {"TiB", UINT64_C(1) << 40},
                                         {NULL, 0}};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Reads "12" or "1.5" as `whole` and a fraction of `fraction` / `scale`. */
static const char *parse_number(const char *at, uint64_t *whole, uint64_t *fraction,
                                uint64_t *scale)
{
    *whole = 0;
    *fraction = 0;
    *scale = 1;
    if (!is_digit(*at))
        return NULL;
    for (; is_digit(*at); at++)
        if (__builtin_mul_overflow(*whole, UINT64_C(10), whole) ||
            __builtin_add_overflow(*whole, (uint64_t)(*at - '0'), whole))
            return NULL;
    if (*at != '.')
        return at;
    at++;
    if (!is_digit(*at))
        return NULL;
    for (int digits = 0; is_digit(*at); at++) {
        if (++digits > FRACTION_DIGITS_MAX)
            return NULL;
        *fraction = *fraction * 10 + (uint64_t)(*at - '0');
        *scale *= 10;
    }
    return at;
}

/* False as well where the result is no whole number of the smallest unit. */
static bool parse(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t whole = 0;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    const char *rest = parse_number(text, &whole, &fraction, &scale);
    if (rest == NULL)
        return false;
    const struct unit *unit = units;
    while (unit->name != NULL && strcmp(unit->name, rest) != 0)
        unit++;
    if (unit->name == NULL)
        return false;
    uint64_t value = 0;
    uint64_t part = 0;
    if (__builtin_mul_overflow(whole, unit->factor, &value) ||
        __builtin_mul_overflow(fraction, unit->factor, &part) || part % scale != 0 ||
        __builtin_add_overflow(value, part / scale, &value))
        return false;
    *out = value;
    return true;
}

bool units_parse_duration_ms(const char *text, int64_t *out)
{
    uint64_t value = 0;
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return true;
    }
    if (!parse(text, duration_units, &value) || value > INT64_MAX)
        return false;
    *out = (int64_t)value;
    return true;
}

bool units_parse_size(const char *text, uint64_t *out) { return parse(text, size_units, out); }

void units_format_size(uint64_t bytes, char out[UNITS_TEXT_MAX])
{
    static const char *const names[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < sizeof names / sizeof names[0]) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 "%s", bytes, names[unit]);
}

void units_format_duration(int64_t duration_ms, char out[UNITS_TEXT_MAX])
{
    const struct unit *unit = duration_units;
    for (const struct unit *at = unit; at->name != NULL; at++)
        if (duration_ms != 0 && duration_ms % (int64_t)at->factor == 0)
            unit = at;
    (void)snprintf(out, UNITS_TEXT_MAX, "%" PRId64 "%s", duration_ms / (int64_t)unit->factor,
                   duration_ms == 0 ? "" : unit->name);
}
