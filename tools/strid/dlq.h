/* `strid dlq ...`: the dead letters of a pipeline. */
#ifndef DLQ_H
#define DLQ_H

#include "command.h"

enum command_exit dlq_list(const struct command_call *call);
enum command_exit dlq_show(const struct command_call *call);
enum command_exit dlq_replay(const struct command_call *call);
enum command_exit dlq_purge(const struct command_call *call);

#endif
