#include <criterion/criterion.h>

#include <stdio.h>

#include "state/batch.h"

static struct store *open_store(strid_error *err)
{
    struct store *store = NULL;
    struct store_config config = {.path = "", .create = true};
    cr_assert_eq(store_memory.open(&config, &store, err), STRID_OK);
    return store;
}

static strid_bytes text(const char *text) { return strid_bytes_of_text(text); }

struct expected {
    strid_bytes value;
    bool present;
};

static bool check(void *user, size_t index, strid_bytes value)
{
    const struct expected *expected = (const struct expected *)user + index;
    cr_assert_eq(value.data != NULL, expected->present, "key %zu", index);
    cr_assert(strid_bytes_equal(value, expected->value), "key %zu", index);
    return true;
}

Test(batch, applies_puts_and_deletions_in_order)
{
    strid_error err = STRID_ERROR_INIT;
    struct store *store = open_store(&err);
    struct batch batch = {0};
    char scratch[8] = "first";
    batch_put(&batch, text("a"), text(scratch));
    memset(scratch, 'x', sizeof scratch - 1); /* it was copied */
    batch_put(&batch, text("b"), text("gone"));
    batch_delete(&batch, text("b"));
    batch_put(&batch, text("empty"), strid_bytes_of("", 0));
    static const char large[100000];
    batch_put_borrowed(&batch, text("large"), strid_bytes_of(large, sizeof large));
    cr_assert_eq(batch.count, 5);
    cr_assert_eq(batch_apply(&batch, &store_memory, store, &err), STRID_OK);
    const strid_bytes keys[] = {text("a"), text("b"), text("empty"), text("large")};
    struct expected expected[] = {{text("first"), true},
                                  {{NULL, 0}, false},
                                  {{NULL, 0}, true},
                                  {strid_bytes_of(large, sizeof large), true}};
    cr_assert_eq(store_memory.get_many(store, keys, 4, check, expected, &err), STRID_OK);
    batch_fini(&batch);
    store_memory.close(store);
}

Test(batch, only_an_empty_value_is_a_value)
{
    strid_error err = STRID_ERROR_INIT;
    struct store *store = open_store(&err);
    struct batch batch = {0};
    batch_put(&batch, strid_bytes_of("", 0), strid_bytes_of("", 0));
    cr_assert_eq(batch_apply(&batch, &store_memory, store, &err), STRID_OK);
    strid_bytes key = strid_bytes_of("", 0);
    struct expected expected = {{NULL, 0}, true};
    cr_assert_eq(store_memory.get_many(store, &key, 1, check, &expected, &err), STRID_OK);
    batch_fini(&batch);
    store_memory.close(store);
}

static int applied;

static strid_status count_apply(struct store *store, const struct store_op *ops, size_t count,
                                strid_error *err)
{
    (void)store;
    (void)ops;
    (void)err;
    applied += (int)count;
    return count == 3 ? STRID_ESTORE : STRID_OK;
}

Test(batch, empty_is_not_written_and_errors_come_back)
{
    struct store_ops ops = {.apply = count_apply};
    struct batch batch = {0};
    cr_assert_eq(batch_apply(&batch, &ops, NULL, NULL), STRID_OK);
    cr_assert_eq(applied, 0);
    for (int i = 0; i < 3; i++)
        batch_delete(&batch, text("k"));
    cr_assert_eq(batch_apply(&batch, &ops, NULL, NULL), STRID_ESTORE);
    cr_assert_eq(applied, 3);
    batch_clear(&batch);
    cr_assert_eq(batch.count, 0);
    cr_assert_eq(batch_apply(&batch, &ops, NULL, NULL), STRID_OK);
    cr_assert_eq(applied, 3);
    batch_fini(&batch);
}

Test(batch, thousands_of_operations_keep_their_bytes)
{
    strid_error err = STRID_ERROR_INIT;
    struct store *store = open_store(&err);
    struct batch batch = {0};
    enum { COUNT = 5000 };
    char key[16];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(key, sizeof key, "%08d", i);
        batch_put(&batch, text(key), strid_bytes_of(&i, sizeof i));
    }
    cr_assert_eq(batch_apply(&batch, &store_memory, store, &err), STRID_OK);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(key, sizeof key, "%08d", i);
        strid_bytes wanted = text(key);
        struct expected expected = {strid_bytes_of(&i, sizeof i), true};
        cr_assert_eq(store_memory.get_many(store, &wanted, 1, check, &expected, &err), STRID_OK);
    }
    batch_fini(&batch);
    store_memory.close(store);
}
