/* `strid topics`, `strid groups`, `strid lag`. */
#ifndef GROUPS_H
#define GROUPS_H

#include "command.h"

enum command_exit groups_topics(const struct command_call *call);
enum command_exit groups_list(const struct command_call *call);
enum command_exit groups_lag(const struct command_call *call);

#endif
