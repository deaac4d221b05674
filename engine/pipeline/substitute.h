/* ${NAME}, ${NAME:-default} and ${file:PATH} in a value of the pipeline file. What was put in is
 * not looked at again. @thread the owner; reads the environment */
#ifndef PIPELINE_SUBSTITUTE_H
#define PIPELINE_SUBSTITUTE_H

#include <strid/error.h>

/* The text with everything replaced, owned by the caller. STRID_ECONFIG: a form that is none of the
 * three, a variable that is not set, a file that cannot be read. */
strid_status substitute(const char *text, char **out, strid_error *err);

#endif
