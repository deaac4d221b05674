/* Any words as a command line, one word a line: understood, with a command and no more arguments
 * than it takes, or refused. Messages go nowhere: this program stands in for talk.c. */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "tools/strid/command.h"
#include "tools/strid/talk.h"

enum { WORDS_MAX = 32 };

static uint32_t errors;

void talk_configure(enum talk_format format, strid_log_level level)
{
    (void)format;
    (void)level;
}

bool talk_is_live(void) { return false; }

void talk_error(const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    STRID_ASSERT(vsnprintf(message, sizeof message, format, arguments) > 0);
    va_end(arguments);
    errors++;
}

void talk_say(const char *format, ...) { (void)format; }

void talk_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    (void)level;
    (void)logger;
    (void)message;
}

void talk_set_line(const char *line) { (void)line; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS_MAX + 1] = {NULL};
    struct command_call call;
    int count = 0;
    char *text = memory_alloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *at = text; at != NULL && count < WORDS_MAX; count++) {
        char *end = strchr(at, '\n');
        words[count] = at;
        if (end != NULL)
            *end++ = '\0';
        at = end;
    }
    errors = 0;
    if (command_parse(count, words, &call)) {
        STRID_ASSERT(call.command != NULL && errors == 0);
        STRID_ASSERT(call.help || call.argument_count >= call.command->argument_min);
        STRID_ASSERT(call.argument_count <= call.command->argument_max);
    } else
        STRID_ASSERT(errors > 0);
    memory_free(text);
    return 0;
}
