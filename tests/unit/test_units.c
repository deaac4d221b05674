#include <criterion/criterion.h>

#include "base/units.h"

Test(units, durations)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},       {"100ms", 100},  {"30s", 30000},
                {"5m", 300000}, {"1h", 3600000}, {"7d", 604800000},
                {"1.5s", 1500}, {"0.001s", 1},   {"9223372036854775807ms", INT64_MAX}};
    static const char *const bad[] = {"",
                                      "5",
                                      "s",
                                      "-1s",
                                      "1 s",
                                      "1S",
                                      "1.s",
                                      ".5s",
                                      "0.5ms",
                                      "1w",
                                      "1s1s",
                                      "9223372036854775808ms",
                                      "99999999999999999999s",
                                      "1e3s",
                                      "0.0000001d"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms = -1;
        cr_assert(units_parse_duration_ms(good[i].text, &ms), "%s", good[i].text);
        cr_assert_eq(ms, good[i].ms, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = -1;
        cr_assert(!units_parse_duration_ms(bad[i], &ms) && ms == -1, "%s", bad[i]);
    }
}

Test(units, sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"512", 512},
                {"512B", 512},
                {"64KiB", 65536},
                {"1kB", 1000},
                {"1KB", 1000},
                {"1MB", 1000000},
                {"1MiB", 1048576},
                {"1.5GiB", 1610612736},
                {"2TB", UINT64_C(2000000000000)},
                {"1TiB", UINT64_C(1) << 40},
                {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {"",
                                      "B",
                                      "-1",
                                      "1k",
                                      "1 KiB",
                                      "1kib",
                                      "1.5B",
                                      "0.1",
                                      "1PiB",
                                      "16777216TiB",
                                      "18446744073709551616",
                                      "1.",
                                      "+1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t bytes = 1;
        cr_assert(units_parse_size(good[i].text, &bytes), "%s", good[i].text);
        cr_assert_eq(bytes, good[i].bytes, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t bytes = 77;
        cr_assert(!units_parse_size(bad[i], &bytes) && bytes == 77, "%s", bad[i]);
    }
}

Test(units, are_written_so_that_they_read_back)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0"},
                 {1, "1"},
                 {1000, "1000"},
                 {1024, "1KiB"},
                 {40 << 20, "40MiB"},
                 {1536 << 20, "1536MiB"},
                 {UINT64_C(1) << 46, "64TiB"},
                 {UINT64_MAX, "18446744073709551615"}};
    static const struct {
        int64_t duration_ms;
        const char *text;
    } durations[] = {{0, "0"},       {1, "1ms"},      {999, "999ms"},   {60000, "1m"},
                     {90000, "90s"}, {7200000, "2h"}, {86400000, "1d"}, {INT64_MAX, NULL}};
    char text[UNITS_TEXT_MAX];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t bytes = 7;
        units_format_size(sizes[i].bytes, text);
        cr_assert_str_eq(text, sizes[i].text);
        cr_assert(units_parse_size(text, &bytes) && bytes == sizes[i].bytes);
    }
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        int64_t duration_ms = 7;
        units_format_duration(durations[i].duration_ms, text);
        if (durations[i].text != NULL)
            cr_assert_str_eq(text, durations[i].text);
        cr_assert(units_parse_duration_ms(text, &duration_ms));
        cr_assert_eq(duration_ms, durations[i].duration_ms);
    }
}
