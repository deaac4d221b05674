/* Filling the options struct that an option table (strid/config.h) describes. Messages say what was
 * wrong and what was expected; whoever knows where it stands puts that before them.
 * @thread the owner */
#ifndef PIPELINE_OPTIONS_H
#define PIPELINE_OPTIONS_H

#include <strid/config.h>
#include <strid/error.h>

#include "spelling.h"

struct options {
    const strid_option *table; /* NULL: no options */
    void *values;              /* the options struct; strings in it are owned */
    uint64_t given;            /* bit n: table[n] was put */
};

void options_init(struct options *options, const strid_option *table, size_t size);
void options_fini(struct options *options);
/* Hands over the values; free them with options_free. */
void *options_take(struct options *options);
void options_free(const strid_option *table, void *values);

const strid_option *options_find(const strid_option *table, const char *name);
void options_add_names(const strid_option *table, struct spelling *spelling);

/* Sets one option from text. STRID_ECONFIG: unknown (with the nearest known name), given twice, not
 * of its type, out of bounds. */
strid_status options_put(struct options *options, const char *name, const char *value,
                         strid_error *err);
/* Sets the fallbacks of all that was not put. STRID_ECONFIG: a required one is missing. */
strid_status options_finish(struct options *options, strid_error *err);

/* "a size such as 512, 64KiB or 1GiB", for messages and documentation. */
const char *options_expected(strid_option_type type);
/* "one of jsonl, text, raw", of an option that has choices. */
void options_words(const strid_option *option, char *out, size_t size);

#endif
