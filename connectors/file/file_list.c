#include "file_list.h"

#include "base/error.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COMPONENT "file"

void file_list_fini(struct file_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        memory_free(list->entries[i].path);
        free(list->entries[i].identity); /* realpath's own */
    }
    memory_free(list->entries);
    *list = (struct file_list){0};
}

static strid_status add(struct file_list *list, const char *path, uint64_t bytes, strid_error *err)
{
    char *identity = realpath(path, NULL);
    if (identity == NULL)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be resolved", path);
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        list->entries = memory_resize(list->entries, list->capacity * sizeof *list->entries);
    }
    list->entries[list->count++] = (struct file_entry){
        .path = memory_copy_text(path),
        .identity = identity,
        .bytes = bytes,
    };
    return STRID_OK;
}

static bool is_wanted(const char *name, const char *match)
{
    size_t len = strlen(name);
    if (name[0] == '.' || (len >= 4 && strcmp(name + len - 4, ".dlq") == 0))
        return false;
    return fnmatch(match, name, 0) == 0;
}

/* What is no regular file (a directory, a socket) is no partition; a name that points nowhere is a
 * file that is not there. */
static strid_status add_from_directory(struct file_list *list, const char *directory,
                                       const char *name, strid_error *err)
{
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = memory_alloc(size);
    bool has_slash = directory[0] != '\0' && directory[strlen(directory) - 1] == '/';
    (void)snprintf(path, size, "%s%s%s", directory, has_slash ? "" : "/", name);
    struct stat info;
    strid_status status = STRID_OK;
    if (stat(path, &info) == 0) {
        if (S_ISREG(info.st_mode))
            status = add(list, path, (uint64_t)info.st_size, err);
    } else if (errno != ENOENT) {
        status = error_set_errno(err, errno, COMPONENT, "%s cannot be looked at", path);
    }
    memory_free(path);
    return status;
}

static strid_status scan(struct file_list *list, const char *path, const char *match,
                         strid_error *err)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return error_set_errno(err, errno, COMPONENT, "directory %s cannot be listed", path);
    strid_status status = STRID_OK;
    while (status == STRID_OK) {
        errno = 0;
        const struct dirent *item = readdir(directory);
        if (item == NULL) {
            if (errno != 0)
                status =
                    error_set_errno(err, errno, COMPONENT, "directory %s cannot be listed", path);
            break;
        }
        if (is_wanted(item->d_name, match))
            status = add_from_directory(list, path, item->d_name, err);
    }
    closedir(directory);
    if (status == STRID_OK && list->count == 0)
        status = error_set(err, STRID_ENOTFOUND, COMPONENT,
                           "no file in directory %s matches \"%s\" (names that end in .dlq or "
                           "begin with a dot do not count): correct the path or `match`",
                           path, match);
    return status;
}

static int compare_identity(const void *a, const void *b)
{
    return strcmp(((const struct file_entry *)a)->identity,
                  ((const struct file_entry *)b)->identity);
}

static int compare_path(const void *a, const void *b)
{
    return strcmp(((const struct file_entry *)a)->path, ((const struct file_entry *)b)->path);
}

/* Two names of one file would count its records twice. */
static strid_status check_distinct(struct file_list *list, strid_error *err)
{
    qsort(list->entries, list->count, sizeof *list->entries, compare_identity);
    for (uint32_t i = 1; i < list->count; i++) {
        if (compare_identity(&list->entries[i - 1], &list->entries[i]) == 0)
            return error_set(err, STRID_ECONFIG, COMPONENT,
                             "%s and %s are the same file and would be read twice: remove one, or "
                             "choose with `match`",
                             list->entries[i - 1].path, list->entries[i].path);
    }
    qsort(list->entries, list->count, sizeof *list->entries, compare_path);
    return STRID_OK;
}

strid_status file_list_init(struct file_list *list, const char *path, const char *match,
                            strid_error *err)
{
    *list = (struct file_list){0};
    struct stat info;
    if (stat(path, &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return error_set(err, STRID_ENOTFOUND, COMPONENT,
                             "there is no file or directory \"%s\": correct the path", path);
        return error_set_errno(err, errno, COMPONENT, "%s cannot be looked at", path);
    }
    strid_status status;
    if (S_ISDIR(info.st_mode)) {
        list->is_directory = true;
        status = scan(list, path, match, err);
    } else if (S_ISREG(info.st_mode)) {
        status = add(list, path, (uint64_t)info.st_size, err);
    } else {
        status = error_set(err, STRID_ECONFIG, COMPONENT,
                           "%s is neither a regular file nor a directory, so reading could not go "
                           "on where it stopped: write it to a file first",
                           path);
    }
    if (status == STRID_OK)
        status = check_distinct(list, err);
    if (status != STRID_OK)
        file_list_fini(list);
    return status;
}

static bool is_same_directory(const char *one, const char *other)
{
    struct stat info_one, info_other;
    return stat(one, &info_one) == 0 && stat(other, &info_other) == 0 &&
           info_one.st_dev == info_other.st_dev && info_one.st_ino == info_other.st_ino;
}

bool file_list_covers(const struct file_list *list, const char *directory, const char *match,
                      const char *path)
{
    char *identity = realpath(path, NULL);
    bool covered = false;
    for (uint32_t i = 0; identity != NULL && i < list->count; i++)
        covered = covered || strcmp(list->entries[i].identity, identity) == 0;
    free(identity); /* realpath's own */
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (covered || !list->is_directory || *name == '\0' || !is_wanted(name, match))
        return covered;
    char *parent = memory_copy_text(slash == NULL ? "." : path);
    if (slash != NULL)
        parent[slash == path ? 1 : slash - path] = '\0';
    covered = is_same_directory(parent, directory);
    memory_free(parent);
    return covered;
}
