/* The stores under test and the helpers of their suites. Each test makes its own store. */
#ifndef STORE_CASE_H
#define STORE_CASE_H

#include "state/store.h"
#include "support/support.h"

enum { STORE_CASES = 2 };

struct store_case {
    const struct store_ops *ops;
    struct store *store;
    struct support_directory directory;
    char path[SUPPORT_PATH_MAX];
};

/* Case `index` of STORE_CASES, opened in a new place. Failures end the test. */
void store_case_open(struct store_case *at, int index);
void store_case_reopen(struct store_case *at);
void store_case_close(struct store_case *at);

/* One op each; `value` NULL deletes. Failures end the test. */
void store_case_put(struct store_case *at, const char *key, const char *value);
void store_case_sync(struct store_case *at);
/* Whether `key` has exactly this value; `value` NULL: whether it is absent. */
bool store_case_has(struct store_case *at, strid_bytes key, strid_bytes value);
bool store_case_has_text(struct store_case *at, const char *key, const char *value);
/* The keys of a range as "a,b,c"; `from` and `to` may be NULL. */
void store_case_keys(struct store_case *at, const char *from, const char *to, char *out,
                     size_t size);
size_t store_case_count(struct store_case *at);

struct store_case_list {
    const struct store_op *ops;
    size_t count;
    size_t at;
};
bool store_case_next(void *user, struct store_op *op); /* a store_next_fn over such a list */
void store_case_load(struct store_case *at, const struct store_op *ops, size_t count);

struct store_op store_case_op(const char *key, const char *value);

#endif
