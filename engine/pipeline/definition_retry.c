/* When records are tried again: `retry` of the pipeline file, and what it sets. */
#include "definition.h"

#include <string.h>

#include "base/error.h"
#include "base/units.h"

#include "section.h"

enum { RETRY_LONGEST_MS = 24 * 60 * 60 * 1000 };

strid_status definition_set_backoff(struct definition *definition, int64_t min_ms, int64_t max_ms,
                                    strid_error *err)
{
    struct retry_definition *retry = &definition->retry;
    min_ms = min_ms == 0 ? retry->min_ms : min_ms;
    max_ms = max_ms == 0 ? retry->max_ms : max_ms;
    if (min_ms <= 0 || max_ms < min_ms || max_ms > RETRY_LONGEST_MS) {
        char min[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX];
        units_format_duration(min_ms, min);
        units_format_duration(max_ms, max);
        return error_set(err, STRID_ECONFIG, "config",
                         "a backoff from min %s to max %s: expected min to be at least 1ms and at "
                         "most max, and max at most 1d",
                         min, max);
    }
    retry->min_ms = min_ms;
    retry->max_ms = max_ms;
    retry->step_count = 0;
    return STRID_OK;
}

strid_status definition_set_backoff_steps(struct definition *definition, const int64_t *steps_ms,
                                          size_t count, strid_error *err)
{
    struct retry_definition *retry = &definition->retry;
    if (steps_ms == NULL || count == 0 || count > DEFINITION_RETRY_STEPS_MAX)
        return error_set(err, STRID_ECONFIG, "config", "a backoff of %zu steps: expected 1 to %d",
                         count, DEFINITION_RETRY_STEPS_MAX);
    for (size_t i = 0; i < count; i++) {
        char step[UNITS_TEXT_MAX];
        if (steps_ms[i] >= 0 && steps_ms[i] <= RETRY_LONGEST_MS)
            continue;
        units_format_duration(steps_ms[i], step);
        return error_set(err, STRID_ECONFIG, "config", "a backoff step of %s: expected 0 to 1d",
                         step);
    }
    memcpy(retry->steps_ms, steps_ms, count * sizeof *steps_ms);
    retry->step_count = (uint32_t)count;
    return STRID_OK;
}

static strid_status load_steps(struct definition *definition, const struct yaml_file *file,
                               const struct yaml_node *list, strid_error *err)
{
    int64_t steps_ms[DEFINITION_RETRY_STEPS_MAX + 1] = {0};
    for (uint32_t i = 0; i < list->count && i <= DEFINITION_RETRY_STEPS_MAX; i++) {
        const struct yaml_node *item = &list->items[i];
        bool plain = item->kind == YAML_KIND_STRING || item->kind == YAML_KIND_INT;
        if (!plain || !units_parse_duration_ms(item->text, &steps_ms[i]))
            return section_refuse_kind(file, item, "backoff",
                                       "durations such as 100ms, 5s or 1h, or 0", err);
    }
    uint32_t count =
        list->count <= DEFINITION_RETRY_STEPS_MAX ? list->count : DEFINITION_RETRY_STEPS_MAX + 1;
    return section_place(file, list, definition_set_backoff_steps(definition, steps_ms, count, err),
                         err);
}

static strid_status load_backoff(struct definition *definition, const struct yaml_file *file,
                                 const struct yaml_node *node, strid_error *err)
{
    if (node == NULL)
        return STRID_OK;
    if (node->kind == YAML_KIND_LIST)
        return load_steps(definition, file, node, err);
    if (node->kind != YAML_KIND_MAP)
        return section_refuse_kind(file, node, "backoff", "a map, or a list of durations", err);
    struct options options;
    struct options *sets[] = {&options};
    options_init(&options, layout_backoff.options, sizeof(struct layout_backoff_values));
    const struct layout_backoff_values *values = options.values;
    strid_status status = section_fill(file, node, &layout_backoff, sets, 1, err);
    if (status == STRID_OK)
        status = section_place(file, node, options_finish(&options, err), err);
    if (status == STRID_OK)
        status = section_place(
            file, node, definition_set_backoff(definition, values->min, values->max, err), err);
    options_fini(&options);
    return status;
}

strid_status definition_load_retry(struct definition *definition, const struct yaml_file *file,
                                   const struct yaml_node *node, strid_error *err)
{
    struct options options;
    struct options *sets[] = {&options};
    if (node == NULL)
        return STRID_OK;
    STRID_TRY(section_check_map(file, node, "retry", err));
    options_init(&options, layout_retry.options, sizeof(struct layout_retry_values));
    const struct layout_retry_values *values = options.values;
    strid_status status = section_fill(file, node, &layout_retry, sets, 1, err);
    if (status == STRID_OK)
        status = section_place(file, node, options_finish(&options, err), err);
    if (status == STRID_OK) {
        definition->max_attempts = (uint32_t)values->max_attempts;
        definition->retry.max_parked = (uint64_t)values->max_parked;
        definition->retry.max_parked_bytes = values->max_parked_bytes;
        status = load_backoff(definition, file, yaml_find(node, "backoff"), err);
    }
    options_fini(&options);
    return status;
}
