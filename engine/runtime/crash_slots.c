#include "runtime/crash_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutant.h"

#define COMPONENT "crash-slots"

enum { FILE_MODE = 0600 };
static const uint8_t magic[8] = {'S', 'T', 'R', 'I', 'D', 'C', 'S', '\n'};

static uint32_t crc_of(const struct crash_slots_file *file)
{
    return crc32c(0, file, offsetof(struct crash_slots_file, crc));
}

static bool is_blank(const struct crash_slots_file *file)
{
    static const uint8_t zeros[offsetof(struct crash_slots_file, slots)];
    return memcmp(file, zeros, sizeof zeros) == 0;
}

/* What is wrong with a file that was made before; NULL: nothing. */
static const char *fault_of(const struct crash_slots_file *file, const uint8_t *directory)
{
    if (memcmp(file->magic, magic, sizeof magic) != 0)
        return "does not begin as such a file does";
    if (file->crc != crc_of(file))
        return "has a header whose checksum is wrong";
    if (file->version != CRASH_SLOTS_VERSION || file->size != sizeof *file)
        return "was made by another version";
    if (memcmp(file->directory, directory, sizeof file->directory) != 0)
        return "belongs to another state directory";
    return NULL;
}

static void make_anew(struct crash_slots_file *file, const uint8_t *directory)
{
    memset(file, 0, sizeof *file);
    memcpy(file->magic, magic, sizeof magic);
    memcpy(file->directory, directory, sizeof file->directory);
    file->version = CRASH_SLOTS_VERSION;
    file->size = sizeof *file;
    file->crc = crc_of(file);
}

/* The entry for a record that was in hand: its own, a free one, else one that never ended the
 * process. */
static struct crash_suspect *place_for(struct crash_slots_file *file, uint32_t partition,
                                       strid_position position)
{
    struct crash_suspect *place = NULL;
    for (uint32_t i = 0; i < CRASH_SLOTS_SUSPECTS; i++) {
        struct crash_suspect *suspect = &file->suspects[i];
        bool known = crash_suspect_state(suspect) != 0;
        if (known && suspect->partition == partition && suspect->high == position.high &&
            suspect->low == position.low)
            return suspect;
        if (place == NULL || (!known && crash_suspect_state(place) != 0))
            place = suspect;
        else if (crash_suspect_state(place) != 0 &&
                 crash_suspect_crashes(suspect) < crash_suspect_crashes(place))
            place = suspect;
    }
    return place;
}

/* The state comes last: a crash here leaves a free entry, and the slot as it was. */
static void add_suspect(struct crash_slots_file *file, const struct crash_slot *slot,
                        uint32_t flags)
{
    uint32_t partition = atomic_load_explicit(&slot->partition, memory_order_relaxed);
    strid_position position = {atomic_load_explicit(&slot->high, memory_order_relaxed),
                               atomic_load_explicit(&slot->low, memory_order_relaxed)};
    struct crash_suspect *suspect = place_for(file, partition, position);
    uint32_t waited = (flags & CRASH_SLOT_WAITED) != 0 ? CRASH_SUSPECT_WAITED : 0;
    uint32_t state = crash_suspect_state(suspect);
    if (state != 0 && (suspect->partition != partition || suspect->high != position.high ||
                       suspect->low != position.low)) {
        crash_suspect_set(suspect, 0);
        state = 0;
    }
    suspect->partition = partition;
    suspect->high = position.high;
    suspect->low = position.low;
    suspect->missed = 0;
    if (MUTANT(MUTANT_CRASH_COUNTED) &&
        suspect->state / CRASH_SUSPECT_CRASH < CRASH_SLOTS_CRASHES_MAX)
        state += CRASH_SUSPECT_CRASH;
    crash_suspect_set(suspect, state | CRASH_SUSPECT_KNOWN | waited);
}

