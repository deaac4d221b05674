#include "substitute.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

enum { FILE_BYTES_MAX = 64 * 1024, NAME_MAX_BYTES = 256 };

static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return len > 0 && len < NAME_MAX_BYTES;
}

static strid_status put_file(struct buffer *out, const char *path, strid_error *err)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return error_set(err, STRID_ECONFIG, "config", "${file:%s} cannot be read: %s", path,
                         strerror(errno));
    uint8_t *to = buffer_reserve(out, FILE_BYTES_MAX + 1);
    size_t len = fread(to, 1, FILE_BYTES_MAX + 1, file);
    bool failed = ferror(file) != 0;
    int why = errno;
    (void)fclose(file);
    if (failed)
        return error_set(err, STRID_ECONFIG, "config", "${file:%s} cannot be read: %s", path,
                         strerror(why));
    if (len > FILE_BYTES_MAX || memchr(to, '\0', len) != NULL)
        return error_set(err, STRID_ECONFIG, "config",
                         "${file:%s} is not a text of at most %d bytes", path, FILE_BYTES_MAX);
    if (len > 0 && to[len - 1] == '\n')
        len--;
    out->len += len;
    return STRID_OK;
}

static strid_status put_variable(struct buffer *out, char *name, strid_error *err)
{
    char *fallback = strstr(name, ":-");
    if (fallback != NULL) {
        *fallback = '\0';
        fallback += 2;
    }
    if (!is_name(name, strlen(name)))
        return error_set(err, STRID_ECONFIG, "config",
                         "\"${%s}\": expected ${NAME}, ${NAME:-default} or ${file:PATH}", name);
    const char *value = getenv(name);
    if (fallback != NULL && (value == NULL || *value == '\0'))
        value = fallback;
    if (value == NULL)
        return error_set(err, STRID_ECONFIG, "config",
                         "the environment variable %s is not set; set it or write ${%s:-default}",
                         name, name);
    buffer_put(out, value, strlen(value));
    return STRID_OK;
}

static strid_status put_form(struct buffer *out, const char *begin, size_t len, strid_error *err)
{
    char *form = memory_alloc(len + 1);
    memcpy(form, begin, len);
    form[len] = '\0';
    bool from_file = strncmp(form, "file:", 5) == 0 && len > 5;
    strid_status status = STRID_OK;
    if (strstr(form, "${") != NULL) /* its own "}" would have ended the outer one */
        status = error_set(err, STRID_ECONFIG, "config",
                           "\"${%s}\": a \"${\" within another is not supported", form);
    else
        status = from_file ? put_file(out, form + 5, err) : put_variable(out, form, err);
    memory_free(form);
    return status;
}

strid_status substitute(const char *text, char **out, strid_error *err)
{
    struct buffer result = {0};
    strid_status status = STRID_OK;
    for (const char *at = text; *at != '\0' && status == STRID_OK;) {
        const char *begin = strstr(at, "${");
        const char *end = begin == NULL ? NULL : strchr(begin, '}');
        buffer_put(&result, at, begin == NULL ? strlen(at) : (size_t)(begin - at));
        if (begin == NULL)
            break;
        if (end == NULL)
            status = error_set(err, STRID_ECONFIG, "config", "\"%s\": \"${\" without \"}\"", begin);
        else
            status = put_form(&result, begin + 2, (size_t)(end - begin - 2), err);
        at = end == NULL ? at : end + 1;
    }
    buffer_put_u8(&result, '\0');
    *out = NULL;
    if (status == STRID_OK)
        *out = memory_copy_text((const char *)result.data);
    buffer_fini(&result);
    return status;
}
