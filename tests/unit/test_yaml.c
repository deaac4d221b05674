#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "pipeline/yaml.h"
#include "support/support.h"

static struct support_directory directory;
static char path[SUPPORT_PATH_MAX];
static strid_error err;

static void setup(void)
{
    support_directory_create(&directory);
    support_path(&directory, "p.yaml", path);
}
static void teardown(void) { support_directory_remove(&directory); }

TestSuite(yaml, .init = setup, .fini = teardown);

static struct yaml_file *read_text(const char *text)
{
    struct yaml_file *file = NULL;
    support_write_file(path, text, strlen(text));
    STRID_CHECK_OK(yaml_read(path, &file, &err), err);
    return file;
}

/* `place` is "line:column: message", or its beginning. */
static void check_refused(const char *text, const char *place)
{
    struct yaml_file *file = NULL;
    char expected[SUPPORT_PATH_MAX + 256];
    support_write_file(path, text, strlen(text));
    cr_assert_eq(yaml_read(path, &file, &err), STRID_ECONFIG, "%s", text);
    (void)snprintf(expected, sizeof expected, "%s:%s", path, place);
    cr_assert(strncmp(err.message, expected, strlen(expected)) == 0, "%s\nis not\n%s", err.message,
              expected);
}

Test(yaml, plain_values_follow_the_core_schema)
{
    static const struct {
        const char *text;
        enum yaml_kind kind;
    } values[] = {
        {"no", YAML_KIND_STRING},   {"on", YAML_KIND_STRING},    {"yes", YAML_KIND_STRING},
        {"true", YAML_KIND_BOOL},   {"False", YAML_KIND_BOOL},   {"tRUE", YAML_KIND_STRING},
        {"~", YAML_KIND_NULL},      {"null", YAML_KIND_NULL},    {"", YAML_KIND_NULL},
        {"12", YAML_KIND_INT},      {"-0", YAML_KIND_INT},       {"012", YAML_KIND_INT},
        {"0o17", YAML_KIND_INT},    {"0x1F", YAML_KIND_INT},     {"0b1", YAML_KIND_STRING},
        {"1.5", YAML_KIND_FLOAT},   {"1.", YAML_KIND_FLOAT},     {".5", YAML_KIND_FLOAT},
        {"1e3", YAML_KIND_FLOAT},   {".inf", YAML_KIND_FLOAT},   {"1e", YAML_KIND_STRING},
        {".", YAML_KIND_STRING},    {"1_000", YAML_KIND_STRING}, {"12:30", YAML_KIND_STRING},
        {"1GiB", YAML_KIND_STRING}, {"\"5\"", YAML_KIND_STRING}, {"'true'", YAML_KIND_STRING}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "a: %s\n", values[i].text);
        struct yaml_file *file = read_text(text);
        cr_assert_eq(yaml_find(&file->root, "a")->kind, values[i].kind, "%s", values[i].text);
        yaml_destroy(file);
    }
}

Test(yaml, nodes_know_their_place)
{
    struct yaml_file *file = read_text("name: x\nlist:\n  - { on: a, count: {} }\n  - b\n");
    const struct yaml_node *list = yaml_find(&file->root, "list");
    cr_assert(list->kind == YAML_KIND_LIST && list->count == 2);
    cr_assert(list->items[0].line == 3 && list->items[0].column == 5);
    const struct yaml_node *on = yaml_find(&list->items[0], "on");
    cr_assert(on->line == 3 && on->column == 11);
    cr_assert_str_eq(on->text, "a");
    cr_assert_eq(list->items[0].pairs[1].column, 14);
    cr_assert(list->items[1].line == 4 && list->items[1].column == 5);
    cr_assert_null(yaml_find(&file->root, "none"));
    cr_assert_null(yaml_find(list, "on"));
    yaml_destroy(file);
}

Test(yaml, what_is_not_simple_is_refused)
{
    check_refused("a: 1\nb: 2\na: 3\n", "3:1: the key \"a\" is given twice, first in line 1");
    check_refused("a: &x 1\n", "1:4: anchors and aliases are not supported");
    check_refused("a: 1\nb: *x\n", "2:4: anchors and aliases are not supported");
    check_refused("a: &x {}\n", "1:4: anchors and aliases are not supported");
    check_refused("a: &x []\n", "1:4: anchors and aliases are not supported");
    check_refused("a:\n  <<: {}\n", "2:3: merge keys are not supported");
    check_refused("a: !!str 1\n", "1:4: tags are not supported");
    check_refused("a: !x {}\n", "1:4: tags are not supported");
    check_refused("a: !x []\n", "1:4: tags are not supported");
    check_refused("? [a]\n: 1\n", "1:3: expected a key");
    check_refused("'': 1\n", "1:1: expected a key");
    check_refused("a: \"\\0\"\n", "1:4: NUL characters are not supported");
    check_refused("a: 1\n---\nb: 2\n", "2:1: a pipeline file holds one document");
    check_refused("", "1:1: the file is empty");
    check_refused("# nothing\n", "1:1: the file is empty");
    check_refused("a: [1\n", "2:1: not valid YAML: did not find expected ',' or ']'");
    check_refused("a: b: c\n", "1:5: not valid YAML: mapping values are not allowed");
    check_refused("a: 1\nb: \"\xc3\xa4\xff\"\n",
                  "2:6: not valid YAML: invalid leading UTF-8 octet");
    check_refused("\xef\xbb\xbf"
                  "a: 1\nb: \x01\n",
                  "2:4: not valid YAML: control characters are not allowed");
}

