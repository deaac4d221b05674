#include "file_browse.h"

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/units.h"

#include "file_config.h"
#include "file_letter.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPONENT "file"

struct browse {
    const strid_connector_args *args;
    bool (*fn)(void *user, const strid_output *letter);
    void *user;
    struct json_parser *parser;
    struct file_letter letter;
    bool ended; /* by the callback */
};

static void report_passed_over(const struct browse *browse, const char *path, uint64_t count)
{
    if (count > 0 && browse->args->log != NULL)
        log_warn(browse->args->log, COMPONENT,
                 "%s: passed over %" PRIu64 " line%s without a dead letter", path, count,
                 units_plural(count));
}

static strid_status browse_file(void *user, const char *path, strid_error *err)
{
    struct browse *browse = user;
    if (browse->ended)
        return STRID_OK;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return errno == ENOENT
                   ? STRID_OK
                   : error_set_errno(err, errno, COMPONENT, "%s cannot be opened", path);
    char *line = NULL;
    size_t room = 0;
    uint64_t passed_over = 0;
    ssize_t len;
    while (!browse->ended && (len = getline(&line, &room, file)) > 0) {
        strid_bytes text = strid_bytes_of(line, (size_t)len);
        if (file_letter_parse(&browse->letter, browse->parser, text))
            browse->ended = !browse->fn(browse->user, &browse->letter.output);
        else
            passed_over++;
    }
    strid_status status = STRID_OK;
    if (ferror(file))
        status = error_set_errno(err, errno, COMPONENT, "%s cannot be read", path);
    free(line); /* getline's own */
    (void)fclose(file);
    report_passed_over(browse, path, passed_over);
    return status;
}

static int is_dead_letter_file(const struct dirent *item)
{
    size_t len = strlen(item->d_name);
    return item->d_name[0] != '.' && len > 4 && strcmp(item->d_name + len - 4, ".dlq") == 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static strid_status browse_directory(const char *directory, file_browse_path_fn fn, void *user,
                                     strid_error *err)
{
    struct dirent **items = NULL;
    int count = scandir(directory, &items, is_dead_letter_file, compare_names);
    if (count < 0)
        return error_set_errno(err, errno, COMPONENT, "directory %s cannot be listed", directory);
    strid_status status = STRID_OK;
    for (int i = 0; i < count; i++) {
        if (status == STRID_OK) {
            size_t size = strlen(directory) + strlen(items[i]->d_name) + 2;
            char *path = memory_alloc(size);
            (void)snprintf(path, size, "%s/%s", directory, items[i]->d_name);
            status = fn(user, path, err);
            memory_free(path);
        }
        free(items[i]); /* scandir's own */
    }
    free(items);
    return status;
}

strid_status file_browse_paths(const strid_connector_args *args, file_browse_path_fn fn, void *user,
                               strid_error *err)
{
    const struct file_sink_options *options = args->options;
    return options->per_source ? browse_directory(args->target, fn, user, err)
                               : fn(user, args->target, err);
}

strid_status file_browse(const strid_connector_args *args,
                         bool (*fn)(void *user, const strid_output *letter), void *user,
                         strid_error *err)
{
    struct browse browse = {.args = args, .fn = fn, .user = user, .parser = json_parser_create()};
    strid_status status = file_browse_paths(args, browse_file, &browse, err);
    json_parser_destroy(browse.parser);
    file_letter_fini(&browse.letter);
    return status;
}
