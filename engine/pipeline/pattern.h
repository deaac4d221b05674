/* A PCRE2 pattern over bytes (no UTF mode: lines need not be UTF-8), compiled with JIT, with limits
 * so that no input can make a match run away. Immutable after creation; matching needs a slot,
 * which is claimed without a lock, so threads share a pattern.
 * @thread any */
#ifndef PIPELINE_PATTERN_H
#define PIPELINE_PATTERN_H

#include <strid/error.h>
#include <strid/bytes.h>

struct pattern;

enum pattern_result { PATTERN_NO_MATCH = 0, PATTERN_MATCH, PATTERN_LIMIT };

/* `threads`: how many match at the same time; more wait for each other.
 * STRID_ECONFIG: does not compile. */
strid_status pattern_create(const char *text, uint32_t threads, struct pattern **out,
                            strid_error *err);
void pattern_destroy(struct pattern *pattern);

/* Number of the named group; -1: there is none. */
int pattern_group(const struct pattern *pattern, const char *name);

/* Searches `subject`. groups[i] becomes the text of group numbers[i], a view into `subject`; absent
 * where it took no part. PATTERN_LIMIT: too costly to decide. */
enum pattern_result pattern_match(struct pattern *pattern, strid_bytes subject, const int *numbers,
                                  strid_bytes *groups, uint32_t count);

#endif
