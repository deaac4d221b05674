#include "moment.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/units.h"

#include "talk.h"

/* YYYY-MM-DD, or with THH:MM or THH:MM:SS behind it and perhaps a Z: always UTC. */
static bool parse_date(const char *text, int64_t *out_ms)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm parts = {.tm_mday = 1};
        const char *end = strptime(text, forms[i], &parts);
        if (end != NULL && i > 0 && *end == 'Z')
            end++;
        if (end != NULL && *end == '\0') {
            *out_ms = (int64_t)timegm(&parts) * 1000;
            return true;
        }
    }
    return false;
}

bool moment_parse(const char *flag, const char *text, int64_t now_ms, int64_t *out_ms)
{
    int64_t age_ms = 0;
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*text != '\0' && *end == '\0' && errno == 0 && number >= 0) {
        *out_ms = number;
        return true;
    }
    if (parse_date(text, out_ms))
        return true;
    if (units_parse_duration_ms(text, &age_ms)) {
        *out_ms = now_ms - age_ms;
        return true;
    }
    talk_error("--%s needs a time in UTC such as 2026-11-21T14:30:00, an age such as 2h or "
               "milliseconds since 1970, not '%s'",
               flag, text);
    return false;
}
