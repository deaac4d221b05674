#include "command.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"

enum { NEAREST_LENGTH_MAX = 32 };

enum command_exit command_exit_of(strid_status status)
{
    if (status == STRID_OK)
        return COMMAND_FINE;
    if (status == STRID_ECONFIG || status == STRID_EINVAL)
        return COMMAND_USAGE;
    return status == STRID_EUNREACHABLE ? COMMAND_UNREACHABLE : COMMAND_FAILED;
}

/* Levenshtein distance; texts longer than any name of ours count as far. */
static size_t distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > NEAREST_LENGTH_MAX || b_len > NEAREST_LENGTH_MAX)
        return NEAREST_LENGTH_MAX;
    size_t row[NEAREST_LENGTH_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_len];
}

struct nearest {
    const char *word;
    const char *name; /* NULL: nothing is near */
    size_t distance;
};

static void nearest_offer(struct nearest *nearest, const char *name)
{
    size_t len = strlen(nearest->word);
    /* the beginning of a longer word is rather that one than a short word that looks alike */
    bool begins = len > 2 && strncmp(nearest->word, name, len) == 0;
    size_t far = begins ? 1 : distance(nearest->word, name);
    if (far < nearest->distance) {
        nearest->distance = far;
        nearest->name = name;
    }
}

static struct nearest nearest_to(const char *word)
{
    size_t len = strlen(word);
    return (struct nearest){.word = word, .distance = len < 3 ? 2 : len / 2 + 1};
}

const struct command *command_find_alias(const char *word)
{
    static const char *const aliases[][2] = {{"dlq-inspect", "dlq list"},
                                             {"dlq-purge", "dlq purge"},
                                             {"replay", "dlq replay"},
                                             {"inspect", "consume"}};
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        for (const struct command *command = command_table;
             strcmp(aliases[i][0], word) == 0 && command->name != NULL; command++)
            if (strcmp(command->name, aliases[i][1]) == 0)
                return command;
    return NULL;
}

static const struct command *find_command(int count, char **words, int *used)
{
    for (const struct command *command = command_table; command->name != NULL; command++) {
        const char *space = strchr(command->name, ' ');
        size_t first = space == NULL ? strlen(command->name) : (size_t)(space - command->name);
        if (strlen(words[0]) != first || strncmp(words[0], command->name, first) != 0)
            continue;
        *used = space == NULL ? 1 : 2;
        if (space == NULL || (count > 1 && strcmp(words[1], space + 1) == 0))
            return command;
    }
    *used = 1;
    return command_find_alias(words[0]);
}

static void say_unknown_command(int count, char **words)
{
    if (words[0][0] == '-') {
        talk_error("'%s' stands where a command is expected; flags stand behind it: "
                   "strid COMMAND %s",
                   words[0], words[0]);
        return;
    }
    char joined[2 * NEAREST_LENGTH_MAX + 2];
    bool group = false;
    for (const struct command *command = command_table; command->name != NULL; command++) {
        size_t len = strlen(words[0]);
        group = group || (strncmp(command->name, words[0], len) == 0 && command->name[len] == ' ');
    }
    bool two = group && count > 1 && words[1][0] != '-';
    (void)snprintf(joined, sizeof joined, "%.32s%s%.32s", words[0], two ? " " : "",
                   two ? words[1] : "");
    if (group && !two) {
        talk_error("'%s' needs to be told what to do: see 'strid help %s'", words[0], words[0]);
        return;
    }
    struct nearest nearest = nearest_to(joined);
    for (const struct command *command = command_table; command->name != NULL; command++)
        nearest_offer(&nearest, command->name);
    if (nearest.name != NULL)
        talk_error("there is no command '%s'; did you mean 'strid %s'?", joined, nearest.name);
    else
        talk_error("there is no command '%s': 'strid help' lists them", joined);
}

