#include "redis_case.h"

#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redis_case redis_case;

static void take_line(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    redis_case.has_told_password |= strstr(message, "canary") != NULL; /* at any level */
    if (level == STRID_LOG_WARN || level == STRID_LOG_ERROR)
        buffer_printf(&redis_case.logged, "%s: %s\n", logger, message);
}

bool redis_case_is(const char *kind)
{
    const char *wanted = getenv("STRID_REDIS_KIND");
    return wanted != NULL && strcmp(wanted, kind) == 0;
}

static void choose_kind(struct redis_server_options *options)
{
    static const char *const user[] = {"--user",
                                       "strid",
                                       "on",
                                       ">canary-1",
                                       "~*",
                                       "+xreadgroup",
                                       "+xack",
                                       "+xautoclaim",
                                       "+xpending",
                                       "+xclaim",
                                       "+xgroup|create",
                                       "+xgroup|createconsumer",
                                       "+xinfo|stream",
                                       "+xinfo|consumers",
                                       "+client|setname",
                                       "+xrange",
                                       "(~*-dlq +xadd)",
                                       "(~* +eval)",
                                       NULL};
    if (redis_case_is("tls_everysec"))
        options->append = REDIS_SERVER_APPEND_EVERYSEC;
    if (redis_case_is("acl_always")) {
        options->append = REDIS_SERVER_APPEND_ALWAYS;
        options->args = user;
    }
    options->has_tls = options->has_tls || redis_case_is("tls_everysec");
}

static void make_base(void)
{
    const bool has_tls = redis_case.server.tls_port != 0;
    (void)snprintf(redis_case.base, sizeof redis_case.base, "%s:%u/",
                   has_tls                       ? "rediss://localhost"
                   : redis_case_is("acl_always") ? "redis://strid:canary-1@127.0.0.1"
                                                 : "redis://127.0.0.1",
                   (unsigned)fault_proxy_port(redis_case.proxy));
    if (has_tls)
        (void)snprintf(redis_case.options, sizeof redis_case.options, "ca=%s",
                       redis_case.server.cert);
}

void redis_case_start(const struct redis_server_options *options)
{
    struct redis_server_options kind = *options;
    redis_case = (struct redis_case){.err = STRID_ERROR_INIT};
    for (int i = 0; i < REDIS_CASE_SOURCES; i++)
        redis_case.intakes[i].is_unordered = true;
    log_init(&redis_case.log, take_line, NULL);
    choose_kind(&kind);
    redis_server_start(&redis_case.server, &kind);
    redis_case.proxy =
        fault_proxy_start(kind.has_tls ? redis_case.server.tls_port : redis_case.server.port);
    make_base();
}

void redis_case_stop(void)
{
    cr_assert_not(redis_case.has_told_password);
    cr_assert_null(strstr(redis_case.err.message, "canary"));
    for (int i = 0; i < REDIS_CASE_SOURCES; i++) {
        source_close(&redis_case.sources[i]);
        intake_fini(&redis_case.intakes[i]);
    }
    fault_proxy_stop(redis_case.proxy);
    redis_server_remove(&redis_case.server);
    buffer_fini(&redis_case.logged);
    log_fini(&redis_case.log);
}

strid_status redis_case_try_open(int index, const char *rest)
{
    char url[SUPPORT_PATH_MAX + 512];
    const bool has_options = redis_case.options[0] != '\0';
    (void)snprintf(url, sizeof url, "%s%s%s%s", redis_case.base, rest,
                   !has_options                ? ""
                   : strchr(rest, '?') == NULL ? "?"
                                               : "&",
                   redis_case.options);
    return source_open_logged(&redis_case.sources[index], url, &redis_case.log,
                              redis_case.memory_bytes, &redis_case.err);
}

void redis_case_assign(int index, const strid_position *position)
{
    STRID_CHECK_OK(source_assign_at(&redis_case.sources[index], 0, position,
                                    strid_bytes_of(NULL, 0), &redis_case.err),
                   redis_case.err);
}

void redis_case_open(int index, const char *rest)
{
    STRID_CHECK_OK(redis_case_try_open(index, rest), redis_case.err);
    redis_case_assign(index, NULL);
}

const char *redis_case_ask(const char *const *words)
{
    static struct buffer reply;
    buffer_clear(&reply);
    cr_assert(redis_server_ask(&redis_case.server, &reply, words));
    buffer_put_u8(&reply, 0);
    return (const char *)reply.data;
}

void redis_case_add(const char *stream, int first, int count)
{
    char id[24], value[24];
    for (int i = first; i < first + count; i++) {
        (void)snprintf(id, sizeof id, "5-%d", i + 1);
        (void)snprintf(value, sizeof value, "v%d", i);
        (void)ASK("XADD", stream, id, "k", "key", "value", value);
    }
}

