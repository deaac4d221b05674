/* `strid state ...`: reads the state that a stopped node left. */
#ifndef STATE_H
#define STATE_H

#include "command.h"

enum command_exit state_get(const struct command_call *call);
enum command_exit state_scan(const struct command_call *call);
enum command_exit state_export(const struct command_call *call);
enum command_exit state_stats(const struct command_call *call);

#endif
