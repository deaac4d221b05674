#include "help.h"

#include <strid/version.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#include "output.h"
#include "talk.h"

enum { TEXT_COLUMNS = 78, FLAG_COLUMNS = 26, MEANING_MAX = 1024 };

#define put(...) buffer_printf(&output_buffer, __VA_ARGS__)

/* Exit codes, the environment and what holds for all commands; shared by all forms. */
static const struct {
    const char *name, *meaning;
} exit_codes[] = {
    {"0", "fine; also when a run was drained after SIGINT or SIGTERM"},
    {"1", "it failed, or what was asked for is not there, or a second signal stopped the run"},
    {"2", "wrong usage or wrong configuration; nothing was started"},
    {"3", "a broker or node could not be reached"},
};
static const struct {
    const char *name, *meaning;
} environment[] = {
    {"NO_COLOR", "not empty: no colours"},
    {"TERM", "unset or dumb: no colours and no progress bar"},
};
static const char *const conventions =
    "Data goes to standard output, everything said to people to standard error. Flags may stand "
    "anywhere behind the command; `--` ends them. Positions are byte offsets in files. The words "
    "of "
    "PSPF's pspfctl are taken, too: `dlq-inspect`, `dlq-purge`, `replay` (`dlq replay`), `inspect` "
    "(`consume`), `status`, `groups`, `reset`.";

/* "--workers N", "--log-level debug|info|warn|error". */
static void flag_usage(char *out, size_t size, const strid_option *flag)
{
    char letter = command_letter_of(flag);
    size_t len = letter == '\0' ? (size_t)snprintf(out, size, "--%s", flag->name)
                                : (size_t)snprintf(out, size, "-%c, --%s", letter, flag->name);
    if (flag->type == STRID_OPTION_INT)
        (void)snprintf(out + len, size - len, " N");
    else if (flag->type == STRID_OPTION_STRING) {
        len += (size_t)snprintf(out + len, size - len, " ");
        for (const char *at = flag->name; *at != '\0' && len + 1 < size; at++)
            out[len++] = (char)toupper((unsigned char)*at);
        out[len] = '\0';
    }
    for (size_t i = 0; flag->type == STRID_OPTION_ENUM && flag->choices[i] != NULL; i++)
        len +=
            (size_t)snprintf(out + len, size - len, "%s%s", i == 0 ? " " : "|", flag->choices[i]);
}

static void usage_line(const struct command *command)
{
    put("strid %s%s%s", command->name, command->arguments[0] == '\0' ? "" : " ",
        command->arguments);
    for (const strid_option *flag = command->flags; flag->name != NULL; flag++) {
        char usage[80];
        bool required = (flag->flags & STRID_OPTION_REQUIRED) != 0;
        flag_usage(usage, sizeof usage, flag);
        put(" %s%s%s", required ? "" : "[", usage, required ? "" : "]");
    }
}

/* Sentences broken between words; `indent` spaces before each line but the first. */
static void put_wrapped(const char *text, unsigned indent)
{
    unsigned column = indent;
    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, " ");
        if (column + len > TEXT_COLUMNS && column > indent) {
            put("\n%*s", (int)indent, "");
            column = indent;
        }
        put("%.*s", (int)len, at);
        column += (unsigned)len;
        at += len;
        if (*at == ' ') {
            at++;
            if (column + 1 + strcspn(at, " ") <= TEXT_COLUMNS) {
                put(" ");
                column++;
            } else {
                put("\n%*s", (int)indent, "");
                column = indent;
            }
        }
    }
    put("\n");
}

/* What a flag means and, where the table has it apart, its default between `quotes`. */
static const char *flag_meaning(char *out, size_t size, const strid_option *flag,
                                const char *quotes)
{
    int len = snprintf(out, size, "%s", flag->doc);
    if (flag->fallback != NULL)
        len = snprintf(out, size, "%s Default: %s%s%s.", flag->doc, quotes, flag->fallback, quotes);
    STRID_ASSERT(len > 0 && (size_t)len < size);
    return out;
}

static void text_flags(const strid_option *flag)
{
    for (; flag->name != NULL; flag++) {
        char usage[80];
        char meaning[MEANING_MAX];
        flag_usage(usage, sizeof usage, flag);
        put("  %-*s", FLAG_COLUMNS - 2, usage);
        if (strlen(usage) > FLAG_COLUMNS - 3)
            put("\n%*s", FLAG_COLUMNS, "");
        put_wrapped(flag_meaning(meaning, sizeof meaning, flag, ""), FLAG_COLUMNS);
    }
}

void help_command(const struct command *command)
{
    put("%s\n\nUsage: ", command->summary);
    usage_line(command);
    put("\n\n");
    if (command->details[0] != '\0') {
        put_wrapped(command->details, 0);
        put("\n");
    }
    put("Flags:\n");
    text_flags(command->flags);
    text_flags(command_common_flags);
    put("\nExample:\n  %s", command->example);
    output_line();
}

void help_overview(void)
{
    put("strid %s: stateful stream processing\n\nUsage: strid COMMAND [ARGUMENTS] [FLAGS]\n\n"
        "Commands:\n",
        strid_version());
    for (const struct command *command = command_table; command->name != NULL; command++)
        put("  %-14s%s\n", command->name, command->summary);
    put("\nFlags of all commands:\n");
    text_flags(command_common_flags);
    put("\nExit codes:\n");
    for (size_t i = 0; i < sizeof exit_codes / sizeof exit_codes[0]; i++)
        put("  %s  %s\n", exit_codes[i].name, exit_codes[i].meaning);
    put("\n'strid help COMMAND' says more about one of them.");
    output_line();
}

