#define PCRE2_CODE_UNIT_WIDTH 8

#include "pattern.h"

#include <pcre2.h>

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"

/* A match that backtracks a million times over one line takes tens of milliseconds; patterns that
 * are meant stay far below. */
enum { MATCH_LIMIT = 1000000, HEAP_LIMIT_KIB = 8192, STACK_BEGIN = 32 * 1024, STACK_MAX = 1 << 20 };

/* What one match at a time needs; apart from the next, so that threads do not share cache lines. */
struct slot {
    alignas(128) atomic_flag busy;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

struct pattern {
    pcre2_code *code;
    struct slot *slots;
    uint32_t slot_count;
};

static strid_status refuse(const char *text, int code, size_t offset, strid_error *err)
{
    PCRE2_UCHAR why[128];
    if (pcre2_get_error_message(code, why, sizeof why) < 0)
        why[0] = '\0';
    if (offset >= strlen(text))
        return error_set(err, STRID_ECONFIG, "config",
                         "the pattern is no PCRE2 pattern: %s at its end", (const char *)why);
    return error_set(err, STRID_ECONFIG, "config", "the pattern is no PCRE2 pattern: %s at \"%s\"",
                     (const char *)why, text + offset);
}

static void slot_init(struct slot *slot, const pcre2_code *code)
{
    atomic_flag_clear_explicit(&slot->busy, memory_order_relaxed);
    slot->match = pcre2_match_data_create_from_pattern(code, NULL);
    slot->context = pcre2_match_context_create(NULL);
    STRID_ASSERT(slot->match != NULL && slot->context != NULL);
    (void)pcre2_set_match_limit(slot->context, MATCH_LIMIT);
    (void)pcre2_set_depth_limit(slot->context, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(slot->context, HEAP_LIMIT_KIB);
    slot->stack = pcre2_jit_stack_create(STACK_BEGIN, STACK_MAX, NULL);
    if (slot->stack != NULL) /* NULL: PCRE2 without JIT */
        pcre2_jit_stack_assign(slot->context, NULL, slot->stack);
}

strid_status pattern_create(const char *text, uint32_t threads, struct pattern **out,
                            strid_error *err)
{
    int code = 0;
    size_t offset = 0;
    uint32_t flags = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
    *out = NULL;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, flags, &code, &offset, NULL);
    if (compiled == NULL)
        return refuse(text, code, offset, err);
    (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* without it the interpreter matches */
    struct pattern *pattern = memory_alloc_zeroed(sizeof *pattern);
    pattern->code = compiled;
    pattern->slot_count = threads;
    pattern->slots = memory_alloc_aligned(alignof(struct slot), threads * sizeof *pattern->slots);
    for (uint32_t i = 0; i < threads; i++)
        slot_init(&pattern->slots[i], compiled);
    *out = pattern;
    return STRID_OK;
}

void pattern_destroy(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    for (uint32_t i = 0; i < pattern->slot_count; i++) {
        pcre2_match_data_free(pattern->slots[i].match);
        pcre2_match_context_free(pattern->slots[i].context);
        pcre2_jit_stack_free(pattern->slots[i].stack);
    }
    memory_free(pattern->slots);
    pcre2_code_free(pattern->code);
    memory_free(pattern);
}

int pattern_group(const struct pattern *pattern, const char *name)
{
    int number = pcre2_substring_number_from_name(pattern->code, (PCRE2_SPTR)name);
    return number > 0 ? number : -1;
}

/* There are as many slots as threads, so the search ends. A thread begins where it last found one,
 * so that each soon has its own. Acquire and release: the match data that the last user of the slot
 * wrote is seen by the next. */
static struct slot *claim(struct pattern *pattern)
{
    static _Thread_local uint32_t last;
    for (uint32_t i = last;; i++) {
        uint32_t at = i % pattern->slot_count;
        if (atomic_flag_test_and_set_explicit(&pattern->slots[at].busy, memory_order_acquire))
            continue;
        last = at;
        return &pattern->slots[at];
    }
}

enum pattern_result pattern_match(struct pattern *pattern, strid_bytes subject, const int *numbers,
                                  strid_bytes *groups, uint32_t count)
{
    static const uint8_t nothing[1] = "";
    const uint8_t *data = subject.data == NULL ? nothing : subject.data;
    struct slot *slot = claim(pattern);
    int found = pcre2_match(pattern->code, data, subject.len, 0, 0, slot->match, slot->context);
    const size_t *ovector = pcre2_get_ovector_pointer(slot->match);
    for (uint32_t i = 0; i < count; i++) {
        size_t at = 2 * (size_t)(numbers[i] < 0 ? 0 : numbers[i]);
        bool set = found > 0 && numbers[i] > 0 && numbers[i] < found && ovector[at] != PCRE2_UNSET;
        groups[i] = set ? strid_bytes_of(data + ovector[at], ovector[at + 1] - ovector[at])
                        : strid_bytes_of(NULL, 0);
    }
    atomic_flag_clear_explicit(&slot->busy, memory_order_release);
    if (found > 0)
        return PATTERN_MATCH;
    return found == PCRE2_ERROR_NOMATCH ? PATTERN_NO_MATCH : PATTERN_LIMIT;
}
