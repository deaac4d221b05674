#include "outline.h"

#include <string.h>

#define KEY "key"
#define ON "on "

enum { SHOWN_MAX = 400 };

void outline_write(const struct definition *definition, struct buffer *out)
{
    const char *key = definition->decode.key;
    buffer_printf(out, key == NULL ? KEY "\n" : KEY " %s\n", key);
    for (uint32_t i = 0; i < definition->route_count; i++)
        buffer_printf(out, ON "%s: %s\n", definition->routes[i].type_glob,
                      definition->routes[i].name);
    buffer_put_u8(out, '\0');
}

static strid_bytes next_line(const char **at)
{
    size_t len = strcspn(*at, "\n");
    strid_bytes line = strid_bytes_of(*at, len);
    *at += len + ((*at)[len] != '\0');
    return line;
}

static bool begins(strid_bytes line, const char *with)
{
    size_t len = strlen(with);
    return line.len >= len && memcmp(line.data, with, len) == 0;
}

static bool has_line(const char *outline, strid_bytes wanted)
{
    while (*outline != '\0')
        if (strid_bytes_equal(next_line(&outline), wanted))
            return true;
    return false;
}

/* Handlers that `in` has and `beside` has not, with commas between them. */
static void list_missing(const char *in, const char *beside, struct buffer *out)
{
    while (*in != '\0') {
        strid_bytes line = next_line(&in);
        if (!begins(line, ON) || has_line(beside, line))
            continue;
        size_t on = strlen(ON);
        buffer_printf(out, "%s\"%.*s\"", out->len == 0 ? "" : ", ", (int)(line.len - on),
                      (const char *)line.data + on);
    }
    buffer_put_u8(out, '\0');
}

/* What a line of the key says, for people; ends in a 0 byte. */
static void describe_key(strid_bytes line, struct buffer *out)
{
    size_t skip = strlen(KEY " ");
    if (line.len <= skip)
        buffer_printf(out, "what the source gives");
    else
        buffer_printf(out, "field \"%.*s\"", (int)(line.len - skip),
                      (const char *)line.data + skip);
    buffer_put_u8(out, '\0');
}

bool outline_has_other_key(const char *before, const char *now)
{
    return !strid_bytes_equal(next_line(&before), next_line(&now));
}

void outline_put_key(const char *outline, struct buffer *out)
{
    describe_key(next_line(&outline), out);
}

static void tell_key(const struct log *log, const char *state, strid_bytes before, strid_bytes now)
{
    struct buffer old = {0}, new = {0};
    describe_key(before, &old);
    describe_key(now, &new);
    log_warn(log, "state",
             "%s: a record's key is %.*s now and was %.*s in the last run: what is kept under the "
             "old keys stays there. If that is not meant, stop, and put \"key\" back or name a new "
             "state directory",
             state, SHOWN_MAX, (const char *)new.data, SHOWN_MAX, (const char *)old.data);
    buffer_fini(&old);
    buffer_fini(&new);
}

static void tell_handlers(const struct log *log, const char *state, const char *before,
                          const char *now)
{
    struct buffer gone = {0}, new = {0};
    list_missing(before, now, &gone);
    list_missing(now, before, &new);
    if (gone.len > 1 || new.len > 1)
        log_info(
            log, "state",
            "%s: the handlers are others than in the last run (new: %.*s; gone: %.*s); what was "
            "read before is not handled again",
            state, SHOWN_MAX, new.len > 1 ? (const char *)new.data : "none", SHOWN_MAX,
            gone.len > 1 ? (const char *)gone.data : "none");
    buffer_fini(&gone);
    buffer_fini(&new);
}

void outline_tell(const struct log *log, const char *state, const char *before, const char *now)
{
    const char *rest_before = before, *rest_now = now;
    strid_bytes key_before = next_line(&rest_before), key_now = next_line(&rest_now);
    if (!strid_bytes_equal(key_before, key_now))
        tell_key(log, state, key_before, key_now);
    tell_handlers(log, state, rest_before, rest_now);
}
