/* A moment as flags take it: a date in UTC, an age, or milliseconds since 1970. @thread any */
#ifndef MOMENT_H
#define MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* false: it is none, which was said about --`flag`. */
bool moment_parse(const char *flag, const char *text, int64_t now_ms, int64_t *out_ms);

#endif
