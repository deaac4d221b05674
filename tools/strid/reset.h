/* `strid reset`. */
#ifndef RESET_H
#define RESET_H

#include "command.h"

enum command_exit reset_run(const struct command_call *call);

#endif
