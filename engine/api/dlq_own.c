#include "api/dlq_own.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"

struct dlq_own dlq_own_of(const strid_pipeline *pipeline)
{
    return (struct dlq_own){.pipeline = pipeline->definition->name};
}

bool dlq_own_is(struct dlq_own *own, const strid_output *letter)
{
    const char *name = letter->dead_letter == NULL ? NULL : letter->dead_letter->pipeline;
    if (name == NULL || name[0] == '\0' || strcmp(name, own->pipeline) == 0)
        return true;
    if (own->others++ == 0)
        buffer_put(&own->other, name, strlen(name) + 1);
    return false;
}

void dlq_own_end(struct dlq_own *own, const struct log *log)
{
    if (own->others > 0)
        log_info(log, "dlq",
                 "%" PRIu64 " dead letter%s of other pipelines in the same queue, such as \"%s\", "
                 "passed over: name the file of theirs for them",
                 own->others, units_plural(own->others), (const char *)own->other.data);
    buffer_fini(&own->other);
}
