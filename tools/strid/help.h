/* Help made from the table of commands: for the terminal, docs/cli.md and the manual page. */
#ifndef HELP_H
#define HELP_H

#include "command.h"

enum help_format { HELP_TEXT = 0, HELP_MARKDOWN, HELP_MAN };

enum command_exit help_run(const struct command_call *call);
void help_overview(void);
void help_command(const struct command *command);

#endif
