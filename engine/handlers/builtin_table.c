/* The handlers a pipeline file can name, by hand and in one place. */
#include "count.h"
#include "filter.h"
#include "forward.h"
#include "sum.h"

const struct builtin *const builtin_table[] = {&count_builtin, &sum_builtin, &filter_builtin,
                                               &forward_builtin, NULL};