/* "-f" as kcat has it; NULL: the command has no such flag. */
static const strid_option *find_short_flag(const struct command *command, char letter)
{
    for (const strid_option *flag = command->flags; flag->name != NULL; flag++)
        if (letter != '\0' && command_letter_of(flag) == letter)
            return flag;
    for (const strid_option *flag = command_common_flags; flag->name != NULL; flag++)
        if (letter != '\0' && command_letter_of(flag) == letter)
            return flag;
    return NULL;
}

static const strid_option *find_flag(const strid_option *flags, const char *name, size_t len)
{
    for (; flags->name != NULL; flags++)
        if (strlen(flags->name) == len && strncmp(flags->name, name, len) == 0)
            return flags;
    return NULL;
}

static void say_unknown_flag(const struct command *command, const char *name, size_t len)
{
    char given[NEAREST_LENGTH_MAX + 1];
    (void)snprintf(given, sizeof given, "%.*s", (int)(len > 32 ? 32 : len), name);
    struct nearest nearest = nearest_to(given);
    for (const strid_option *flag = command->flags; flag->name != NULL; flag++)
        nearest_offer(&nearest, flag->name);
    for (const strid_option *flag = command_common_flags; flag->name != NULL; flag++)
        nearest_offer(&nearest, flag->name);
    if (nearest.name != NULL)
        talk_error("'%s' has no flag --%s; did you mean --%s?", command->name, given, nearest.name);
    else
        talk_error("'%s' has no flag --%s: see 'strid help %s'", command->name, given,
                   command->name);
}

static bool set_int(const strid_option *flag, const char *value, int64_t *to)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < flag->min || number > flag->max) {
        talk_error("--%s needs a whole number from %lld to %lld, not '%s'", flag->name,
                   (long long)flag->min, (long long)flag->max, value);
        return false;
    }
    *to = number;
    return true;
}

static bool set_word(const strid_option *flag, const char *value, int32_t *to)
{
    struct nearest nearest = nearest_to(value);
    for (int32_t i = 0; flag->choices[i] != NULL; i++) {
        if (strcmp(flag->choices[i], value) == 0) {
            *to = i;
            return true;
        }
        nearest_offer(&nearest, flag->choices[i]);
    }
    char words[128];
    size_t len = 0;
    for (size_t i = 0; flag->choices[i] != NULL && len < sizeof words; i++)
        len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", i == 0 ? "" : ", ",
                                flag->choices[i]);
    talk_error("--%s knows %s, not '%s'%s%s%s", flag->name, words, value,
               nearest.name == NULL ? "" : "; did you mean ",
               nearest.name == NULL ? "" : nearest.name, nearest.name == NULL ? "" : "?");
    return false;
}

static uint64_t bit_of(const struct command *command, const strid_option *flag)
{
    uint32_t n = 0;
    for (const strid_option *own = command->flags; own->name != NULL; own++, n++)
        if (own == flag)
            return UINT64_C(1) << n;
    return UINT64_C(1) << (n + (uint32_t)(flag - command_common_flags));
}

static bool set_flag(const strid_option *flag, const char *value, struct command_call *call)
{
    char *member = (char *)call + flag->offset;
    const uint64_t bit = bit_of(call->command, flag);
    const bool has_two = (flag->flags & COMMAND_TWICE) != 0;
    const char *second = NULL;
    if (has_two)
        memcpy(&second, member + sizeof value, sizeof second);
    if (has_two ? second != NULL : (call->given & bit) != 0) {
        talk_error("--%s is given %s: see 'strid help %s'", flag->name,
                   has_two ? "three times" : "twice", call->command->name);
        return false;
    }
    if (has_two && (call->given & bit) != 0)
        member += sizeof value;
    call->given |= bit;
    if (flag->type == STRID_OPTION_INT)
        return set_int(flag, value, (int64_t *)(void *)member);
    if (flag->type == STRID_OPTION_ENUM)
        return set_word(flag, value, (int32_t *)(void *)member);
    memcpy(member, &value, sizeof value);
    return true;
}

