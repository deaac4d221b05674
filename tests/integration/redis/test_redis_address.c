#include <criterion/criterion.h>

#include "connectors/redis/redis_address.h"

#include <stdio.h>
#include <string.h>

#include "support/support.h"

static struct redis_server_config config;
static struct redis_address address;
static strid_error err = STRID_ERROR_INIT;

static void expect(const char *host, const char *port, const char *user, const char *password,
                   const char *stream)
{
    cr_assert_str_eq(address.host, host);
    cr_assert_str_eq(address.port, port);
    cr_assert_str_eq(address.user == NULL ? "none" : address.user, user);
    cr_assert_str_eq(address.password == NULL ? "none" : address.password, password);
    cr_assert_str_eq(address.stream, stream);
    redis_address_fini(&address);
    redis_address_fini(&address);
}

static void parse(const char *target)
{
    STRID_CHECK_OK(redis_address_parse(&address, "redis", target, &config, &err), err);
}

Test(redis_address, parts_are_found_and_decoded)
{
    parse("//h:7000/s");
    expect("h", "7000", "none", "none", "s");
    parse("///a/b");
    expect("127.0.0.1", "6379", "none", "none", "a/b");
    parse("//me:p%40ss:%2f@h/s%20t");
    expect("h", "6379", "me", "p@ss:/", "s t");
    parse("//:p@[::1]:1/s");
    expect("::1", "1", "none", "p", "s");
    parse("//[fe80::2]/s");
    expect("fe80::2", "6379", "none", "none", "s");
}

Test(redis_address, options_stand_in_for_what_the_url_leaves_out)
{
    config = (struct redis_server_config){.user = "u", .password = "w"};
    parse("//h/s");
    expect("h", "6379", "u", "w", "s");
    parse("//v:x@h/s");
    expect("h", "6379", "v", "x", "s");
}

