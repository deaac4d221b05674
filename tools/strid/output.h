/* Data on standard output: JSON objects or lines of text, through one buffer. Main thread only. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>

#include <strid/inspect.h>

#include "base/buffer.h"

/* What a line is built in; output_line() ends and writes it. Writing errors are kept and reported
 * by output_close(). */
extern struct buffer output_buffer;

void output_line(void);

/* Instead of output_line() where no newline is wanted. */
void output_part(void);
/* Writes out what there is, for who waits for it; false: standard output takes nothing more. */
bool output_now(void);

/* Writes out all; false when standard output could not take it, which has then been said. */
bool output_close(void);

/* Members of an object that is being built in output_buffer; each puts a comma before itself unless
 * it is the first behind '{' or '['. */
void output_bytes(const char *name, strid_bytes value); /* NAME or NAME_base64 */
void output_text(const char *name, const char *value);
void output_number(const char *name, uint64_t value);
void output_position(const char *name, strid_position position, bool is_pair);
void output_value(const char *name, strid_state_kind kind, strid_bytes value);
void output_name(const char *name); /* "NAME": for what the caller appends */

/* For text: one line, safe for a terminal: JSON escapes without the quotes, or base64:... */
void output_plain(strid_bytes bytes);
void output_plain_position(strid_position position, bool is_pair);
/* Whether positions of this source, named by its URL, are two numbers: 0-5 is then not 5. */
bool output_is_pair(const char *source);
void output_plain_value(strid_state_kind kind, strid_bytes value);
/* 1234567 as 1,234,567 */
void output_grouped(struct buffer *out, uint64_t value);

#endif
