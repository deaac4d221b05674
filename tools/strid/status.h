/* `strid status`. */
#ifndef STATUS_H
#define STATUS_H

#include "command.h"

enum command_exit status_run(const struct command_call *call);

#endif
