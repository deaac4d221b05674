#include "moment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"

#include "talk.h"

/* Behind a time: nothing, Z, " UTC" as `dlq show` has it, or an offset such as +02:00. */
static bool parse_zone(const char *text, int64_t *offset_s)
{
    struct tm parts = {0};
    *offset_s = 0;
    if (*text == '\0' || strcmp(text, "Z") == 0 || strcmp(text, " UTC") == 0)
        return true;
    if ((*text != '+' && *text != '-') || strlen(text) != sizeof "+00:00" - 1)
        return false;
    const char *end = strptime(text + 1, "%H:%M", &parts);
    *offset_s = (parts.tm_hour * 60 + parts.tm_min) * (*text == '-' ? -60 : 60);
    return end != NULL && *end == '\0';
}

/* YYYY-MM-DD, or with THH:MM or THH:MM:SS behind it, and perhaps a zone: else UTC. */
static bool parse_date(const char *text, int64_t *out_ms)
{
    struct tm parts = {0};
    int64_t offset_s = 0;
    const char *end = strptime(text, "%Y-%m-%d", &parts);
    if (end != NULL && (*end == 'T' || *end == ' ')) {
        end = strptime(end + 1, "%H:%M", &parts);
        const char *behind = end == NULL ? NULL : strptime(end, ":%S", &parts);
        end = behind == NULL ? end : behind;
        if (end == NULL || !parse_zone(end, &offset_s))
            return false;
    } else if (end == NULL || *end != '\0') {
        return false;
    }
    int day = parts.tm_mday;
    *out_ms = ((int64_t)timegm(&parts) - offset_s) * 1000;
    return parts.tm_mday == day; /* else the month has no such day */
}

const char *moment_text(int64_t moment_ms, char out[MOMENT_TEXT_MAX])
{
    struct tm parts;
    time_t seconds = (time_t)(moment_ms / 1000);
    size_t len = moment_ms < 0 || gmtime_r(&seconds, &parts) == NULL
                     ? 0
                     : strftime(out, MOMENT_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
    if (len == 0)
        (void)snprintf(out, MOMENT_TEXT_MAX, "%" PRId64, moment_ms);
    else
        (void)snprintf(out + len, MOMENT_TEXT_MAX - len, ".%03dZ", (int)(moment_ms % 1000));
    return out;
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
    talk_error("--%s needs a time in UTC such as 2026-11-21T14:30:00, or with an offset such as "
               "+02:00 behind it, an age such as 2h or milliseconds since 1970, not '%s'",
               flag, text);
    return false;
}
