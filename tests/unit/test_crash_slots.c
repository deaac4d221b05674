/* What a crash leaves in the slots, and what is made of it. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "runtime/crash_slots.h"
#include "support/support.h"

struct slots_case {
    struct support_directory directory;
    char path[SUPPORT_PATH_MAX];
    struct crash_slots slots;
    struct log log;
    char last_log[512];
    uint32_t logs;
    strid_error err;
    uint8_t id[CRASH_SLOTS_ID_BYTES];
};

static void keep_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    struct slots_case *at = user;
    cr_assert_eq(level, STRID_LOG_WARN);
    (void)snprintf(at->last_log, sizeof at->last_log, "%s: %s", logger, message);
    at->logs++;
}

static void init(struct slots_case *at)
{
    *at = (struct slots_case){.err = STRID_ERROR_INIT, .id = {1, 2, 3}};
    support_directory_create(&at->directory);
    support_path(&at->directory, "crash-slots", at->path);
    log_init(&at->log, keep_log, at);
}

static void fini(struct slots_case *at)
{
    crash_slots_close(&at->slots);
    log_fini(&at->log);
    support_directory_remove(&at->directory);
}

static void open_slots(struct slots_case *at)
{
    STRID_CHECK_OK(crash_slots_open(&at->slots, at->path, NULL, at->id, &at->log, &at->err),
                   at->err);
}

/* As a process that ends in between: the mapping goes, what was stored stays. */
static void crash(struct slots_case *at)
{
    struct crash_slots_file *copy = malloc(sizeof *copy); /* NOLINT */
    cr_assert_not_null(copy);
    memcpy(copy, at->slots.file, sizeof *copy);
    crash_slots_close(&at->slots);
    support_write_file(at->path, copy, sizeof *copy);
    free(copy);
    open_slots(at);
}

static void hold(struct slots_case *at, uint32_t worker, uint32_t partition, uint64_t position,
                 uint32_t flags)
{
    struct crash_slot *slot = &at->slots.file->slots[worker];
    slot->partition = partition;
    crash_slot_set(slot, (strid_position){7, position});
    slot->flags = flags;
}

static struct crash_suspect *find(struct slots_case *at, uint32_t partition, uint64_t position)
{
    struct crash_suspect *found = NULL;
    for (uint32_t i = 0; i < CRASH_SLOTS_SUSPECTS; i++) {
        struct crash_suspect *suspect = &at->slots.file->suspects[i];
        if (suspect->state == 0 || suspect->partition != partition || suspect->low != position)
            continue;
        cr_assert_eq(suspect->high, 7);
        cr_assert_null(found, "the same record twice");
        found = suspect;
    }
    return found;
}

static uint32_t count(const struct slots_case *at)
{
    uint32_t known = 0;
    for (uint32_t i = 0; i < CRASH_SLOTS_SUSPECTS; i++)
        known += at->slots.file->suspects[i].state != 0;
    return known;
}

Test(crash_slots, what_was_in_hand_becomes_a_suspect_and_what_was_not_does_not)
{
    struct slots_case at;
    init(&at);
    open_slots(&at);
    hold(&at, 0, 3, 100, CRASH_SLOT_IN_HAND);
    hold(&at, 1, 3, 200, 0);
    hold(&at, 255, 9, 300, CRASH_SLOT_IN_HAND | CRASH_SLOT_WAITED);
    crash(&at);
    cr_assert_eq(count(&at), 2);
    cr_assert_eq(find(&at, 3, 100)->state, CRASH_SUSPECT_KNOWN);
    cr_assert_eq(find(&at, 9, 300)->state, CRASH_SUSPECT_KNOWN | CRASH_SUSPECT_WAITED);
    for (uint32_t w = 0; w < CRASH_SLOTS_WORKERS; w++)
        cr_assert_eq(at.slots.file->slots[w].flags, 0);
    cr_assert_eq(at.logs, 0, "%s", at.last_log);
    fini(&at);
}

