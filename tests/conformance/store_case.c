#include "store_case.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

static const struct store_ops *const cases[STORE_CASES] = {&store_rocksdb, &store_memory};

void store_case_open(struct store_case *at, int index)
{
    *at = (struct store_case){.ops = cases[index]};
    support_directory_create(&at->directory);
    support_path(&at->directory, "state", at->path);
    store_case_reopen(at);
}

void store_case_reopen(struct store_case *at)
{
    strid_error err = STRID_ERROR_INIT;
    if (at->store != NULL)
        at->ops->close(at->store);
    struct store_config config = {.path = at->path, .create = true};
    STRID_CHECK_OK(at->ops->open(&config, &at->store, &err), err);
}

void store_case_close(struct store_case *at)
{
    if (at->store != NULL)
        at->ops->close(at->store);
    support_directory_remove(&at->directory);
}

struct store_op store_case_op(const char *key, const char *value)
{
    return (struct store_op){strid_bytes_of_text(key), strid_bytes_of_text(value)};
}

void store_case_put(struct store_case *at, const char *key, const char *value)
{
    strid_error err = STRID_ERROR_INIT;
    struct store_op op = store_case_op(key, value);
    STRID_CHECK_OK(at->ops->apply(at->store, &op, 1, &err), err);
}

void store_case_sync(struct store_case *at)
{
    strid_error err = STRID_ERROR_INIT;
    STRID_CHECK_OK(at->ops->sync(at->store, &err), err);
}

struct expected {
    strid_bytes value;
    bool same;
};

static bool compare_value(void *user, size_t index, strid_bytes value)
{
    struct expected *expected = user;
    cr_assert_eq(index, 0);
    expected->same = (value.data == NULL) == (expected->value.data == NULL) &&
                     strid_bytes_equal(value, expected->value);
    return true;
}

bool store_case_has(struct store_case *at, strid_bytes key, strid_bytes value)
{
    strid_error err = STRID_ERROR_INIT;
    struct expected expected = {value, false};
    STRID_CHECK_OK(at->ops->get_many(at->store, &key, 1, compare_value, &expected, &err), err);
    return expected.same;
}

bool store_case_has_text(struct store_case *at, const char *key, const char *value)
{
    return store_case_has(at, strid_bytes_of_text(key), strid_bytes_of_text(value));
}

struct listing {
    char *out;
    size_t size;
    size_t len;
};

static bool list_key(void *user, strid_bytes key, strid_bytes value)
{
    struct listing *listing = user;
    (void)value;
    int added = snprintf(listing->out + listing->len, listing->size - listing->len, "%s%.*s",
                         listing->len == 0 ? "" : ",", (int)key.len, (const char *)key.data);
    listing->len += (size_t)added;
    cr_assert_lt(listing->len, listing->size);
    return true;
}

void store_case_keys(struct store_case *at, const char *from, const char *to, char *out,
                     size_t size)
{
    strid_error err = STRID_ERROR_INIT;
    struct listing listing = {out, size, 0};
    out[0] = '\0';
    STRID_CHECK_OK(at->ops->scan(at->store, strid_bytes_of_text(from), strid_bytes_of_text(to),
                                 list_key, &listing, &err),
                   err);
}

static bool count_key(void *user, strid_bytes key, strid_bytes value)
{
    (void)key;
    (void)value;
    (*(size_t *)user)++;
    return true;
}

size_t store_case_count(struct store_case *at)
{
    strid_error err = STRID_ERROR_INIT;
    size_t count = 0;
    STRID_CHECK_OK(
        at->ops->scan(at->store, (strid_bytes){0}, (strid_bytes){0}, count_key, &count, &err), err);
    return count;
}

bool store_case_next(void *user, struct store_op *op)
{
    struct store_case_list *list = user;
    if (list->at == list->count)
        return false;
    *op = list->ops[list->at++];
    return true;
}

void store_case_load(struct store_case *at, const struct store_op *ops, size_t count)
{
    strid_error err = STRID_ERROR_INIT;
    struct store_case_list list = {ops, count, 0};
    STRID_CHECK_OK(at->ops->bulk_load(at->store, store_case_next, &list, &err), err);
}
