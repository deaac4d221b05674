#include "endpoint.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

#include "registry.h"

/* Without the parameters: which of them are secrets only the connector would know. */
static strid_status refuse_scheme(const struct url *url, const char *what,
                                  const struct spelling *known, strid_error *err)
{
    char hint[256];
    struct url shown = *url;
    shown.parameter_count = 0;
    char *text = url_display(&shown, NULL);
    strid_status status =
        error_set(err, STRID_ECONFIG, "config", "\"%s\": there is no %s \"%s:\"; %s", text, what,
                  url->scheme, spelling_hint(known, url->scheme, hint, sizeof hint));
    memory_free(text);
    return status;
}

static strid_status find_source(struct endpoint *endpoint, strid_error *err)
{
    const char *scheme = endpoint->url.scheme;
    endpoint->source = registry_find_source(scheme, strlen(scheme));
    if (endpoint->source != NULL) {
        options_init(&endpoint->options, endpoint->source->options, endpoint->source->options_size);
        return STRID_OK;
    }
    struct spelling known = {.count = 0};
    for (const strid_source_ops *const *ops = registry_sources; *ops != NULL; ops++)
        spelling_add(&known, (*ops)->name);
    return refuse_scheme(&endpoint->url, "source", &known, err);
}

static strid_status find_sink(struct endpoint *endpoint, strid_error *err)
{
    const char *scheme = endpoint->url.scheme;
    endpoint->sink = registry_find_sink(scheme, strlen(scheme));
    if (endpoint->sink != NULL) {
        options_init(&endpoint->options, endpoint->sink->options, endpoint->sink->options_size);
        return STRID_OK;
    }
    struct spelling known = {.count = 0};
    for (const strid_sink_ops *const *ops = registry_sinks; *ops != NULL; ops++)
        spelling_add(&known, (*ops)->name);
    return refuse_scheme(&endpoint->url, "sink", &known, err);
}

static strid_status open_endpoint(struct endpoint *endpoint, const char *url, bool is_source,
                                  strid_error *err)
{
    *endpoint = (struct endpoint){.source = NULL};
    STRID_TRY(url_parse(url, &endpoint->url, err));
    strid_status status = is_source ? find_source(endpoint, err) : find_sink(endpoint, err);
    for (uint32_t i = 0; status == STRID_OK && i < endpoint->url.parameter_count; i++) {
        const struct url_parameter *parameter = &endpoint->url.parameters[i];
        status = options_put(&endpoint->options, parameter->name, parameter->value, err);
        if (status != STRID_OK)
            (void)error_wrap(err, status, "in the URL of \"%s:\"", endpoint->url.scheme);
    }
    if (status != STRID_OK)
        endpoint_fini(endpoint);
    return status;
}

strid_status endpoint_open_source(struct endpoint *endpoint, const char *url, strid_error *err)
{
    return open_endpoint(endpoint, url, true, err);
}

strid_status endpoint_open_sink(struct endpoint *endpoint, const char *url, strid_error *err)
{
    return open_endpoint(endpoint, url, false, err);
}

void endpoint_fini(struct endpoint *endpoint)
{
    url_fini(&endpoint->url);
    options_fini(&endpoint->options);
    *endpoint = (struct endpoint){.source = NULL};
}

strid_status endpoint_check(struct endpoint *endpoint, strid_error *err)
{
    const bool is_source = endpoint->source != NULL;
    strid_status (*check)(const strid_connector_args *args, strid_error *err) =
        is_source ? endpoint->source->check : endpoint->sink->check;
    STRID_TRY(options_finish(&endpoint->options, err));
    if (check == NULL)
        return STRID_OK;
    char *url = url_display(&endpoint->url, endpoint->options.table);
    strid_connector_args args = {.struct_size = sizeof args,
                                 .scheme =
                                     is_source ? endpoint->source->name : endpoint->sink->name,
                                 .url = url,
                                 .target = endpoint->url.target,
                                 .options = endpoint->options.values};
    strid_status status = check(&args, err);
    memory_free(url);
    return status;
}

strid_status endpoint_finish(struct endpoint *endpoint, char **url, char **target, void **options,
                             strid_error *err)
{
    STRID_TRY(options_finish(&endpoint->options, err));
    *url = url_display(&endpoint->url, endpoint->options.table);
    *target = endpoint->url.target;
    endpoint->url.target = NULL;
    *options = options_take(&endpoint->options);
    endpoint_fini(endpoint);
    return STRID_OK;
}
