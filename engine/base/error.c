#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set_message(strid_error *err, strid_status status, const char *component,
                        const char *format, va_list args)
{
    *err = (strid_error){.status = status};
    (void)snprintf(err->component, sizeof err->component, "%s", component);
    (void)vsnprintf(err->message, sizeof err->message, format, args);
}

/* Adds ": more" to the message, or as much of it as there is room for. */
static void append(strid_error *err, const char *more)
{
    const char *const parts[] = {": ", more};
    size_t used = strlen(err->message);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t len = strnlen(parts[i], sizeof err->message - 1 - used);
        memcpy(err->message + used, parts[i], len);
        used += len;
    }
    err->message[used] = '\0';
}

strid_status error_set(strid_error *err, strid_status status, const char *component,
                       const char *format, ...)
{
    if (err == NULL)
        return status;
    va_list args;
    va_start(args, format);
    set_message(err, status, component, format, args);
    va_end(args);
    return status;
}

strid_status error_set_errno(strid_error *err, int errno_value, const char *component,
                             const char *format, ...)
{
    strid_status status = errno_value == ENOSPC || errno_value == EDQUOT ? STRID_ENOSPC : STRID_EIO;
    if (err == NULL)
        return status;
    va_list args;
    va_start(args, format);
    set_message(err, status, component, format, args);
    va_end(args);
    err->native_code = errno_value;
    char text[128];
    append(err, strerror_r(errno_value, text, sizeof text));
    return status;
}

strid_status error_wrap(strid_error *err, strid_status status, const char *format, ...)
{
    if (err == NULL)
        return status;
    char before[STRID_ERROR_MESSAGE_MAX];
    memcpy(before, err->message, sizeof before);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    append(err, before);
    return err->status;
}
