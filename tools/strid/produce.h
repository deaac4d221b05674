/* `strid produce`. */
#ifndef PRODUCE_H
#define PRODUCE_H

#include "command.h"

enum command_exit produce_run(const struct command_call *call);

#endif
