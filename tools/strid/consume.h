/* `strid consume` and `strid tap`. */
#ifndef CONSUME_H
#define CONSUME_H

#include "command.h"

enum command_exit consume_run(const struct command_call *call);
enum command_exit consume_tap(const struct command_call *call);

#endif
