#include "places.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static char *parent_of(const char *path, const char *slash)
{
    char *parent = memory_copy_text(slash == NULL ? "." : slash == path ? "/" : path);
    if (slash != NULL && slash != path)
        parent[slash - path] = '\0';
    return parent;
}

/* Whether two paths lead to one file. One that is not there yet is found through its directory. */
static bool is_same_path(const char *one, const char *other)
{
    char real_one[PATH_MAX], real_other[PATH_MAX];
    bool has_one = realpath(one, real_one) != NULL, has_other = realpath(other, real_other) != NULL;
    if (has_one || has_other)
        return has_one && has_other && strcmp(real_one, real_other) == 0;
    const char *name_one = strrchr(one, '/'), *name_other = strrchr(other, '/');
    if (strcmp(name_one == NULL ? one : name_one + 1,
               name_other == NULL ? other : name_other + 1) != 0)
        return false;
    char *parent_one = parent_of(one, name_one), *parent_other = parent_of(other, name_other);
    bool same = realpath(parent_one, real_one) != NULL &&
                realpath(parent_other, real_other) != NULL && strcmp(real_one, real_other) == 0;
    memory_free(parent_one);
    memory_free(parent_other);
    return same;
}

static bool is_path(const struct sink_definition *sink)
{
    return (sink->ops->flags & STRID_SINK_PATH) != 0;
}

static strid_status check_source(const struct definition *definition,
                                 const struct sink_definition *sink, strid_error *err)
{
    if (!is_path(sink) || strcmp(sink->ops->name, definition->source.ops->name) != 0 ||
        !is_same_path(sink->target, definition->source.target))
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, "config",
                     "sink \"%s\" writes to %s, which the source reads; give it another place",
                     sink->name, sink->url);
}

static strid_status check_pair(const struct sink_definition *sink,
                               const struct sink_definition *other, bool is_dlq, strid_error *err)
{
    char name[96] = "the dead-letter queue";
    if (!is_path(sink) || sink->ops != other->ops || !is_same_path(sink->target, other->target))
        return STRID_OK;
    if (!is_dlq)
        (void)snprintf(name, sizeof name, "sink \"%s\"", other->name);
    return error_set(err, STRID_ECONFIG, "config",
                     "sink \"%s\" and %s both write to %s; give each a place of its own",
                     sink->name, name, sink->url);
}

static strid_status check_dlq(const struct definition *definition,
                              const struct sink_definition *dlq, strid_error *err)
{
    for (uint32_t i = 0; i < definition->sink_count; i++)
        STRID_TRY(check_pair(&definition->sinks[i], dlq, true, err));
    return STRID_OK;
}

/* Letters of letters, without end. `source` may be NULL: it is not open. */
static strid_status check_circle(const struct definition *definition, strid_source *source,
                                 const struct sink_definition *dlq, strid_error *err)
{
    const strid_source_ops *ops = definition->source.ops;
    if (ops->is_fed == NULL || strcmp(ops->name, dlq->ops->name) != 0 ||
        !ops->is_fed(source, definition->source.target, dlq->target))
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, "config",
                     "the dead letters in %s would be read by the source %s again, and theirs, "
                     "without end; give them another place, or leave it out of what the source "
                     "reads",
                     dlq->url, definition->source.url);
}

strid_status places_check(const struct definition *definition, const char **at, strid_error *err)
{
    struct sink_definition dlq = {0};
    for (uint32_t i = 0; i < definition->sink_count; i++) {
        *at = definition->sinks[i].name;
        STRID_TRY(check_source(definition, &definition->sinks[i], err));
        for (uint32_t j = 0; j < i; j++)
            STRID_TRY(check_pair(&definition->sinks[j], &definition->sinks[i], false, err));
    }
    if (definition->dlq_url == NULL)
        return STRID_OK;
    *at = "dlq";
    STRID_TRY(definition_make_sink("dlq", definition->dlq_url, &dlq, err));
    strid_status status = check_source(definition, &dlq, err);
    if (status == STRID_OK)
        status = check_dlq(definition, &dlq, err);
    if (status == STRID_OK)
        status = check_circle(definition, NULL, &dlq, err);
    definition_free_sink(&dlq);
    return status;
}

static strid_status check_reads(const struct definition *definition, strid_source *source,
                                const struct sink_definition *sink, strid_error *err)
{
    if (!is_path(sink) || !definition->source.ops->reads(source, sink->target))
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, "config",
                     "sink \"%s\" writes to %s, which the source %s reads, now or in the next run; "
                     "give it another place, or leave it out of what the source reads",
                     sink->name, sink->url, definition->source.url);
}

strid_status places_check_open(const struct definition *definition, strid_source *source,
                               const struct sink_definition *dlq, strid_error *err)
{
    if (dlq != NULL) { /* also the source's default */
        STRID_TRY(check_dlq(definition, dlq, err));
        STRID_TRY(check_circle(definition, source, dlq, err));
    }
    if (definition->source.ops->reads == NULL)
        return STRID_OK;
    for (uint32_t i = 0; i < definition->sink_count; i++)
        STRID_TRY(check_reads(definition, source, &definition->sinks[i], err));
    return dlq == NULL ? STRID_OK : check_reads(definition, source, dlq, err);
}
