/* What the command says to people, on standard error: messages, and one line at the bottom that
 * shows progress. Any thread; one lock keeps the line and the messages apart. */
#ifndef TALK_H
#define TALK_H

#include <stdbool.h>

#include <strid/pipeline.h>

enum talk_format { TALK_TEXT = 0, TALK_LOGFMT, TALK_JSON };

void talk_configure(enum talk_format format, strid_log_level level);

/* Whether standard error is a terminal that a line can be redrawn on, and messages are text. */
bool talk_is_live(void);

/* "strid: ..." (or an error in the chosen format). */
void talk_error(const char *format, ...) STRID_PRINTF(1, 2);
/* A line for people, without a level. */
void talk_say(const char *format, ...) STRID_PRINTF(1, 2);

/* A strid_log_fn; `user` is not used. */
void talk_log(void *user, strid_log_level level, const char *logger, const char *message);

/* Shows `line` at the bottom until the next call; NULL takes it away. Only where talk_is_live(). */
void talk_set_line(const char *line);

#endif
