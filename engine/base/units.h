/* Durations and sizes as people write them. @thread any */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* "100ms" "30s" "5m" "1h" "7d" "1.5s", a bare number is refused except "0". False: not a duration.
 */
bool units_parse_duration_ms(const char *text, int64_t *out);
/* "512" "64KiB" "1MB" "1GiB" "1.5GiB"; k/M/G/T decimal with B, binary with iB. False: not a size.
 */
bool units_parse_size(const char *text, uint64_t *out);

enum { UNITS_TEXT_MAX = 24 };

/* The other way round, in the largest unit that gives a whole number: "40MiB", "1d", "0". */
void units_format_size(uint64_t bytes, char out[UNITS_TEXT_MAX]);
void units_format_duration(int64_t duration_ms, char out[UNITS_TEXT_MAX]);

/* The end of a noun behind that number. */
static inline const char *units_plural(uint64_t count) { return count == 1 ? "" : "s"; }

#endif
