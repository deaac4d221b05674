/* Runs a fuzz target over a corpus and over changed copies of it, always the same ones, so that
 * plain test runs keep what fuzzing found. usage: fuzz_NAME CORPUS [VARIANTS] */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "support/support.h"

enum { VARIANTS = 2000, CHANGES_MAX = 8, GROWTH_MAX = 64 };

static uint64_t state = 1;

static size_t below(size_t bound)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return bound == 0 ? 0 : (size_t)(state >> 33) % bound;
}

/* One byte changed, left out, doubled, or the end cut off; `len` may grow by 1. */
static size_t change(uint8_t *data, size_t len)
{
    size_t at = below(len);
    if (len == 0)
        return 0;
    switch (below(5)) {
    case 0:
        data[at] ^= (uint8_t)(1u << below(8));
        return len;
    case 1:
        data[at] = (uint8_t)below(256);
        return len;
    case 2:
        memmove(data + at, data + at + 1, len - at - 1);
        return len - 1;
    case 3:
        memmove(data + at + 1, data + at, len - at);
        return len + 1;
    default:
        return at;
    }
}

static void run_one(const char *path, size_t variants)
{
    size_t len = 0;
    char *text = support_read_file(path, &len);
    if (text == NULL)
        exit(2);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)text, len);
    for (size_t i = 0; i < variants; i++) {
        uint8_t *changed = memory_alloc(len + GROWTH_MAX);
        size_t changed_len = len;
        memcpy(changed, text, len);
        for (size_t n = 1 + below(CHANGES_MAX); n > 0; n--)
            changed_len = change(changed, changed_len);
        (void)LLVMFuzzerTestOneInput(changed, changed_len);
        memory_free(changed);
    }
    free(text);
}

int main(int argc, char **argv)
{
    size_t variants = argc > 2 ? strtoul(argv[2], NULL, 10) : VARIANTS;
    DIR *corpus = argc > 1 ? opendir(argv[1]) : NULL;
    size_t count = 0;
    if (corpus == NULL) {
        (void)fprintf(stderr, "usage: %s CORPUS [VARIANTS]\n", argv[0]);
        return 2;
    }
    for (const struct dirent *entry; (entry = readdir(corpus)) != NULL;) {
        char path[SUPPORT_PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%.200s/%s", argv[1], entry->d_name);
        run_one(path, variants);
        count++;
    }
    (void)closedir(corpus);
    (void)printf("%zu inputs, each with %zu variants\n", count, variants);
    return count > 0 ? 0 : 1;
}
