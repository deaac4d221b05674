/* A moment as flags take it: a date in UTC or with its offset, an age, or milliseconds since 1970.
 * @thread any */
#ifndef MOMENT_H
#define MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* false: it is none, which was said about --`flag`. */
bool moment_parse(const char *flag, const char *text, int64_t now_ms, int64_t *out_ms);

enum { MOMENT_TEXT_MAX = 40 };

/* In UTC, to the millisecond; in digits where no calendar has it. */
const char *moment_text(int64_t moment_ms, char out[MOMENT_TEXT_MAX]);

#endif