static void markdown_flags(const strid_option *flag)
{
    put("| flag | meaning |\n|---|---|\n");
    for (; flag->name != NULL; flag++) {
        char usage[80];
        char meaning[MEANING_MAX];
        flag_usage(usage, sizeof usage, flag);
        put("| `");
        for (const char *at = usage; *at != '\0'; at++)
            put("%s%c", *at == '|' ? "\\" : "", *at);
        put("` | %s |\n", flag_meaning(meaning, sizeof meaning, flag, "`"));
    }
    put("\n");
}

static void markdown(void)
{
    put("# The command\n\n<!-- Made from the table of commands: "
        "strid help --format markdown > docs/cli.md -->\n\n%s\n\n",
        conventions);
    for (const struct command *command = command_table; command->name != NULL; command++)
        put("- `strid %s`: %s\n", command->name, command->summary);
    put("\n## Flags of all commands\n\n");
    markdown_flags(command_common_flags);
    put("## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (size_t i = 0; i < sizeof exit_codes / sizeof exit_codes[0]; i++)
        put("| %s | %s |\n", exit_codes[i].name, exit_codes[i].meaning);
    put("\n## Environment\n\n| variable | meaning |\n|---|---|\n");
    for (size_t i = 0; i < sizeof environment / sizeof environment[0]; i++)
        put("| `%s` | %s |\n", environment[i].name, environment[i].meaning);
    for (const struct command *command = command_table; command->name != NULL; command++) {
        put("\n## strid %s\n\n%s\n\n```\n", command->name, command->summary);
        usage_line(command);
        put("\n```\n\n");
        if (command->details[0] != '\0')
            put("%s\n\n", command->details);
        if (command->flags->name != NULL)
            markdown_flags(command->flags);
        put("Example: `%s`\n", command->example);
    }
}

/* Text for roff: a hyphen is a minus, backslashes and quotes of code are dropped or escaped. */
static void put_roff(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '-')
            put("\\-");
        else if (*at == '\\')
            put("\\e");
        else if (*at != '`')
            buffer_put_u8(&output_buffer, (uint8_t)*at);
    }
    put("\n");
}

static void man_flags(const strid_option *flag)
{
    for (; flag->name != NULL; flag++) {
        char usage[80];
        char meaning[MEANING_MAX];
        flag_usage(usage, sizeof usage, flag);
        put(".TP\n.B ");
        put_roff(usage);
        put_roff(flag_meaning(meaning, sizeof meaning, flag, ""));
    }
}

static void man(void)
{
    put(".\\\" Made from the table of commands: strid help --format man > docs/strid.1\n"
        ".TH STRID 1 \"\" \"strid %s\" \"User Commands\"\n"
        ".SH NAME\nstrid \\- stateful stream processing\n"
        ".SH SYNOPSIS\n.B strid\n.I COMMAND\n[ARGUMENTS] [FLAGS]\n.SH DESCRIPTION\n",
        strid_version());
    put_roff(conventions);
    put(".SH COMMANDS\n");
    for (const struct command *command = command_table; command->name != NULL; command++) {
        put(".SS ");
        size_t from = output_buffer.len;
        usage_line(command);
        char usage[512]; /* taken back out, to be put again as roff */
        (void)snprintf(usage, sizeof usage, "%.*s", (int)(output_buffer.len - from),
                       (const char *)output_buffer.data + from);
        output_buffer.len = from;
        put_roff(usage);
        put_roff(command->summary);
        if (command->details[0] != '\0') {
            put(".PP\n");
            put_roff(command->details);
        }
        man_flags(command->flags);
        put(".PP\nExample:\n");
        put_roff(command->example);
    }
    put(".SH OPTIONS\n");
    man_flags(command_common_flags);
    put(".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof exit_codes / sizeof exit_codes[0]; i++) {
        put(".TP\n.B %s\n", exit_codes[i].name);
        put_roff(exit_codes[i].meaning);
    }
    put(".SH ENVIRONMENT\n");
    for (size_t i = 0; i < sizeof environment / sizeof environment[0]; i++) {
        put(".TP\n.B %s\n", environment[i].name);
        put_roff(environment[i].meaning);
    }
}

enum command_exit help_run(const struct command_call *call)
{
    if (call->help_format == HELP_MARKDOWN || call->help_format == HELP_MAN) {
        if (call->help_format == HELP_MARKDOWN)
            markdown();
        else
            man();
        return COMMAND_FINE;
    }
    if (call->argument_count == 0) {
        help_overview();
        return COMMAND_FINE;
    }
    char name[64];
    (void)snprintf(name, sizeof name, "%s%s%s", call->arguments[0],
                   call->argument_count > 1 ? " " : "",
                   call->argument_count > 1 ? call->arguments[1] : "");
    bool found = false;
    size_t len = strlen(name);
    for (const struct command *command = command_table; command->name != NULL; command++) {
        /* "state" shows all commands that begin with it */
        if (strncmp(command->name, name, len) == 0 &&
            (command->name[len] == '\0' || command->name[len] == ' ')) {
            if (found)
                put("\n");
            help_command(command);
            found = true;
        }
    }
    const struct command *meant = found ? NULL : command_find_alias(name);
    if (meant != NULL)
        help_command(meant);
    found = found || meant != NULL;
    if (!found)
        talk_error("there is no command '%s': 'strid help' lists them", name);
    return found ? COMMAND_FINE : COMMAND_USAGE;
}