Test(redis_address, bad_ones_are_refused_without_their_secrets)
{
    static const struct {
        const char *target, *says;
    } cases[] = {
        {"h/s", "begins with redis://"},
        {"//u:canary@h", "names no stream"},
        {"//u:canary@h/", "names no stream"},
        {"//u:canary@h:0/s", "port from 1 to 65535"},
        {"//u:canary@h:65536/s", "port from 1 to 65535"},
        {"//u:canary@h:1x/s", "port from 1 to 65535"},
        {"//u:canary@h:/s", "port from 1 to 65535"},
        {"//u:canary@[::1/s", "not closed"},
        {"//u:canary@[::1]1/s", "port from 1 to 65535"},
        {"//u:canary%zz@h/s", "the URL's password"},
        {"//u%0:canary@h/s", "the URL's user"},
        {"//u:canary@h/s%00", "the URL's stream"},
        {"//u:canary@h/s,t,%73", "stream \"s\" twice"},
        {"//u@h/s", "no password"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(redis_address_parse(&address, "redis", cases[i].target, &config, &err),
                     STRID_ECONFIG, "%s", cases[i].target);
        cr_assert(strstr(err.message, cases[i].says) != NULL, "%s: %s", cases[i].target,
                  err.message);
        cr_assert(strstr(err.message, "canary") == NULL, "%s", err.message);
        cr_assert_null(address.host);
    }
}

Test(redis_address, what_does_not_go_together_is_refused)
{
    config = (struct redis_server_config){.socket = "/s"};
    cr_assert_eq(redis_address_parse(&address, "rediss", "//h/s", &config, &err), STRID_ECONFIG);
    cr_assert(strstr(err.message, "has no TLS") != NULL, "%s", err.message);
    config = (struct redis_server_config){.cert = "c"};
    cr_assert_eq(redis_address_parse(&address, "rediss", "//h/s", &config, &err), STRID_ECONFIG);
    cr_assert(strstr(err.message, "\"cert\" and \"key\"") != NULL, "%s", err.message);
}

Test(redis_address, what_is_shown_holds_no_login)
{
    STRID_CHECK_OK(redis_address_parse(&address, "rediss", "//me:canary@h/s", &config, &err), err);
    cr_assert_str_eq(address.shown, "rediss://h:6379");
    redis_address_fini(&address);
}

static void parse_sentinels(const char *target)
{
    STRID_CHECK_OK(redis_address_parse(&address, "redis+sentinel", target, &config, &err), err);
}

Test(redis_address, sentinels_and_their_master_are_found)
{
    config = (struct redis_server_config){.sentinel_user = "watch", .sentinel_password = "canary"};
    parse_sentinels("//me:p%40ss@a:7,b,[::1]:9/the%2Fmaster/s,t%2Cu");
    cr_assert_eq(address.sentinel_count, 3u);
    cr_assert_str_eq(address.sentinels[0].host, "a");
    cr_assert_str_eq(address.sentinels[0].port, "7");
    cr_assert_str_eq(address.sentinels[1].host, "b");
    cr_assert_str_eq(address.sentinels[1].port, "26379");
    cr_assert_str_eq(address.sentinels[2].host, "::1");
    cr_assert_str_eq(address.sentinels[2].user, "watch");
    cr_assert_str_eq(address.sentinels[2].password, "canary");
    cr_assert_str_eq(address.master, "the/master");
    cr_assert_str_eq(address.user, "me");
    cr_assert_str_eq(address.password, "p@ss");
    cr_assert_eq(address.stream_count, 2u);
    cr_assert_str_eq(address.streams[1], "t,u");
    cr_assert_null(address.host);
    cr_assert_str_eq(address.shown, "redis+sentinel://a:7,b:26379,::1:9/the/master");
    redis_address_fini(&address);
}

/* A state directory knows the source again though sentinels come and go. */
Test(redis_address, identity_is_of_the_master_and_not_of_the_sentinels)
{
    char first[64];
    parse_sentinels("//a,b/main/s");
    (void)snprintf(first, sizeof first, "%s", address.identity);
    redis_address_fini(&address);
    parse_sentinels("//c:1/main/s");
    cr_assert_str_eq(address.identity, first);
    redis_address_fini(&address);
    parse_sentinels("//c:1/other/s");
    cr_assert_str_neq(address.identity, first);
    redis_address_fini(&address);
    parse("//h:7000/s");
    cr_assert_str_eq(address.identity, "redis://h:7000");
    redis_address_fini(&address);
}

Test(redis_address, bad_sentinels_are_refused_without_their_secrets)
{
    static const struct {
        const char *target, *says;
    } cases[] = {
        {"//u:canary@h/s", "a master and a stream"},  {"//u:canary@h//s", "a master and a stream"},
        {"//u:canary@h/m/", "a master and a stream"}, {"//u:canary@h:1,h:0/m/s", "from 1 to 65535"},
        {"//u:canary@h/m%zz/s", "the URL's master"},  {"//u:canary@h", "names no stream"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(
            redis_address_parse(&address, "redis+sentinel", cases[i].target, &config, &err),
            STRID_ECONFIG, "%s", cases[i].target);
        cr_assert(strstr(err.message, cases[i].says) != NULL, "%s: %s", cases[i].target,
                  err.message);
        cr_assert(strstr(err.message, "canary") == NULL, "%s", err.message);
        cr_assert_null(address.master);
        cr_assert_null(address.sentinels);
    }
    config = (struct redis_server_config){.socket = "/s"};
    cr_assert_eq(redis_address_parse(&address, "redis+sentinel", "//h/m/s", &config, &err),
                 STRID_ECONFIG);
    cr_assert(strstr(err.message, "\"socket\"") != NULL, "%s", err.message);
    config = (struct redis_server_config){.sentinel_password = "canary"};
    cr_assert_eq(redis_address_parse(&address, "redis", "//h/s", &config, &err), STRID_ECONFIG);
    cr_assert(strstr(err.message, "redis+sentinel:") != NULL, "%s", err.message);
    config = (struct redis_server_config){.sentinel_user = "u"};
    cr_assert_eq(redis_address_parse(&address, "redis+sentinel", "//h/m/s", &config, &err),
                 STRID_ECONFIG);
    cr_assert(strstr(err.message, "sentinel_password") != NULL, "%s", err.message);
}
