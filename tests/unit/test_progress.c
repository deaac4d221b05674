#include "tools/strid/progress.h"

#include <criterion/criterion.h>

#include <string.h>

static struct progress_rates rates;
static char line[400];

static const char *line_of(unsigned columns, const char *title, strid_pipeline_stats stats)
{
    progress_line(line, sizeof line, columns, title, &stats, &rates);
    return line;
}

static strid_pipeline_stats half(uint64_t elapsed_ms)
{
    return (strid_pipeline_stats){.records = 1000 * elapsed_ms,
                                  .bytes_read = 100000 * elapsed_ms,
                                  .bytes_total = 200000 * elapsed_ms,
                                  .elapsed_ms = elapsed_ms};
}

static void forget(void) { rates = (struct progress_rates){0}; }

TestSuite(progress, .init = forget);

Test(progress, shows_share_records_rate_and_eta)
{
    cr_assert_str_eq(line_of(100, "a.yaml", half(2000)),
                     "a.yaml  [####################....................]  50%  2,000,000 records  "
                     "1.0M/s  ETA 00:02");
}

Test(progress, fits_the_terminal_whatever_its_width)
{
    for (unsigned columns = 1; columns < 200; columns++) {
        forget();
        line_of(columns, "a/long/path/to/a/pipeline.yaml", half(2000));
        cr_assert_leq(strlen(line), columns, "%zu columns of %u", strlen(line), columns);
    }
}

Test(progress, drops_the_title_before_the_bar_before_the_figures)
{
    cr_assert_not_null(strstr(line_of(120, "title.yaml", half(2000)), "title.yaml  ["));
    forget();
    line_of(64, "title.yaml", half(2000));
    cr_assert_null(strstr(line, "title"));
    cr_assert_not_null(strstr(line, "] "));
    forget();
    cr_assert_str_eq(line_of(50, "title.yaml", half(2000)), "2,000,000 records  1.0M/s  ETA 00:02");
}

Test(progress, has_no_bar_and_no_eta_where_the_end_is_unknown)
{
    strid_pipeline_stats stats = half(1000);
    stats.bytes_total = UINT64_MAX;
    cr_assert_str_eq(line_of(100, "a.yaml", stats), "a.yaml  1,000,000 records  1.0M/s");
}

Test(progress, survives_a_source_that_holds_less_than_was_read)
{
    strid_pipeline_stats stats = half(1000);
    stats.bytes_total = stats.bytes_read - 1;
    cr_assert_null(strstr(line_of(100, "a.yaml", stats), "ETA"));
    stats.bytes_total = 0;
    cr_assert_null(strstr(line_of(100, "a.yaml", stats), "ETA"));
}

Test(progress, has_no_eta_while_nothing_moves)
{
    strid_pipeline_stats stats = {.bytes_total = 1000, .elapsed_ms = 100};
    cr_assert_not_null(strstr(line_of(100, "a.yaml", stats), "0 records  0/s  ETA --:--"));
}

Test(progress, shows_hours)
{
    strid_pipeline_stats stats = {
        .records = 10, .bytes_read = 1000, .bytes_total = 5401000, .elapsed_ms = 1000};
    cr_assert_not_null(strstr(line_of(100, "a", stats), "10/s  ETA 1:30:00"));
}

Test(progress, smooths_the_rate)
{
    line_of(100, "a", half(1000));
    strid_pipeline_stats faster = half(2000);
    faster.records = 1000000 + 3000000; /* three million in the second second */
    cr_assert_not_null(strstr(line_of(100, "a", faster), "1.6M/s"));
}

Test(progress, counts_dead_letters)
{
    strid_pipeline_stats stats = half(1000);
    stats.dead_lettered = 12345;
    cr_assert_not_null(strstr(line_of(120, "a", stats), "  12345 dead-lettered"));
}
