#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"

static strid_error err;

Test(error, set_fills_all_of_it)
{
    err = (strid_error){.status = STRID_EIO, .native_code = 5, .message = "old"};
    cr_assert_eq(error_set(&err, STRID_ECONFIG, "config", "%d of %s", 2, "these"), STRID_ECONFIG);
    cr_assert_eq(err.status, STRID_ECONFIG);
    cr_assert_eq(err.native_code, 0);
    cr_assert_str_eq(err.component, "config");
    cr_assert_str_eq(err.message, "2 of these");
}

Test(error, errno_says_why_and_tells_a_full_disk_apart)
{
    cr_assert_eq(error_set_errno(&err, ENOENT, "file", "%s cannot be opened", "a"), STRID_EIO);
    cr_assert_str_eq(err.message, "a cannot be opened: No such file or directory");
    cr_assert_eq(err.native_code, ENOENT);
    cr_assert_eq(err.status, STRID_EIO);
    cr_assert_eq(error_set_errno(&err, ENOSPC, "file", "a"), STRID_ENOSPC);
    cr_assert_str_eq(err.message, "a: No space left on device");
    cr_assert_eq(error_set_errno(&err, EDQUOT, "file", "a"), STRID_ENOSPC);
}

Test(error, wrap_puts_before_and_keeps_the_rest)
{
    (void)error_set_errno(&err, ENOENT, "file", "a");
    cr_assert_eq(error_wrap(&err, STRID_ECONFIG, "p.yaml:%d", 7), STRID_EIO);
    cr_assert_str_eq(err.message, "p.yaml:7: a: No such file or directory");
    cr_assert_eq(err.status, STRID_EIO);
    cr_assert_eq(err.native_code, ENOENT);
    cr_assert_str_eq(err.component, "file");
}

/* The message is cut, whole within its array and with its terminator, wherever it becomes full. */
Test(error, long_messages_are_cut)
{
    char text[STRID_ERROR_MESSAGE_MAX + 8];
    for (size_t len = STRID_ERROR_MESSAGE_MAX - 4; len < sizeof text; len++) {
        memset(text, 'x', len);
        text[len] = '\0';
        size_t kept = len < STRID_ERROR_MESSAGE_MAX ? len : STRID_ERROR_MESSAGE_MAX - 1;
        (void)error_set(&err, STRID_EIO, "a component of a name that is too long", "%s", text);
        cr_assert_eq(strlen(err.message), kept);
        (void)error_wrap(&err, STRID_EIO, "a");
        cr_assert_eq(strlen(err.message), STRID_ERROR_MESSAGE_MAX - 1);
        cr_assert(strncmp(err.message, "a: xxx", 6) == 0);
        (void)error_set(&err, STRID_EIO, "c", "b");
        (void)error_wrap(&err, STRID_EIO, "%s", text);
        cr_assert_eq(strlen(err.message),
                     kept + 3 < STRID_ERROR_MESSAGE_MAX ? kept + 3 : STRID_ERROR_MESSAGE_MAX - 1);
        (void)error_set_errno(&err, ENOENT, "c", "%s", text);
        cr_assert_eq(strlen(err.message), STRID_ERROR_MESSAGE_MAX - 1);
    }
}

Test(error, nobody_has_to_listen)
{
    cr_assert_eq(error_set(NULL, STRID_EIO, "c", "x"), STRID_EIO);
    cr_assert_eq(error_set_errno(NULL, ENOSPC, "c", "x"), STRID_ENOSPC);
    cr_assert_eq(error_wrap(NULL, STRID_EGAP, "x"), STRID_EGAP);
}