Test(yaml, a_byte_order_mark_and_crlf_are_no_text)
{
    struct yaml_file *file = read_text("\xef\xbb\xbf# windows\r\nab: 1\r\n");
    cr_assert_not_null(yaml_find(&file->root, "ab"));
    yaml_destroy(file);
    check_refused("\xef\xbb\xbf", "1:1: the file is empty");
    check_refused("\xef\xbb\xbf[\n", "2:1: not valid YAML");
}

Test(yaml, depth_and_size_are_bounded)
{
    char text[128] = "a: ";
    size_t used = 3;
    for (int i = 0; i < 15; i++)
        text[used++] = '[';
    for (int i = 0; i < 15; i++)
        text[used++] = ']';
    text[used] = '\0';
    yaml_destroy(read_text(text));
    text[used - 15] = '[';
    for (int i = 0; i < 16; i++)
        text[used - 14 + (size_t)i] = ']';
    text[used + 2] = '\0';
    check_refused(text, "1:19: nested deeper than 16 levels");
    size_t large = (1024 * 1024) + 1;
    char *spaces = malloc(large);
    cr_assert_not_null(spaces);
    memset(spaces, '\n', large);
    support_write_file(path, spaces, large);
    struct yaml_file *file = NULL;
    cr_assert_eq(yaml_read(path, &file, &err), STRID_ECONFIG);
    cr_assert_not_null(strstr(err.message, ":1:1: the file is larger than 1 MiB"));
    memset(spaces, ',', large);
    memcpy(spaces, "a: [", 4);
    for (size_t i = 4; i < 40000; i += 2)
        spaces[i] = '1';
    spaces[40000] = ']';
    support_write_file(path, spaces, 40001);
    cr_assert_eq(yaml_read(path, &file, &err), STRID_ECONFIG);
    cr_assert_not_null(strstr(err.message, "more than 10000 values"));
    free(spaces);
}

Test(yaml, a_file_that_cannot_be_read_is_an_io_error)
{
    struct yaml_file *file = NULL;
    cr_assert_eq(yaml_read("/nonexistent/p.yaml", &file, &err), STRID_EIO);
    cr_assert_str_eq(err.message, "the pipeline file /nonexistent/p.yaml cannot be opened: No such "
                                  "file or directory");
    cr_assert_eq(yaml_read(directory.path, &file, &err), STRID_EIO);
    cr_assert_not_null(strstr(err.message, "cannot be read: Is a directory"));
}

static void check_value(const char *text, enum yaml_kind kind, const char *expected)
{
    struct yaml_file *file = read_text(text);
    const struct yaml_node *node = yaml_find(&file->root, "a");
    cr_assert_str_eq(node->text, expected);
    cr_assert_eq(node->kind, kind, "%s", text);
    yaml_destroy(file);
}

Test(yaml, variables_are_replaced)
{
    (void)setenv("STRID_TEST_A", "5", 1);
    (void)setenv("STRID_TEST_EMPTY", "", 1);
    (void)setenv("STRID_TEST_FORM", "${STRID_TEST_A}", 1);
    (void)unsetenv("STRID_TEST_NONE");
    check_value("a: ${STRID_TEST_A}\n", YAML_KIND_INT, "5");
    check_value("a: \"${STRID_TEST_A}\"\n", YAML_KIND_STRING, "5");
    check_value("a: x${STRID_TEST_A}y${STRID_TEST_A}z\n", YAML_KIND_STRING, "x5y5z");
    check_value("a: ${STRID_TEST_NONE:-b:-c}\n", YAML_KIND_STRING, "b:-c");
    check_value("a: ${STRID_TEST_NONE:-}\n", YAML_KIND_NULL, "");
    check_value("a: ${STRID_TEST_EMPTY:-b}\n", YAML_KIND_STRING, "b");
    check_value("a: x${STRID_TEST_EMPTY}\n", YAML_KIND_STRING, "x");
    check_value("a: ${STRID_TEST_FORM}\n", YAML_KIND_STRING, "${STRID_TEST_A}");
    check_value("a: '^$ $a $$ {b}'\n", YAML_KIND_STRING, "^$ $a $$ {b}");
}

Test(yaml, files_are_put_in)
{
    char secret[SUPPORT_PATH_MAX];
    char text[SUPPORT_PATH_MAX + 32];
    support_path(&directory, "secret", secret);
    support_write_file(secret, "pass word\n", 10);
    (void)snprintf(text, sizeof text, "a: \"x${file:%s}\"\n", secret);
    check_value(text, YAML_KIND_STRING, "xpass word");
    support_write_file(secret, "a\0b", 3);
    check_refused(text, "1:4: ${file:");
    check_refused("a: \"${file:/nonexistent}\"\n",
                  "1:4: ${file:/nonexistent} cannot be read: No such file or directory");
}

Test(yaml, other_forms_are_refused)
{
    (void)unsetenv("STRID_TEST_NONE");
    check_refused("b: 1\na: x${STRID_TEST_NONE}\n",
                  "2:4: the environment variable STRID_TEST_NONE is not set; set it or write "
                  "${STRID_TEST_NONE:-default}");
    check_refused("a: \"${1A}\"\n",
                  "1:4: \"${1A}\": expected ${NAME}, ${NAME:-default} or ${file:PATH}");
    check_refused("a: \"${A:?x}\"\n", "1:4: \"${A:?x}\": expected ${NAME}");
    check_refused("a: \"${}\"\n", "1:4: \"${}\": expected ${NAME}");
    check_refused("a: \"${file:}\"\n", "1:4: \"${file:}\": expected ${NAME}");
    check_refused("a: \"${A:-${B:-x}}\"\n",
                  "1:4: \"${A:-${B:-x}\": a \"${\" within another is not supported");
    check_refused("a: \"${file:${A}}\"\n", "1:4: \"${file:${A}\": a \"${\" within another");
    check_refused("a: \"x ${A\"\n", "1:4: \"${A\": \"${\" without \"}\"");
}
