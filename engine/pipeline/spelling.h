/* The name that somebody who mistyped one probably meant. @thread any */
#ifndef PIPELINE_SPELLING_H
#define PIPELINE_SPELLING_H

#include <stdint.h>

enum { SPELLING_NAMES_MAX = 64 };

/* Names known in one place, for messages; borrowed. */
struct spelling {
    const char *names[SPELLING_NAMES_MAX];
    uint32_t count;
};

void spelling_add(struct spelling *spelling, const char *name);

/* The nearest of the names; NULL where none is near. */
const char *spelling_nearest(const struct spelling *spelling, const char *word);

/* A hint to stand behind "unknown ...": `did you mean "x"?`, else `known are a, b, c`. Returns
 * `out`. */
const char *spelling_hint(const struct spelling *spelling, const char *word, char *out,
                          uint32_t size);

#endif
