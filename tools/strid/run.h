/* `strid run`, `strid check`, `strid version`. */
#ifndef RUN_H
#define RUN_H

#include <strid/pipeline.h>

#include "command.h"

enum command_exit run_pipeline(const struct command_call *call);
enum command_exit run_check(const struct command_call *call);
enum command_exit run_version(const struct command_call *call);

/* Loads the pipeline file that is the call's first argument. NULL: it was said why, `code` is the
 * exit code. */
strid_pipeline *run_load(const struct command_call *call, enum command_exit *code);

#endif
