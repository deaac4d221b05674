#include "rocksdb_bulk.h"

#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"
#include "rocksdb_failure.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPONENT "rocksdb"
#define DOING "bulk load"

enum { FILES_MAX = 257 }; /* kinds of keys: values of the first byte, and the empty key */

struct files {
    char *names[FILES_MAX];
    size_t count;
};

static strid_status lost(strid_error *err, int reason, const char *what, const char *name)
{
    (void)error_set_errno(err, reason, COMPONENT, DOING ": cannot %s %s", what, name);
    if (err != NULL)
        err->status = STRID_ESTORE;
    return STRID_ESTORE;
}

static void files_remove(struct files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        (void)unlink(files->names[i]); /* gone already where the ingest moved it */
        memory_free(files->names[i]);
    }
    files->count = 0;
}

static strid_status writer_begin(struct rocksdb_bulk *bulk, rocksdb_sstfilewriter_t *writer,
                                 struct files *files, strid_error *err)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s/ingest/%06" PRIu64 ".sst", bulk->path, bulk->next_file++) >=
        (int)sizeof name)
        return lost(err, ENAMETOOLONG, "write below", bulk->path);
    files->names[files->count++] = memory_copy_text(name);
    char *text = NULL;
    rocksdb_sstfilewriter_open(writer, name, &text);
    return text == NULL ? STRID_OK : rocksdb_failure_write(text, bulk->path, DOING, err);
}

static strid_status writer_add(const struct rocksdb_bulk *bulk, rocksdb_sstfilewriter_t *writer,
                               const struct store_op *op, strid_error *err)
{
    char *text = NULL;
    const char *key = (const char *)op->key.data;
    if (op->value.data == NULL)
        rocksdb_sstfilewriter_delete(writer, key, op->key.len, &text);
    else
        rocksdb_sstfilewriter_put(writer, key, op->key.len, (const char *)op->value.data,
                                  op->value.len, &text);
    return text == NULL ? STRID_OK : rocksdb_failure_write(text, bulk->path, DOING, err);
}

static strid_status writer_end(const struct rocksdb_bulk *bulk, rocksdb_sstfilewriter_t *writer,
                               strid_error *err)
{
    char *text = NULL;
    rocksdb_sstfilewriter_finish(writer, &text); /* syncs the file */
    return text == NULL ? STRID_OK : rocksdb_failure_write(text, bulk->path, DOING, err);
}

/* The kind of a key; the empty key is a kind of its own. */
static int kind_of(strid_bytes key) { return key.len == 0 ? -1 : key.data[0]; }

static strid_status write_files(struct rocksdb_bulk *bulk, rocksdb_sstfilewriter_t *writer,
                                store_next_fn next, void *user, struct files *files,
                                strid_error *err)
{
    struct store_op op;
    int kind = INT_MIN;
    strid_status status = STRID_OK;
    while (status == STRID_OK && next(user, &op)) {
        int op_kind = kind_of(op.key);
        if (op_kind < kind)
            return error_set(err, STRID_ESTORE, COMPONENT,
                             DOING ": the keys do not come in ascending order");
        if (op_kind > kind) {
            if (files->count > 0)
                status = writer_end(bulk, writer, err);
            if (status == STRID_OK)
                status = writer_begin(bulk, writer, files, err);
            kind = op_kind;
        }
        if (status == STRID_OK)
            status = writer_add(bulk, writer, &op, err);
    }
    if (status == STRID_OK && files->count > 0)
        status = writer_end(bulk, writer, err);
    return status;
}

static char *ingest_once(const struct rocksdb_bulk *bulk, const struct files *files,
                         unsigned char may_flush)
{
    rocksdb_ingestexternalfileoptions_t *options = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(options, 1);
    /* Nothing here reads through snapshots that outlive a call. */
    rocksdb_ingestexternalfileoptions_set_snapshot_consistency(options, 0);
    rocksdb_ingestexternalfileoptions_set_allow_blocking_flush(options, may_flush);
    char *text = NULL;
    rocksdb_ingest_external_file(bulk->db, (const char *const *)files->names, files->count, options,
                                 &text);
    rocksdb_ingestexternalfileoptions_destroy(options);
    return text;
}

static strid_status ingest(const struct rocksdb_bulk *bulk, const struct files *files,
                           strid_error *err)
{
    char *text = ingest_once(bulk, files, 0);
    /* The engine applies no kind of key that it also loads, so this is for other callers: keys in
     * the memtable lie within the range of a file, which has to be newer than they are. */
    if (text != NULL && strstr(text, "requires flush") != NULL) {
        rocksdb_free(text);
        text = ingest_once(bulk, files, 1);
    }
    return text == NULL ? STRID_OK : rocksdb_failure_write(text, bulk->path, DOING, err);
}

strid_status rocksdb_bulk_load(struct rocksdb_bulk *bulk, store_next_fn next, void *user,
                               strid_error *err)
{
    char directory[PATH_MAX];
    if (snprintf(directory, sizeof directory, "%s/ingest", bulk->path) >= (int)sizeof directory)
        return lost(err, ENAMETOOLONG, "write below", bulk->path);
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return lost(err, errno, "make", directory);
    struct files *files = memory_alloc_zeroed(sizeof *files);
    rocksdb_envoptions_t *env = rocksdb_envoptions_create();
    rocksdb_sstfilewriter_t *writer = rocksdb_sstfilewriter_create(env, bulk->options);
    strid_status status = write_files(bulk, writer, next, user, files, err);
    rocksdb_sstfilewriter_destroy(writer);
    rocksdb_envoptions_destroy(env);
    if (status == STRID_OK && files->count > 0) {
        CRASH_POINT("store_sst_written");
        status = ingest(bulk, files, err);
        CRASH_POINT("store_after_ingest");
    }
    files_remove(files);
    memory_free(files);
    return status;
}

strid_status rocksdb_bulk_clean(const char *path, strid_error *err)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s/ingest", path) >= (int)sizeof name)
        return error_set(err, STRID_EIO, COMPONENT, "the path %s is too long", path);
    DIR *directory = opendir(name);
    if (directory == NULL)
        return errno == ENOENT ? STRID_OK
                               : error_set_errno(err, errno, COMPONENT, "cannot read %s", name);
    strid_status status = STRID_OK;
    const struct dirent *entry;
    while (status == STRID_OK && (entry = readdir(directory)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len < 4 || strcmp(entry->d_name + len - 4, ".sst") != 0)
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) != 0)
            status =
                error_set_errno(err, errno, COMPONENT, "cannot remove %s/%s", name, entry->d_name);
    }
    (void)closedir(directory);
    return status;
}
