/* How the partitions of a source are assigned when a run begins. */
#include <criterion/criterion.h>

#include <string.h>

#include "base/error.h"

#include "runtime_case.h"

static const strid_source_ops *real;
static strid_source_ops ops; /* the memory source's */
static int all, each;
static strid_resume last;

static strid_status assign_all(strid_source *self, const strid_resume *resumes, strid_error *err)
{
    all++;
    last = resumes[0];
    for (uint32_t p = 0; p < real->partition_count(self); p++)
        STRID_TRY(real->assign(self, p, &resumes[p], err));
    return STRID_OK;
}

static strid_status assign_one(strid_source *self, uint32_t partition, const strid_resume *resume,
                               strid_error *err)
{
    each++;
    return real->assign(self, partition, resume, err);
}

static strid_status refuse_all(strid_source *self, const strid_resume *resumes, strid_error *err)
{
    (void)self, (void)resumes;
    return error_set(err, STRID_ESTATE, "test", "none of them");
}

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx, (void)record, (void)user;
    return STRID_DONE;
}

static void begin(struct runtime_case *at)
{
    all = each = 0;
    runtime_case_init(at, handle, NULL);
    real = at->definition->source.ops;
    ops = *real;
    ops.assign = assign_one;
    ops.assign_all = assign_all;
    at->definition->source.ops = &ops;
}

Test(assign_all, takes_the_place_of_assign_and_has_what_is_known)
{
    struct runtime_case at;
    begin(&at);
    runtime_case_start(&at);
    cr_assert_eq(all, 1);
    cr_assert_eq(each, 0);
    cr_assert(last.fresh && !last.resumed);
    runtime_case_push(&at, "k", "v");
    runtime_case_push_end(&at);
    cr_assert(runtime_case_finish(&at));
    runtime_case_start(&at);
    cr_assert_eq(all, 2);
    cr_assert(!last.fresh && last.resumed);
    cr_assert_eq(last.position.low, 1);
    runtime_case_fini(&at);
}

Test(assign_all, its_failure_is_that_of_the_run)
{
    struct runtime_case at;
    begin(&at);
    ops.assign_all = refuse_all;
    cr_assert_eq(run_create(&at.options, &at.run, &at.store.err), STRID_ESTATE);
    cr_assert_not_null(strstr(at.store.err.message, "none of them"));
    runtime_case_fini(&at);
}
