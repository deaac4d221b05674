#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A test that cannot make its surroundings has no result: it ends at once and says why. */
static void fail(const char *what, const char *path)
{
    fprintf(stderr, "tests/support: %s %s: %s\n", what, path, strerror(errno));
    exit(EXIT_FAILURE);
}

void support_directory_create(struct support_directory *directory)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] == '\0')
        base = "/tmp";
    int len = snprintf(directory->path, sizeof directory->path, "%s/strid-test-XXXXXX", base);
    if (len < 0 || (size_t)len >= sizeof directory->path) {
        errno = ENAMETOOLONG;
        fail("cannot make a directory below", base);
    }
    if (mkdtemp(directory->path) == NULL)
        fail("cannot make", directory->path);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void support_directory_remove(struct support_directory *directory)
{
    if (directory->path[0] != '\0')
        (void)nftw(directory->path, remove_entry, 32, FTW_DEPTH | FTW_PHYS);
    directory->path[0] = '\0';
}

void support_path(const struct support_directory *directory, const char *name,
                  char out[SUPPORT_PATH_MAX])
{
    int len = snprintf(out, SUPPORT_PATH_MAX, "%s/%s", directory->path, name);
    if (len < 0 || len >= SUPPORT_PATH_MAX) {
        errno = ENAMETOOLONG;
        fail("cannot name", name);
    }
}

void support_write_file(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        fail("cannot create", path);
    if (len > 0 && fwrite(data, 1, len, file) != len)
        fail("cannot write", path);
    if (fclose(file) != 0)
        fail("cannot write", path);
}

char *support_read_file(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    struct stat info;
    if (fstat(fd, &info) != 0)
        fail("cannot look at", path);
    size_t size = (size_t)info.st_size;
    char *text = malloc(size + 1);
    if (text == NULL)
        fail("no memory to read", path);
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(fd, text + got, size - got);
        if (n < 0 && errno != EINTR)
            fail("cannot read", path);
        if (n == 0)
            break;
        got += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    text[got] = '\0';
    if (len != NULL)
        *len = got;
    return text;
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool support_wait(support_condition condition, void *user, int64_t deadline_ms)
{
    int64_t until = now_ms() + deadline_ms;
    while (!condition(user)) {
        if (now_ms() >= until)
            return condition(user);
        (void)poll(NULL, 0, 1);
    }
    return true;
}
