/* Threads of the host that say deferred outcomes. @thread any */
#include "api/pipeline.h"
#include "base/error.h"

strid_completer *strid_completer_create(strid_pipeline *pipeline, strid_error *err)
{
    strid_completer *completer = deferral_take_completer(pipeline->deferrals);
    if (completer == NULL)
        (void)error_set(err, STRID_ELIMIT, "completer",
                        "%d threads are registered already; give back completers that are not used "
                        "any more, or share one between threads that take turns",
                        DEFERRAL_COMPLETERS);
    return completer;
}

strid_status strid_complete(strid_completer *completer, strid_token token, strid_outcome outcome)
{
    return deferral_complete(completer, token, outcome);
}

void strid_completer_destroy(strid_completer *completer)
{
    if (completer != NULL)
        deferral_give_completer(completer);
}
