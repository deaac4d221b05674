#include "url.h"

#include <stdbool.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

#include "options.h"

static bool is_scheme_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '_';
}

static char *copy(const char *begin, const char *end)
{
    size_t len = (size_t)(end - begin);
    char *text = memory_alloc(len + 1);
    memcpy(text, begin, len);
    text[len] = '\0';
    return text;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The inverse of decode(), of what would end a name or make it another one. */
static void put_name(struct buffer *out, const char *name)
{
    for (; *name != '\0'; name++)
        if (strchr("%&=", *name) != NULL)
            buffer_printf(out, "%%%02x", (unsigned)(uint8_t)*name);
        else
            buffer_put_u8(out, (uint8_t)*name);
}

/* Decodes in place; false where a '%' is not followed by two hexadecimal digits, or is a NUL. */
static bool decode(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at != '%') {
            *to++ = *at;
            continue;
        }
        int high = hex_value(at[1]);
        int low = high < 0 ? -1 : hex_value(at[2]);
        if (low < 0 || high + low == 0)
            return false;
        *to++ = (char)(high * 16 + low);
        at += 2;
    }
    *to = '\0';
    return true;
}

static strid_status parse_parameter(const char *begin, const char *end, struct url *url,
                                    strid_error *err)
{
    const char *equals = memchr(begin, '=', (size_t)(end - begin));
    int len = (int)(end - begin);
    if (equals == NULL || equals == begin)
        return error_set(err, STRID_ECONFIG, "config",
                         "expected name=value in the URL, got \"%.*s\"", len, begin);
    if (url->parameter_count == URL_PARAMETERS_MAX)
        return error_set(err, STRID_ECONFIG, "config", "more than %d parameters in the URL",
                         URL_PARAMETERS_MAX);
    struct url_parameter *parameter = &url->parameters[url->parameter_count++];
    *parameter = (struct url_parameter){
        .name = copy(begin, equals), .value = copy(equals + 1, end), .raw = copy(equals + 1, end)};
    if (!decode(parameter->name) || !decode(parameter->value))
        return error_set(
            err, STRID_ECONFIG, "config",
            "\"%.*s\": '%%' in a URL's parameter is followed by two hexadecimal digits "
            "(%%25 for itself)",
            len, begin);
    return STRID_OK;
}

strid_status url_parse(const char *text, struct url *out, strid_error *err)
{
    *out = (struct url){.scheme = NULL};
    const char *colon = text;
    while (is_scheme_char(*colon))
        colon++;
    if (*colon != ':' || colon == text)
        return error_set(err, STRID_ECONFIG, "config",
                         "expected a URL such as file:orders.jsonl, got \"%s\"", text);
    const char *target_end = strchrnul(colon + 1, '?');
    out->scheme = copy(text, colon);
    out->target = copy(colon + 1, target_end);
    strid_status status = STRID_OK;
    for (const char *at = target_end; *at != '\0' && status == STRID_OK;) {
        const char *begin = at + 1;
        at = strchrnul(begin, '&');
        if (at > begin || at > target_end + 1)
            status = parse_parameter(begin, at, out, err);
    }
    if (status != STRID_OK)
        url_fini(out);
    return status;
}

void url_fini(struct url *url)
{
    for (uint32_t i = 0; i < url->parameter_count; i++) {
        memory_free(url->parameters[i].name);
        memory_free(url->parameters[i].value);
        memory_free(url->parameters[i].raw);
    }
    memory_free(url->scheme);
    memory_free(url->target);
    *url = (struct url){.scheme = NULL};
}

/* "//user:password@host/..." without the password. */
static void put_target(struct buffer *out, const char *target)
{
    const char *authority = strncmp(target, "//", 2) == 0 ? target + 2 : NULL;
    const char *end = authority == NULL ? NULL : strchrnul(authority, '/');
    const char *at = authority == NULL ? NULL : memrchr(authority, '@', (size_t)(end - authority));
    if (authority != NULL && at == NULL) /* a password with a '/' that should have been encoded */
        at = strrchr(authority, '@');
    const char *colon = at == NULL ? NULL : memchr(authority, ':', (size_t)(at - authority));
    if (colon == NULL) {
        buffer_put(out, target, strlen(target));
        return;
    }
    buffer_put(out, target, (size_t)(colon + 1 - target));
    buffer_put(out, "***", 3);
    buffer_put(out, at, strlen(at));
}

char *url_display(const struct url *url, const strid_option *table)
{
    struct buffer out = {0};
    buffer_printf(&out, "%s:", url->scheme);
    put_target(&out, url->target);
    for (uint32_t i = 0; i < url->parameter_count; i++) {
        const struct url_parameter *parameter = &url->parameters[i];
        const strid_option *option = options_find(table, parameter->name);
        bool secret = option != NULL && (option->flags & STRID_OPTION_SECRET) != 0;
        buffer_put_u8(&out, i == 0 ? '?' : '&');
        put_name(&out, parameter->name);
        buffer_printf(&out, "=%s", secret ? "***" : parameter->raw);
    }
    char *text = copy((const char *)out.data, (const char *)out.data + out.len);
    buffer_fini(&out);
    return text;
}
