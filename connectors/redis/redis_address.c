#include "redis_address.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

#include <string.h>

#define COMPONENT "redis"

static const char form_plain[] = "//[user:password@]host[:port]/STREAM",
                  form_sentinels[] = "//[user:password@]host[:port],.../MASTER/STREAM";

bool redis_address_has_sentinels(const char *scheme) { return strstr(scheme, "+sentinel") != NULL; }

static const char *form_of(const struct redis_address *address)
{
    return redis_address_has_sentinels(address->scheme) ? form_sentinels : form_plain;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A decoded copy; NULL where a '%' stands before anything but two hexadecimal digits, or is NUL. */
static char *decode(const char *begin, const char *end)
{
    char *text = memory_alloc((size_t)(end - begin) + 1);
    char *to = text;
    for (const char *at = begin; at < end; at++) {
        if (*at != '%') {
            *to++ = *at;
            continue;
        }
        int high = end - at > 2 ? hex_value(at[1]) : -1;
        int low = high < 0 ? -1 : hex_value(at[2]);
        if (low < 0 || high + low == 0) {
            memory_free(text);
            return NULL;
        }
        *to++ = (char)(high * 16 + low);
        at += 2;
    }
    *to = '\0';
    return text;
}

static strid_status refuse_encoding(const char *part, strid_error *err)
{
    return error_set(err, STRID_ECONFIG, COMPONENT,
                     "'%%' in the URL's %s is followed by two hexadecimal digits (%%25 for itself)",
                     part);
}

static strid_status take_user(struct redis_address *address, const char *begin, const char *end,
                              strid_error *err)
{
    const char *colon = memchr(begin, ':', (size_t)(end - begin));
    const char *user_end = colon == NULL ? end : colon;
    if (user_end > begin && (address->user = decode(begin, user_end)) == NULL)
        return refuse_encoding("user", err);
    if (colon != NULL && (address->password = decode(colon + 1, end)) == NULL)
        return refuse_encoding("password", err);
    return STRID_OK;
}

static bool is_port(const char *text)
{
    uint32_t port = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 6; digits++)
        port = port * 10 + (uint32_t)(text[digits] - '0');
    return text[digits] == '\0' && port >= 1 && port <= 65535;
}

/* host, host:port, [address of IPv6]:port */
static strid_status take_host(struct redis_address *address, const char *begin, const char *end,
                              strid_error *err)
{
    const char *host_end = memchr(begin, ':', (size_t)(end - begin));
    if (begin < end && *begin == '[') {
        host_end = memchr(begin, ']', (size_t)(end - begin));
        if (host_end == NULL)
            return error_set(err, STRID_ECONFIG, COMPONENT, "the URL's '[' is not closed by ']'");
        address->host = decode(begin + 1, host_end);
        host_end++;
    } else {
        host_end = host_end == NULL ? end : host_end;
        address->host = host_end == begin ? memory_copy_text("127.0.0.1") : decode(begin, host_end);
    }
    if (address->host == NULL)
        return refuse_encoding("host", err);
    if (host_end == end) {
        address->port = memory_copy_text(address->is_sentinel ? "26379" : "6379");
        return STRID_OK;
    }
    address->port = *host_end == ':' ? decode(host_end + 1, end) : NULL;
    if (address->port == NULL || !is_port(address->port))
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "behind the URL's host comes a port from 1 to 65535: %s:%s",
                         address->scheme, form_of(address));
    return STRID_OK;
}

/* Twice in one URL each would take the other's entries for its own. */
static bool is_repeated(const struct redis_address *address, const char *name)
{
    for (uint32_t i = 0; i < address->stream_count; i++)
        if (strcmp(address->streams[i], name) == 0)
            return true;
    return false;
}

static strid_status take_streams(struct redis_address *address, const char *names, strid_error *err)
{
    for (const char *at = names;; at++) {
        const char *begin = at;
        at = strchrnul(begin, ',');
        char *name = decode(begin, at);
        if (name == NULL)
            return refuse_encoding("stream", err);
        const bool is_again = is_repeated(address, name);
        address->streams =
            memory_resize(address->streams, (address->stream_count + 1) * sizeof *address->streams);
        address->streams[address->stream_count++] = name;
        if (name[0] == '\0')
            return error_set(err, STRID_ECONFIG, COMPONENT,
                             "a stream of the URL has no name: write \"a,b\", or %%2C for a comma "
                             "in a name");
        if (is_again)
            return error_set(err, STRID_ECONFIG, COMPONENT,
                             "the URL names stream \"%s\" twice: name it once", name);
        if (*at == '\0')
            break;
    }
    address->stream = address->streams[0];
    return STRID_OK;
}

/* `parts` end with NULL. */
static char *join(const char *const *parts)
{
    struct buffer text = {0};
    for (; *parts != NULL; parts++)
        buffer_put(&text, *parts, strlen(*parts));
    buffer_put_u8(&text, 0);
    char *copy = memory_copy_text((const char *)text.data);
    buffer_fini(&text);
    return copy;
}

#define JOIN(...) join((const char *const[]){__VA_ARGS__, NULL})

static strid_status take_sentinel(struct redis_address *sentinel, const char *begin,
                                  const char *end, strid_error *err)
{
    const struct redis_server_config *config = sentinel->config;
    STRID_TRY(take_host(sentinel, begin, end, err));
    sentinel->user = memory_copy_text(config->sentinel_user);
    sentinel->password = memory_copy_text(config->sentinel_password);
    sentinel->shown = JOIN("sentinel ", sentinel->host, ":", sentinel->port);
    return STRID_OK;
}

