/* The command `strid`: a thin embedder of the public API. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

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

/* The soft limit is that low for the sake of select(), which nothing here uses; a source holds each
 * file of its directory open. */
static void raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Where a standard stream was closed, the next file that is opened gets its number: messages would
 * be written into the state or a sink, and a sink be read as input. What is put in its place can
 * only be used the other way round, so that reading or writing fails as it would have. */
static bool occupy_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    if (!occupy_standard_streams()) {
        talk_error("/dev/null cannot be opened in place of a standard stream that is closed: %s",
                   strerror(errno));
        return COMMAND_FAILED;
    }
    /* a file that has reached the limit of its size is an error of the write, and ends nothing */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGXFSZ, &ignore, NULL);
    raise_open_files();
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
