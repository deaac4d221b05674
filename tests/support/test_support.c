#include <criterion/criterion.h>

#include <stdlib.h>
#include <sys/stat.h>

#include "support/support.h"

Test(support, directory_is_empty_at_first_and_goes_with_all_it_holds)
{
    struct support_directory directory = {0};
    support_directory_create(&directory);
    char inner[SUPPORT_PATH_MAX];
    char file[SUPPORT_PATH_MAX];
    support_path(&directory, "inner", inner);
    support_path(&directory, "inner/file", file);
    cr_assert_eq(mkdir(inner, 0700), 0);
    support_write_file(file, "abc", 3);
    size_t len = 0;
    char *text = support_read_file(file, &len);
    cr_assert_eq(len, 3);
    cr_assert_str_eq(text, "abc");
    free(text);
    struct support_directory copy = directory;
    support_directory_remove(&directory);
    support_directory_remove(&directory);
    struct stat info;
    cr_assert_neq(stat(copy.path, &info), 0);
    cr_assert_null(support_read_file(file, NULL));
}

static bool counts_to_three(void *user)
{
    int *calls = user;
    return ++*calls == 3;
}

static bool never(void *user)
{
    (void)user;
    return false;
}

Test(support, wait_ends_when_the_condition_holds)
{
    int calls = 0;
    cr_assert(support_wait(counts_to_three, &calls, 10000));
    cr_assert_eq(calls, 3);
}

Test(support, wait_gives_up_at_its_deadline) { cr_assert(!support_wait(never, NULL, 20)); }
