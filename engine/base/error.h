/* Filling a strid_error: error_set where a failure begins, error_wrap on its way up. Every function
 * accepts a NULL err.
 * @thread any @locks none */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <strid/error.h>

/* Sets status, component and message, clears flags and native code; returns `status`, so that a
 * caller can return it. */
strid_status error_set(strid_error *err, strid_status status, const char *component,
                       const char *format, ...) STRID_PRINTF(4, 5);

/* As error_set with native_code = errno_value and ": <strerror>" behind the message; ENOSPC becomes
 * STRID_ENOSPC. */
strid_status error_set_errno(strid_error *err, int errno_value, const char *component,
                             const char *format, ...) STRID_PRINTF(4, 5);

/* Puts "<what>: " before the message; returns err->status, or `status` where err is NULL. */
strid_status error_wrap(strid_error *err, strid_status status, const char *format, ...)
    STRID_PRINTF(3, 4);

/* Returns from the function with the status of `expression` unless it is STRID_OK. */
#define STRID_TRY(expression)                                                                      \
    do {                                                                                           \
        strid_status try_status = (expression);                                                    \
        if (try_status != STRID_OK)                                                                \
            return try_status;                                                                     \
    } while (0)

#endif