void redis_case_poll(int index)
{
    struct opened_source *source = &redis_case.sources[index];
    redis_case.intakes[index].passed = (strid_position){0, 0};
    strid_status status =
        source->ops->poll(source->self, 0, &redis_case.intakes[index], 512, &redis_case.err);
    cr_assert_geq(status, 0, "%s", redis_case.err.message);
}

struct wanted {
    int index;
    size_t count;
    const char *text;
};

static bool has_taken(void *user)
{
    struct wanted *wanted = user;
    redis_case_poll(wanted->index);
    return redis_case.intakes[wanted->index].count >= wanted->count;
}

void redis_case_poll_until(int index, size_t count)
{
    struct wanted wanted = {.index = index, .count = count};
    const struct strid_intake *intake = &redis_case.intakes[index];
    cr_assert(support_wait(has_taken, &wanted, REDIS_CASE_DEADLINE_MS), "%zu of %zu", intake->count,
              count);
    cr_assert_null(intake->violation, "%s", intake->violation);
}

size_t redis_case_missing(int index, size_t count)
{
    const struct strid_intake *intake = &redis_case.intakes[index];
    bool *seen = memory_alloc_zeroed(count);
    size_t missing = 0;
    for (size_t i = 0; i < intake->count; i++) {
        int number = -1;
        strid_bytes value = intake_value(intake, i);
        char text[64] = "";
        memcpy(text, value.data, value.len < sizeof text ? value.len : sizeof text - 1);
        cr_assert_eq(sscanf(text, "v%d", &number), 1, "%s", text);
        cr_assert(number >= 0 && (size_t)number < count);
        seen[number] = true;
    }
    while (missing < count && seen[missing])
        missing++;
    memory_free(seen);
    return missing;
}

static bool has_all(void *user)
{
    struct wanted *wanted = user;
    redis_case_poll(wanted->index);
    return redis_case_missing(wanted->index, wanted->count) == wanted->count;
}

void redis_case_poll_all(int index, size_t count)
{
    struct wanted wanted = {.index = index, .count = count};
    cr_assert(support_wait(has_all, &wanted, REDIS_CASE_DEADLINE_MS), "v%zu is missing: %.*s",
              redis_case_missing(index, count), (int)redis_case.logged.len,
              (const char *)redis_case.logged.data);
}

void redis_case_ack(int index, size_t first)
{
    struct opened_source *source = &redis_case.sources[index];
    const struct strid_intake *intake = &redis_case.intakes[index];
    for (size_t i = first; i < intake->count; i++)
        source->ops->ack_many(source->self, 0, &intake->records[i].position, 1);
}

static strid_status pump(int index)
{
    struct opened_source *source = &redis_case.sources[index];
    strid_status status = source->ops->pump(source->self, 0, true, &redis_case.err);
    cr_assert_geq(status, 0, "%s", redis_case.err.message);
    return status;
}

static bool is_confirmed(void *user)
{
    struct wanted *wanted = user;
    struct opened_source *source = &redis_case.sources[wanted->index];
    (void)pump(wanted->index);
    return source->ops->acked(source->self, 0) >= wanted->count;
}

void redis_case_confirm(int index, uint64_t count)
{
    struct wanted wanted = {.index = index, .count = count};
    cr_assert(support_wait(is_confirmed, &wanted, REDIS_CASE_DEADLINE_MS));
}

static bool is_drained(void *user) { return pump(*(const int *)user) == STRID_OK; }

void redis_case_drain(int index)
{
    cr_assert(support_wait(is_drained, &index, REDIS_CASE_DEADLINE_MS));
}

size_t redis_case_count_logged(const char *text)
{
    const struct buffer *logged = &redis_case.logged;
    size_t count = 0;
    for (size_t at = 0; at < logged->len; count++) {
        const uint8_t *found = memmem(logged->data + at, logged->len - at, text, strlen(text));
        if (found == NULL)
            break;
        at = (size_t)(found - logged->data) + strlen(text);
    }
    return count;
}

bool redis_case_has_logged(const char *text) { return redis_case_count_logged(text) > 0; }

static bool has_logged(void *user)
{
    struct wanted *wanted = user;
    redis_case_poll(wanted->index);
    return redis_case_has_logged(wanted->text);
}

void redis_case_poll_logged(int index, const char *text)
{
    struct wanted wanted = {.index = index, .text = text};
    cr_assert(support_wait(has_logged, &wanted, REDIS_CASE_DEADLINE_MS),
              "\"%s\" was not told: %.*s", text, (int)redis_case.logged.len,
              (const char *)redis_case.logged.data);
}
