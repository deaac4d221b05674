/* The command `strid`: a thin embedder of the public API. */
#include <string.h>

#include "command.h"
#include "help.h"
#include "output.h"
#include "talk.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        talk_error("a command is needed: 'strid help' lists them");
        return COMMAND_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        argv[1] = "help";
    else if (strcmp(argv[1], "--version") == 0)
        argv[1] = "version";

    /* of a group, such as `state`: all its commands */
    if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
        argv[2] = argv[1];
        argv[1] = "help";
    }
    struct command_call call;
    if (!command_parse(argc - 1, argv + 1, &call))
        return COMMAND_USAGE;
    enum command_exit code = COMMAND_FINE;
    if (call.help)
        help_command(call.command);
    else
        code = call.command->run(&call);
    if (!output_close() && code == COMMAND_FINE)
        code = COMMAND_FAILED;
    return (int)code;
}
