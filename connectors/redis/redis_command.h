/* Commands as they go over the wire, put straight into a buffer: no allocation for each. */
#ifndef REDIS_COMMAND_H
#define REDIS_COMMAND_H

#include "base/buffer.h"

/* Begins a command of `words` words, which follow. */
void redis_command_begin(struct buffer *out, uint32_t words);
void redis_command_word(struct buffer *out, strid_bytes word);
void redis_command_text(struct buffer *out, const char *word);
void redis_command_number(struct buffer *out, uint64_t word);

/* A whole command of texts, NULL at the end. */
void redis_command_put(struct buffer *out, const char *const *words);

#endif