Test(crash_slots, an_end_that_is_said_leaves_no_suspect)
{
    struct slots_case at;
    init(&at);
    open_slots(&at);
    hold(&at, 4, 3, 100, CRASH_SLOT_IN_HAND);
    crash_slots_close(&at.slots);
    open_slots(&at);
    cr_assert_eq(count(&at), 0);
    fini(&at);
}

Test(crash_slots, only_who_was_alone_has_one_crash_more)
{
    struct slots_case at;
    init(&at);
    open_slots(&at);
    hold(&at, 0, 1, 100, CRASH_SLOT_IN_HAND);
    hold(&at, 1, 1, 200, CRASH_SLOT_IN_HAND);
    for (uint32_t crashes = 0; crashes < 5; crashes++) {
        crash(&at);
        uint32_t most = CRASH_SLOTS_CRASHES_MAX;
        struct crash_suspect *alone = find(&at, 1, 100);
        cr_assert_eq(crash_suspect_crashes(alone), crashes < most ? crashes : most);
        cr_assert_eq(crash_suspect_crashes(find(&at, 1, 200)), 0);
        cr_assert_eq(count(&at), 2);
        alone->state |= CRASH_SUSPECT_ALONE;
        hold(&at, 1, 1, 100, CRASH_SLOT_IN_HAND); /* it is in hand as well */
    }
    fini(&at);
}

Test(crash_slots, runs_without_a_suspect_count_anew_when_it_is_in_hand_again)
{
    struct slots_case at;
    init(&at);
    open_slots(&at);
    hold(&at, 0, 1, 100, CRASH_SLOT_IN_HAND);
    crash(&at);
    find(&at, 1, 100)->missed = 7;
    crash(&at);
    cr_assert_eq(find(&at, 1, 100)->missed, 7);
    hold(&at, 2, 1, 100, CRASH_SLOT_IN_HAND);
    crash(&at);
    cr_assert_eq(find(&at, 1, 100)->missed, 0);
    fini(&at);
}

Test(crash_slots, a_full_table_forgets_who_never_ended_the_process)
{
    struct slots_case at;
    init(&at);
    open_slots(&at);
    for (uint32_t i = 0; i < CRASH_SLOTS_SUSPECTS; i++) {
        struct crash_suspect *suspect = &at.slots.file->suspects[i];
        suspect->partition = 1;
        suspect->high = 7;
        suspect->low = i;
        suspect->state = CRASH_SUSPECT_KNOWN + (i == 77 ? 0 : CRASH_SUSPECT_CRASH);
    }
    hold(&at, 0, 2, 5, CRASH_SLOT_IN_HAND);
    crash(&at);
    cr_assert_eq(count(&at), CRASH_SLOTS_SUSPECTS);
    cr_assert_null(find(&at, 1, 77));
    cr_assert_eq(find(&at, 2, 5)->state, CRASH_SUSPECT_KNOWN);
    fini(&at);
}

Test(crash_slots, the_file_is_new_where_it_is_missing_or_empty)
{
    struct slots_case at;
    init(&at);
    open_slots(&at);
    struct stat info;
    cr_assert_eq(stat(at.path, &info), 0);
    cr_assert_eq(info.st_size, sizeof(struct crash_slots_file));
    cr_assert_eq(info.st_mode & 0777, 0600);
    crash_slots_close(&at.slots);
    cr_assert_eq(truncate(at.path, 0), 0);
    open_slots(&at);
    cr_assert_eq(count(&at), 0);
    cr_assert_eq(at.logs, 0, "%s", at.last_log);
    fini(&at);
}

/* A suspect is there; then the file is changed behind our back. */
static void spoil(struct slots_case *at, size_t offset, uint8_t change, const char *told)
{
    init(at);
    open_slots(at);
    hold(at, 0, 3, 100, CRASH_SLOT_IN_HAND);
    struct crash_slots_file *file = at->slots.file;
    ((uint8_t *)file)[offset] ^= change;
    if (offset >= sizeof file->magic)
        file->crc = crc32c(0, file, offsetof(struct crash_slots_file, crc));
    if (offset == offsetof(struct crash_slots_file, crc))
        file->crc++;
    crash(at);
    cr_assert_eq(at->logs, 1);
    cr_assert_not_null(strstr(at->last_log, told), "%s", at->last_log);
    cr_assert_not_null(strstr(at->last_log, at->path), "%s", at->last_log);
}

