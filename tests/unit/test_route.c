#include <criterion/criterion.h>

#include <stdio.h>

#include "runtime/route.h"

static bool matches(const char *glob, const char *text)
{
    return route_glob_matches(glob, strid_bytes_of_text(text));
}

Test(route, globs)
{
    static const struct {
        const char *glob, *text;
        bool matches;
    } cases[] = {
        {"*", "", true},
        {"*", "anything", true},
        {"", "", true},
        {"", "a", false},
        {"order", "order", true},
        {"order", "orders", false},
        {"order", "orde", false},
        {"o?der", "order", true},
        {"o?der", "oder", false},
        {"?", "", false},
        {"click.*", "click.", true},
        {"click.*", "click.buy", true},
        {"click.*", "click", false},
        {"*.buy", "click.buy", true},
        {"*.buy", "click.buy.x", false},
        {"a*b*c", "abc", true},
        {"a*b*c", "aXXbYYc", true},
        {"a*b*c", "aXXcYYb", false},
        {"*a*", "bcd", false},
        {"**", "x", true},
        {"a**", "a", true},
        {"*aab", "aaaab", true},
        {"*?", "", false},
        {"*?", "z", true},
        {"Order", "order", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(matches(cases[i].glob, cases[i].text), cases[i].matches, "%s against %s",
                     cases[i].glob, cases[i].text);
}

Test(route, star_takes_any_byte)
{
    static const uint8_t bytes[] = {'a', 0, 0xff, '*', 'z'};
    cr_assert(route_glob_matches("a*z", strid_bytes_of(bytes, sizeof bytes)));
    cr_assert(route_glob_matches("a????"
                                 "",
                                 strid_bytes_of(bytes, sizeof bytes)));
    cr_assert_not(route_glob_matches("a", strid_bytes_of(bytes, 2)), "a NUL byte is a byte");
}

/* Many stars against a long text: the matcher takes no exponential time. */
Test(route, hostile_glob_ends, .timeout = 10)
{
    static char text[20001];
    memset(text, 'a', sizeof text - 1);
    cr_assert_not(matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static strid_outcome nothing(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx;
    (void)record;
    (void)user;
    return STRID_DONE;
}

static struct definition *definition_of(const char *const *globs)
{
    strid_error err = STRID_ERROR_INIT;
    struct definition *definition = definition_create("routes", &err);
    for (; *globs != NULL; globs++)
        cr_assert_eq(definition_add_route(definition, *globs, *globs, nothing, NULL, NULL, &err),
                     STRID_OK);
    return definition;
}

Test(route, handlers_in_the_order_of_registration)
{
    static const char *const globs[] = {"order", "*", "o*", "never", NULL};
    struct definition *definition = definition_of(globs);
    struct route_table table;
    route_table_init(&table, definition);
    struct route *order = route_find(&table, strid_bytes_of_text("order"));
    cr_assert_eq(order->handler_count, 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(order->handlers[i], i);
    struct route *other = route_find(&table, strid_bytes_of_text("x"));
    cr_assert(other->handler_count == 1 && other->handlers[0] == 1);
    cr_assert_eq(route_find(&table, strid_bytes_of_text("order")), order);
    struct route *none = route_find(&table, strid_bytes_of(NULL, 0));
    cr_assert_eq(none->handler_count, 1, "no type is the empty type");
    cr_assert_eq(route_find(&table, strid_bytes_of("", 0)), none);
    route_table_fini(&table);
    definition_destroy(definition);
}

Test(route, unwanted_type_has_no_handlers)
{
    static const char *const globs[] = {"order", NULL};
    struct definition *definition = definition_of(globs);
    struct route_table table;
    route_table_init(&table, definition);
    cr_assert_eq(route_find(&table, strid_bytes_of_text("other"))->handler_count, 0);
    route_table_fini(&table);
    definition_destroy(definition);
}

Test(route, stays_valid_until_trimmed_however_many_types_come)
{
    static const char *const globs[] = {"*7", NULL};
    struct definition *definition = definition_of(globs);
    struct route_table table;
    char type[32];
    route_table_init(&table, definition);
    for (int chunk = 0; chunk < 40; chunk++) {
        struct route *found[256];
        route_table_trim(&table);
        for (int i = 0; i < 256; i++) {
            (void)snprintf(type, sizeof type, "type-%d", chunk * 256 + i);
            found[i] = route_find(&table, strid_bytes_of_text(type));
        }
        for (int i = 0; i < 256; i++) {
            (void)snprintf(type, sizeof type, "type-%d", chunk * 256 + i);
            cr_assert(strid_bytes_equal(strid_bytes_of(found[i]->type, found[i]->type_len),
                                        strid_bytes_of_text(type)));
            cr_assert_eq(found[i]->handler_count, (chunk * 256 + i) % 10 == 7);
        }
    }
    route_table_fini(&table);
    definition_destroy(definition);
}

Test(route, remembers_each_store_once_up_to_a_limit)
{
    struct route route = {0};
    for (int i = 0; i < 3 * ROUTE_STORES_MAX; i++)
        route_uses_store(&route, (uint8_t)(1 + i / 2));
    cr_assert_eq(route.store_count, ROUTE_STORES_MAX);
    for (uint32_t i = 0; i < route.store_count; i++)
        cr_assert_eq(route.stores[i], i + 1);
}
