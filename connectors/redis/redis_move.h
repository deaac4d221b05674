/* The move of a dead letter: added to its queue, and its entry acknowledged in its group, in one
 * step of the server, so that a crash leaves neither or both, and a repeat adds nothing. Where the
 * entry is no longer pending it is settled already, by this move or by another consumer, and where
 * it is pending for another consumer that one has it: nothing is added. Where nobody can say so,
 * since entry or group are gone, or the group was made again since it gave the entry
 * (redis_mark.h), the letter is added. Whose entries are this node's the letter says
 * (`fingerprint` is the consumer's name; empty: anybody's are). @thread any */
#ifndef REDIS_MOVE_H
#define REDIS_MOVE_H

#include <strid/sink.h>

#include "base/buffer.h"

/* A command of so many words of XADD behind the stream's name may be one. Else the letter is added
 * and its entry acknowledged later. */
bool redis_move_has_room(uint32_t words);

/* What the answer is where nothing was added; else it is a text, the letter's ID. */
enum { REDIS_MOVE_SETTLED = 0, REDIS_MOVE_OTHERS = 1 };

/* Puts the beginning of the command; these words follow. */
void redis_move_begin(struct buffer *out, const char *queue, const char *group,
                      const strid_dead_letter *letter, uint32_t words);

#endif
