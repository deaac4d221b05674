/* A failure described for people: what happened, where, and what to do. Owned by the caller, filled
 * by the library. */
#ifndef STRID_ERROR_H
#define STRID_ERROR_H

#include <stdint.h>

#include <strid/status.h>

#define STRID_ERROR_RETRIABLE 1u /* the same call may succeed later */
#define STRID_ERROR_FATAL 2u     /* the object has to be destroyed */

#define STRID_ERROR_COMPONENT_MAX 32
#define STRID_ERROR_MESSAGE_MAX 512

typedef struct strid_error {
    strid_status status;
    uint32_t flags;      /* STRID_ERROR_* */
    int64_t native_code; /* errno or the code of the library that failed; 0: none */
    char component[STRID_ERROR_COMPONENT_MAX];
    char message[STRID_ERROR_MESSAGE_MAX]; /* one line, without a trailing newline */
} strid_error;

#define STRID_ERROR_INIT                                                                           \
    {                                                                                              \
        STRID_OK, 0, 0, {0}, { 0 }                                                                 \
    }

#endif
