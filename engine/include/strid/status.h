/* Status codes: 0 is success, positive values are no failure, negative values are errors. */
#ifndef STRID_STATUS_H
#define STRID_STATUS_H

#include <strid/export.h>

/* NAME, value, text */
#define STRID_STATUS_MAP(X)                                                                        \
    X(OK, 0, "ok")                                                                                 \
    X(AGAIN, 1, "nothing can be done right now, call again later")                                 \
    X(EOF, 2, "the source has ended")                                                              \
    X(EINVAL, -1, "wrong argument or wrong order of calls")                                        \
    X(ENOMEM, -2, "out of memory")                                                                 \
    X(EIO, -3, "input or output failed")                                                           \
    X(ENOSPC, -4, "no space left on the device")                                                   \
    X(ECONFIG, -5, "bad configuration")                                                            \
    X(ENOTFOUND, -6, "not found")                                                                  \
    X(EEXIST, -7, "already exists")                                                                \
    X(EBUSY, -8, "held by another process")                                                        \
    X(ECORRUPT, -9, "stored data is damaged")                                                      \
    X(EGAP, -10, "the source no longer holds, or changed, what the state stands on")               \
    X(ESTATE, -11, "the state directory does not belong to this pipeline")                         \
    X(EVERSION, -12, "made by an incompatible version")                                            \
    X(EUNREACHABLE, -13, "could not be reached")                                                   \
    X(ESTALE, -14, "came too late")                                                                \
    X(ELIMIT, -15, "a configured limit was exceeded")                                              \
    X(EUNSUPPORTED, -16, "not supported here")                                                     \
    X(ECANCELLED, -17, "stopped before it was finished")                                           \
    X(ESTORE, -18, "the state store failed and has to be opened again")                            \
    X(EINTERNAL, -19, "a defect of the program itself")

typedef enum strid_status {
#define STRID_STATUS_ENUM(name, value, text) STRID_##name = value,
    STRID_STATUS_MAP(STRID_STATUS_ENUM)
#undef STRID_STATUS_ENUM
} strid_status;

STRID_BEGIN_DECLS

/**
 * @brief Name of a status, such as "STRID_ENOMEM".
 * @return A string that lives as long as the library; "STRID_UNKNOWN" for a number that is no
 * status. Thread safety: any thread.
 */
STRID_API const char *strid_status_name(strid_status status);

/**
 * @brief What a status means, in a few words.
 * @return A string that lives as long as the library; "unknown status" for a number that is no
 * status. Thread safety: any thread.
 */
STRID_API const char *strid_status_text(strid_status status);

STRID_END_DECLS

#endif
