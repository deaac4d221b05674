/* The files that a source reads: the one it names, or those of a directory that match. Made by the
 * control thread at open, constant from then on. */
#ifndef FILE_LIST_H
#define FILE_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include <strid/error.h>

struct file_entry {
    char *path;     /* as configured, joined with the name in the directory */
    char *identity; /* canonical path, the same over runs */
    uint64_t bytes; /* size when it was listed */
};

struct file_list {
    struct file_entry *entries; /* sorted by path */
    uint32_t count;
    uint32_t capacity;
    bool is_directory;
};

/* STRID_ENOTFOUND: nothing is there, or nothing matches; STRID_ECONFIG: no regular file, or one
 * file under two names. On failure nothing is left to release. */
strid_status file_list_init(struct file_list *list, const char *path, const char *match,
                            strid_error *err);
void file_list_fini(struct file_list *list);

/* Whether a file of this path is in the list, or would be once it is there: `directory` and `match`
 * are those that the list was made of. */
bool file_list_covers(const struct file_list *list, const char *directory, const char *match,
                      const char *path);

#endif
