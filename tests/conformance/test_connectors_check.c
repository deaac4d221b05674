/* What connectors say of a URL before anything is opened is what they would say then. */
#include <criterion/criterion.h>

#include "pipeline/endpoint.h"

#include "connector_case.h"

struct bad {
    const char *url, *says;
};

static strid_status check(const char *url, bool is_source, strid_error *err)
{
    struct endpoint endpoint;
    strid_status status = is_source ? endpoint_open_source(&endpoint, url, err)
                                    : endpoint_open_sink(&endpoint, url, err);
    cr_assert_eq(status, STRID_OK, "%s: %s", url, err->message);
    status = endpoint_check(&endpoint, err);
    endpoint_fini(&endpoint);
    return status;
}

static void check_bad(const struct bad *bad, bool is_source)
{
    strid_error before = STRID_ERROR_INIT, at_open = STRID_ERROR_INIT;
    struct opened_source source;
    struct opened_sink sink;
    cr_expect_eq(check(bad->url, is_source, &before), STRID_ECONFIG, "%s", bad->url);
    cr_expect_not_null(strstr(before.message, bad->says), "%s: %s", bad->url, before.message);
    cr_expect_eq(is_source ? source_open_url(&source, bad->url, &at_open)
                           : sink_open_url(&sink, bad->url, &at_open),
                 STRID_ECONFIG, "%s", bad->url);
    cr_expect_str_eq(before.message, at_open.message);
    if (is_source)
        source_close(&source);
    else
        sink_close(&sink);
}

Test(connectors_check, what_open_would_say_of_the_url_alone_is_said_before)
{
    static const struct bad sources[] = {
        {"file:", "names no file or directory"},
        {"generator:?dist=zipf:11", "zipf"},
        {"redis://h/s", "names no \"group\""},
        {"redis://h?group=g",
         "the URL names no stream: redis://[user:password@]host[:port]/STREAM"},
        {"rediss://h/?group=g", "rediss://[user:password@]host[:port]/STREAM"},
        {"redis+sentinel://h/m?group=g", "redis+sentinel://[user:password@]host[:port],.../MASTER"},
        {"redis://h:0/s?group=g", "from 1 to 65535: redis://"},
        {"kafka://h", "kafka://BROKER:PORT,.../TOPIC"},
        {"kafka://h/t?start=group", "needs a \"group\""},
        {"kafka://h/t?assign=group", "needs a \"group\""},
    };
    static const struct bad sinks[] = {
        {"file:", "the sink's URL names no file: file:PATH"},
        {"redis://h", "the URL names no stream: redis://"},
        {"redis://h/s,t", "writes to one stream"},
        {"redis://h/s?maxlen=1&keep=1s", "not by both"},
        {"kafka://h/", "kafka://BROKER:PORT,.../TOPIC"},
    };
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        check_bad(&sources[i], true);
    for (size_t i = 0; i < sizeof sinks / sizeof sinks[0]; i++)
        check_bad(&sinks[i], false);
}

/* Open asks the brokers first, which are not there. */
Test(connectors_check, a_regular_expression_is_compiled_before)
{
    strid_error err = STRID_ERROR_INIT;
    cr_assert_eq(check("kafka://h/t,^(u", true, &err), STRID_ECONFIG);
    cr_assert_not_null(strstr(err.message, "\"^(u\" is no regular expression"), "%s", err.message);
}

/* None of these servers and files is there. */
Test(connectors_check, nothing_is_opened_or_looked_at)
{
    static const char *const sources[] = {"file:nowhere/in", "generator:?records=1", "memory:in",
                                          "redis://nowhere.invalid/s,t?group=g",
                                          "kafka://nowhere.invalid:1/t,^u.*?start=earliest"};
    static const char *const sinks[] = {"file:nowhere/out", "memory:out",
                                        "redis://nowhere.invalid/s", "kafka://nowhere.invalid:1/t",
                                        "kafka://nowhere.invalid:1/{topic}-dlq"};
    strid_error err = STRID_ERROR_INIT;
    for (size_t i = 0; i < 5; i++) {
        cr_expect_eq(check(sources[i], true, &err), STRID_OK, "%s: %s", sources[i], err.message);
        cr_expect_eq(check(sinks[i], false, &err), STRID_OK, "%s: %s", sinks[i], err.message);
    }
}
