/* `strid run`, `strid check`, `strid version`. */
#ifndef RUN_H
#define RUN_H

#include <strid/pipeline.h>

#include "command.h"

enum command_exit run_pipeline(const struct command_call *call);
enum command_exit run_check(const struct command_call *call);
enum command_exit run_version(const struct command_call *call);

/* What is given as URL|FILE begins with a scheme; a file of such a name is "./NAME". */
bool run_is_url(const char *what);
/* Loads the pipeline file that is the call's first argument. NULL: it was said why, `code` is the
 * exit code. */
strid_pipeline *run_load(const struct command_call *call, enum command_exit *code);

#endif