/* "-c 5" or "-c5" or "-e"; returns as parse_flag. */
static int parse_short_flag(int count, char **words, struct command_call *call)
{
    const strid_option *flag = find_short_flag(call->command, words[0][1]);
    const char *joined = words[0] + 2;
    if (flag == NULL || (flag->type == STRID_OPTION_BOOL && *joined != '\0')) {
        talk_error("'%s' has no flag %s: see 'strid help %s'", call->command->name, words[0],
                   call->command->name);
        return 0;
    }
    if (flag->type == STRID_OPTION_BOOL) {
        *(bool *)((char *)call + flag->offset) = true;
        return 1;
    }
    if (*joined == '\0' && count < 2) {
        talk_error("-%c (--%s) needs a value: see 'strid help %s'", words[0][1], flag->name,
                   call->command->name);
        return 0;
    }
    if (!set_flag(flag, *joined == '\0' ? words[1] : joined, call))
        return 0;
    return *joined == '\0' ? 2 : 1;
}

/* Handles the flag words[0], whose value may be words[1]; returns how many words it took, 0: wrong.
 */
static int parse_flag(int count, char **words, struct command_call *call)
{
    const char *name = words[0] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const strid_option *flag = find_flag(call->command->flags, name, len);
    if (flag == NULL)
        flag = find_flag(command_common_flags, name, len);
    if (flag == NULL) {
        say_unknown_flag(call->command, name, len);
        return 0;
    }
    if (flag->type == STRID_OPTION_BOOL) {
        if (equals != NULL) {
            talk_error("--%s takes no value", flag->name);
            return 0;
        }
        *(bool *)((char *)call + flag->offset) = true;
        return 1;
    }
    if (equals == NULL && count < 2) {
        talk_error("--%s needs a value: see 'strid help %s'", flag->name, call->command->name);
        return 0;
    }
    if (!set_flag(flag, equals == NULL ? words[1] : equals + 1, call))
        return 0;
    return equals == NULL ? 2 : 1;
}

static bool check_complete(const struct command_call *call)
{
    const struct command *command = call->command;
    if (call->help)
        return true;
    if (call->argument_count < command->argument_min) {
        talk_error("'%s' needs %s: see 'strid help %s'", command->name, command->arguments,
                   command->name);
        return false;
    }
    for (const strid_option *flag = command->flags; flag->name != NULL; flag++) {
        const char *value = NULL;
        memcpy(&value, (const char *)call + flag->offset, sizeof value);
        if ((flag->flags & STRID_OPTION_REQUIRED) != 0 && value == NULL) {
            talk_error("'%s' needs --%s: see 'strid help %s'", command->name, flag->name,
                       command->name);
            return false;
        }
    }
    return true;
}

bool command_parse(int count, char **words, struct command_call *call)
{
    *call = (struct command_call){.log_level = 1};
    int used = 0;
    call->command = find_command(count, words, &used);
    if (call->command == NULL) {
        say_unknown_command(count, words);
        return false;
    }
    bool flags_ended = false;
    for (int i = used; i < count;) {
        if (!flags_ended && strcmp(words[i], "--") == 0) {
            flags_ended = true;
            i++;
        } else if (!flags_ended && words[i][0] == '-' && words[i][1] != '\0') {
            int taken = words[i][1] == '-' ? parse_flag(count - i, words + i, call)
                                           : parse_short_flag(count - i, words + i, call);
            if (taken == 0)
                return false;
            i += taken;
        } else if (call->argument_count == call->command->argument_max) {
            talk_error("'%s' takes %s, so '%s' is too much: see 'strid help %s'",
                       call->command->name,
                       call->command->arguments[0] == '\0' ? "nothing" : call->command->arguments,
                       words[i], call->command->name);
            return false;
        } else {
            call->arguments[call->argument_count++] = words[i++];
        }
    }
    talk_configure((enum talk_format)call->log_format, (strid_log_level)call->log_level);
    return check_complete(call);
}