static strid_status take_sentinels(struct redis_address *address, const char *begin,
                                   const char *end, strid_error *err)
{
    for (const char *at = begin;; at++) {
        const char *first = at;
        at = memchr(first, ',', (size_t)(end - first));
        at = at == NULL ? end : at;
        address->sentinels = memory_resize(address->sentinels, (address->sentinel_count + 1) *
                                                                   sizeof *address->sentinels);
        struct redis_address *sentinel = &address->sentinels[address->sentinel_count++];
        *sentinel = (struct redis_address){.config = address->config,
                                           .scheme = address->scheme,
                                           .is_tls = address->is_tls,
                                           .is_sentinel = true};
        STRID_TRY(take_sentinel(sentinel, first, at, err));
        if (at == end)
            return STRID_OK;
    }
}

/* `*path` is where "MASTER/STREAM" begins, and behind it where STREAM does. */
static strid_status take_master(struct redis_address *address, const char **path, strid_error *err)
{
    const char *end = strchrnul(*path, '/');
    if (end == *path || *end == '\0' || end[1] == '\0')
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "behind the sentinels the URL names a master and a stream: %s:%s",
                         address->scheme, form_sentinels);
    address->master = decode(*path, end);
    *path = end + 1;
    return address->master == NULL ? refuse_encoding("master", err) : STRID_OK;
}

static strid_status take_target(struct redis_address *address, const char *target, strid_error *err)
{
    const bool has_sentinels = redis_address_has_sentinels(address->scheme);
    if (strncmp(target, "//", 2) != 0)
        return error_set(err, STRID_ECONFIG, COMPONENT, "the URL begins with %s:%s",
                         address->scheme, form_of(address));
    const char *begin = target + 2;
    const char *end = strchrnul(begin, '/');
    if (*end == '\0' || end[1] == '\0')
        return error_set(err, STRID_ECONFIG, COMPONENT, "the URL names no stream: %s:%s",
                         address->scheme, form_of(address));
    const char *path = end + 1;
    const char *at = memrchr(begin, '@', (size_t)(end - begin));
    if (at != NULL) {
        STRID_TRY(take_user(address, begin, at, err));
        begin = at + 1;
    }
    if (has_sentinels)
        STRID_TRY(take_master(address, &path, err));
    STRID_TRY(take_streams(address, path, err));
    return has_sentinels ? take_sentinels(address, begin, end, err)
                         : take_host(address, begin, end, err);
}

static strid_status check(struct redis_address *address, strid_error *err)
{
    const struct redis_server_config *config = address->config;
    if (address->user == NULL)
        address->user = memory_copy_text(config->user);
    if (address->password == NULL)
        address->password = memory_copy_text(config->password);
    if (address->user != NULL && address->password == NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "there is a user but no password: give it in the URL or as \"password\"");
    if (config->socket != NULL && address->sentinel_count > 0)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "sentinels say where the master is: take \"socket\" out, or name it by "
                         "redis:");
    if (address->sentinel_count == 0 &&
        (config->sentinel_user != NULL || config->sentinel_password != NULL))
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "there is a login for sentinels, but the URL names none: begin it with "
                         "redis+sentinel:");
    if (config->sentinel_user != NULL && config->sentinel_password == NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "there is a \"sentinel_user\" but no \"sentinel_password\"");
    if (config->socket != NULL && address->is_tls)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "a Unix socket has no TLS: take redis: instead of rediss:");
    if ((config->cert == NULL) != (config->key == NULL))
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "\"cert\" and \"key\" are given together or not at all");
    return STRID_OK;
}

static char *make_shown(const struct redis_address *address)
{
    const char *socket = address->config->socket;
    if (address->sentinel_count == 0)
        return socket != NULL ? memory_copy_text(socket)
                              : JOIN(address->scheme, "://", address->host, ":", address->port);
    struct buffer text = {0};
    for (uint32_t i = 0; i < address->sentinel_count; i++)
        buffer_printf(&text, "%s%s:%s", i == 0 ? "" : ",", address->sentinels[i].host,
                      address->sentinels[i].port);
    buffer_put_u8(&text, 0);
    char *shown = JOIN(address->scheme, "://", (const char *)text.data, "/", address->master);
    buffer_fini(&text);
    return shown;
}

strid_status redis_address_parse(struct redis_address *address, const char *scheme,
                                 const char *target, const struct redis_server_config *config,
                                 strid_error *err)
{
    *address = (struct redis_address){.config = config,
                                      .scheme = scheme,
                                      .is_tls = strncmp(scheme, "rediss", strlen("rediss")) == 0};
    strid_status status = take_target(address, target, err);
    if (status == STRID_OK)
        status = check(address, err);
    if (status != STRID_OK) {
        redis_address_fini(address);
        return status;
    }
    address->shown = make_shown(address);
    address->identity = address->master == NULL ? memory_copy_text(address->shown)
                                                : JOIN(scheme, "://", address->master);
    return STRID_OK;
}

static void forget(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    memory_free(secret);
}

void redis_address_fini(struct redis_address *address)
{
    for (uint32_t i = 0; i < address->sentinel_count; i++)
        redis_address_fini(&address->sentinels[i]);
    memory_free(address->sentinels);
    memory_free(address->host);
    memory_free(address->port);
    memory_free(address->user);
    forget(address->password);
    memory_free(address->master);
    for (uint32_t i = 0; i < address->stream_count; i++)
        memory_free(address->streams[i]);
    memory_free(address->streams);
    memory_free(address->shown);
    memory_free(address->identity);
    *address = (struct redis_address){.config = NULL};
}
