/* The bare loops behind file_count: simdjson alone over lines that are in memory already, taking
 * one member of each. @thread one */
#ifndef RAW_SIMDJSON_LOOP_H
#define RAW_SIMDJSON_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The forms that simdjson offers. Those over many documents cannot pass broken lines, so they get
 * the lines that are whole; they are quicker for it. */
enum simdjson_form {
    SIMDJSON_DOM_LINES = 0,
    SIMDJSON_ONDEMAND_LINES,
    SIMDJSON_DOM_MANY,
    SIMDJSON_ONDEMAND_MANY,
    SIMDJSON_FORMS
};

struct simdjson_text;

/* Reads a file of lines; NULL with a message on stderr. */
struct simdjson_text *simdjson_text_load(const char *path);
void simdjson_text_free(struct simdjson_text *text);

/* Whether the form does what the engine does: it meets the broken lines, passes them and no other,
 * and has looked at every byte of a line that it takes. */
bool simdjson_form_checks(enum simdjson_form form);

/* Parses all lines; returns how many had the member `name` as a string. */
uint64_t simdjson_loop(const struct simdjson_text *text, enum simdjson_form form, const char *name);
const char *simdjson_form_name(enum simdjson_form form);

#ifdef __cplusplus
}
#endif

#endif
