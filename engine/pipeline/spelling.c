#include "spelling.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 64 };

void spelling_add(struct spelling *spelling, const char *name)
{
    if (spelling->count < SPELLING_NAMES_MAX)
        spelling->names[spelling->count++] = name;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Insertions, deletions, replacements and swaps of neighbours that make `a` into `b`; both shorter
 * than WORD_MAX. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *second = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(replaced, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], second[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

const char *spelling_nearest(const struct spelling *spelling, const char *word)
{
    size_t len = strlen(word);
    size_t best = len < 4 ? 2 : len / 3 + 2; /* farther is another word */
    const char *nearest = NULL;
    if (len > WORD_MAX)
        return NULL;
    for (uint32_t i = 0; i < spelling->count; i++) {
        const char *name = spelling->names[i];
        size_t name_len = strlen(name);
        if (name_len > WORD_MAX)
            continue;
        size_t far = distance(word, len, name, name_len);
        if (far < best && far < name_len) {
            best = far;
            nearest = name;
        }
    }
    return nearest;
}

const char *spelling_hint(const struct spelling *spelling, const char *word, char *out,
                          uint32_t size)
{
    const char *nearest = spelling_nearest(spelling, word);
    if (nearest != NULL) {
        (void)snprintf(out, size, "did you mean \"%s\"?", nearest);
        return out;
    }
    if (spelling->count == 0) {
        (void)snprintf(out, size, "there are none");
        return out;
    }
    size_t used = (size_t)snprintf(out, size, "known are");
    for (uint32_t i = 0; i < spelling->count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s %s", i == 0 ? "" : ",",
                                 spelling->names[i]);
    return out;
}
