#include "range.h"

#include <string.h>

#include "base/error.h"

/* Reads digits up to `stop`; NULL where there are none or they do not fit, else what is behind. */
static const char *parse_number(const char *at, uint64_t *value)
{
    const char *begin = at;
    *value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (__builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, digit, value))
            return NULL;
    }
    return at == begin ? NULL : at;
}

static bool parse_whole(const char *at, uint64_t *value)
{
    const char *end = parse_number(at, value);
    return end != NULL && *end == '\0';
}

bool range_parse_position(const char *text, bool pair, strid_position *position)
{
    *position = (strid_position){0};
    if (!pair)
        return parse_whole(text, &position->low);
    const char *end = parse_number(text, &position->high);
    if (end == NULL)
        return false;
    return *end == '\0' || (*end == '-' && parse_whole(end + 1, &position->low));
}

static bool parse_word(struct range *range, const char *text)
{
    static const struct {
        const char *name;
        range_start start;
    } words[] = {
        {"beginning", RANGE_START_BEGINNING},
        {"earliest", RANGE_START_BEGINNING},
        {"end", RANGE_START_END},
        {"latest", RANGE_START_END},
        {"stored", RANGE_START_STORED},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].name, text) == 0) {
            range->start = words[i].start;
            return true;
        }
    }
    return false;
}

static bool parse_time(struct range *range, const char *text)
{
    uint64_t ms = 0;
    if (!parse_whole(text + 2, &ms) || ms >= INT64_MAX)
        return false;
    if (text[0] == 'e') {
        range->end_ms = (int64_t)ms;
        return true;
    }
    range->start = RANGE_START_TIME;
    range->start_ms = (int64_t)ms;
    return true;
}

static bool parse(struct range *range, const char *text, bool pair)
{
    if ((text[0] == 's' || text[0] == 'e') && text[1] == '@')
        return parse_time(range, text);
    if (text[0] == '-') {
        range->start = RANGE_START_LAST;
        return parse_whole(text + 1, &range->count);
    }
    if (parse_word(range, text))
        return true;
    range->start = RANGE_START_POSITION;
    return range_parse_position(text, pair, &range->position);
}

void range_init(struct range *range)
{
    *range = (struct range){.start = RANGE_START_BEGINNING, .end_ms = RANGE_WITHOUT_END};
}

strid_status range_parse(struct range *range, const char *text, bool pair, strid_error *err)
{
    struct range parsed = *range;
    if (!parse(&parsed, text, pair))
        return error_set(err, STRID_EINVAL, "range",
                         "'%s' is no place to begin at; write beginning, end, stored, a position "
                         "(%s), -N for the last N, s@MS or e@MS",
                         text, pair ? "MILLISECONDS-SEQUENCE" : "a number");
    *range = parsed;
    return STRID_OK;
}
