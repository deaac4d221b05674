/* The command `strid`: a thin embedder of the public API. */
#include <malloc.h>
#include <string.h>

#include "command.h"
#include "help.h"
#include "output.h"
#include "talk.h"

enum { ARENAS_MAX = 2, MAP_FROM_BYTES = 256 << 10 };

/* An arena for each thread keeps what was freed in each; `memory:` is for all of them. Mapped by
 * itself, a large buffer goes back whole. What it says is advice: failure changes nothing. */
static void bound_allocator(void)
{
#ifdef M_ARENA_MAX
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX);
    (void)mallopt(M_MMAP_THRESHOLD, MAP_FROM_BYTES);
#endif
}

int main(int argc, char **argv)
{
    bound_allocator();
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