/* Who was alone when the process ended has ended it. Returns how many entries made no sense. */
static uint32_t count_crashes(struct crash_slots_file *file)
{
    uint32_t damaged = 0;
    for (uint32_t i = 0; i < CRASH_SLOTS_SUSPECTS; i++) {
        struct crash_suspect *suspect = &file->suspects[i];
        uint32_t state = crash_suspect_state(suspect);
        uint32_t flags = state % CRASH_SUSPECT_CRASH;
        if ((state != 0 && (flags & CRASH_SUSPECT_KNOWN) == 0) ||
            (flags & ~(uint32_t)CRASH_SUSPECT_FLAGS) != 0 ||
            crash_suspect_crashes(suspect) > CRASH_SLOTS_CRASHES_MAX) {
            crash_suspect_set(suspect, 0);
            damaged++;
        } else if ((flags & CRASH_SUSPECT_ALONE) != 0) {
            state -= CRASH_SUSPECT_ALONE;
            if (crash_suspect_crashes(suspect) < CRASH_SLOTS_CRASHES_MAX)
                state += CRASH_SUSPECT_CRASH;
            crash_suspect_set(suspect, state);
        }
    }
    return damaged;
}

static void collect(struct crash_slots_file *file, const char *path, const struct log *log)
{
    uint32_t damaged = count_crashes(file);
    for (uint32_t i = 0; i < CRASH_SLOTS_WORKERS; i++) {
        struct crash_slot *slot = &file->slots[i];
        uint32_t flags = atomic_load_explicit(&slot->flags, memory_order_relaxed);
        if ((flags & ~(uint32_t)CRASH_SLOT_FLAGS) != 0)
            damaged++;
        else if ((flags & CRASH_SLOT_IN_HAND) != 0)
            add_suspect(file, slot, flags);
        atomic_store_explicit(&slot->flags, 0, memory_order_release);
    }
    if (damaged > 0)
        log_warn(log, COMPONENT,
                 "%s: %" PRIu32 " entries are damaged and were left out; which records were in "
                 "hand when the process ended is known in part only",
                 path == NULL ? "memory" : path, damaged);
}

static strid_status failed(int fd, const char *path, const char *what, int reason, strid_error *err)
{
    if (fd >= 0)
        (void)close(fd);
    return error_set_errno(err, reason, COMPONENT, "cannot %s %s", what, path);
}

/* Blocks of the file are reserved: a store into a mapping of a file with holes ends the process
 * when the disk is full. */
static strid_status map(struct crash_slots *slots, const char *path, const struct log *log,
                        strid_error *err)
{
    struct stat info;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0 || fstat(fd, &info) != 0)
        return failed(fd, path, "open", errno, err);
    off_t size = (off_t)sizeof *slots->file;
    if (info.st_size != 0 && info.st_size != size)
        log_warn(log, COMPONENT,
                 "%s has %lld bytes in place of %lld: it is damaged and made anew; which records "
                 "were in hand when the process ended is not known",
                 path, (long long)info.st_size, (long long)size);
    if (info.st_size != size && (ftruncate(fd, 0) != 0 || ftruncate(fd, size) != 0))
        return failed(fd, path, "resize", errno, err);
    int reason = posix_fallocate(fd, 0, size);
    if (reason != 0)
        return failed(fd, path, "reserve room for", reason, err);
    void *memory = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return failed(fd, path, "map", errno, err);
    (void)close(fd);
    slots->file = memory;
    slots->mapped = true;
    return STRID_OK;
}

strid_status crash_slots_open(struct crash_slots *slots, const char *path,
                              struct crash_slots_file *memory, const uint8_t *directory,
                              const struct log *log, strid_error *err)
{
    *slots = (struct crash_slots){.file = memory, .borrowed = memory != NULL};
    if (path != NULL && memory == NULL)
        STRID_TRY(map(slots, path, log, err));
    if (slots->file == NULL)
        slots->file = memory_alloc_aligned(sizeof(struct crash_slot), sizeof *slots->file);
    const char *fault = is_blank(slots->file) ? NULL : fault_of(slots->file, directory);
    if (fault != NULL)
        log_warn(log, COMPONENT,
                 "%s %s: it is made anew; which records were in hand when the process ended is not "
                 "known",
                 path == NULL ? "the memory" : path, fault);
    if (fault != NULL || is_blank(slots->file))
        make_anew(slots->file, directory);
    collect(slots->file, path, log);
    return STRID_OK;
}

void crash_slots_close(struct crash_slots *slots)
{
    if (slots->file == NULL)
        return;
    for (uint32_t i = 0; i < CRASH_SLOTS_WORKERS; i++)
        atomic_store_explicit(&slots->file->slots[i].flags, 0, memory_order_release);
    if (slots->mapped)
        (void)munmap(slots->file, sizeof *slots->file);
    else if (!slots->borrowed)
        memory_free(slots->file);
    *slots = (struct crash_slots){0};
}