Test(crash_slots, what_is_damaged_or_foreign_is_told_ignored_and_made_anew)
{
    struct slots_case at;
    const struct {
        size_t offset;
        const char *told;
    } faults[] = {
        {0, "does not begin as such a file does"},
        {offsetof(struct crash_slots_file, crc), "checksum is wrong"},
        {offsetof(struct crash_slots_file, version), "another version"},
        {offsetof(struct crash_slots_file, size), "another version"},
        {offsetof(struct crash_slots_file, directory), "another state directory"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        spoil(&at, faults[i].offset, 4, faults[i].told);
        cr_assert_eq(count(&at), 0);
        hold(&at, 0, 3, 100, CRASH_SLOT_IN_HAND);
        crash(&at);
        cr_assert_eq(count(&at), 1, "it works again");
        cr_assert_eq(at.logs, 1, "%s", at.last_log);
        fini(&at);
    }
}

Test(crash_slots, another_length_is_told_and_made_anew)
{
    struct slots_case at;
    init(&at);
    open_slots(&at);
    hold(&at, 0, 3, 100, CRASH_SLOT_IN_HAND);
    crash_slots_close(&at.slots);
    cr_assert_eq(truncate(at.path, 1000), 0);
    open_slots(&at);
    cr_assert_eq(count(&at), 0);
    cr_assert_not_null(strstr(at.last_log, "1000 bytes"), "%s", at.last_log);
    fini(&at);
}

Test(crash_slots, damaged_entries_are_left_out_and_the_others_stay)
{
    struct slots_case at;
    init(&at);
    open_slots(&at);
    hold(&at, 0, 1, 100, CRASH_SLOT_IN_HAND);
    crash(&at);
    cr_assert_eq(at.logs, 0);
    const uint32_t nonsense[] = {CRASH_SUSPECT_ALONE, CRASH_SUSPECT_KNOWN | 8,
                                 CRASH_SUSPECT_KNOWN | 4 * CRASH_SUSPECT_CRASH, 0xffffffff};
    for (uint32_t i = 0; i < 4; i++)
        at.slots.file->suspects[10 + i].state = nonsense[i];
    hold(&at, 5, 1, 200, 0x80 | CRASH_SLOT_IN_HAND);
    crash(&at);
    cr_assert_eq(count(&at), 1);
    cr_assert_not_null(find(&at, 1, 100));
    cr_assert_not_null(strstr(at.last_log, "5 entries are damaged"), "%s", at.last_log);
    fini(&at);
}

Test(crash_slots, a_place_that_cannot_be_written_is_an_error)
{
    struct slots_case at;
    init(&at);
    support_path(&at.directory, "missing/crash-slots", at.path);
    strid_status status = crash_slots_open(&at.slots, at.path, NULL, at.id, &at.log, &at.err);
    cr_assert_eq(status, STRID_EIO, "%s", at.err.message);
    cr_assert_not_null(strstr(at.err.message, "cannot open"), "%s", at.err.message);
    fini(&at);
}

Test(crash_slots, without_a_path_nothing_outlives_the_process)
{
    struct slots_case at;
    init(&at);
    STRID_CHECK_OK(crash_slots_open(&at.slots, NULL, NULL, at.id, &at.log, &at.err), at.err);
    hold(&at, 0, 3, 100, CRASH_SLOT_IN_HAND);
    crash_slots_close(&at.slots);
    STRID_CHECK_OK(crash_slots_open(&at.slots, NULL, NULL, at.id, &at.log, &at.err), at.err);
    cr_assert_eq(count(&at), 0);
    fini(&at);
}
