#include "support/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fault_link.h"

uint16_t server_free_port(void)
{
    uint16_t port = 0;
    int fd = fault_link_listen(&port);
    if (fd < 0) {
        fprintf(stderr, "server: no free port on 127.0.0.1: %s\n", strerror(errno));
        exit(EXIT_FAILURE);
    }
    (void)close(fd);
    return port;
}

static void become(const struct server *server, const char *const *args)
{
    char *copy[SERVER_ARGS_MAX + 1] = {0};
    for (int i = 0; i < SERVER_ARGS_MAX && args[i] != NULL; i++)
        copy[i] = (char *)args[i]; /* execvp changes nothing */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int log = open(server->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || nothing < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0 ||
        dup2(nothing, STDIN_FILENO) < 0)
        _exit(254);
    (void)execvp(copy[0], copy);
    perror(copy[0]);
    _exit(254);
}

void server_start(struct server *server, const char *const *args)
{
    pid_t pid = fork();
    if (pid == 0)
        become(server, args);
    if (pid < 0) {
        perror("server: fork");
        exit(EXIT_FAILURE);
    }
    server->pid = pid;
}

bool server_is_running(struct server *server)
{
    if (server->pid != 0 && waitpid(server->pid, NULL, WNOHANG) != 0)
        server->pid = 0;
    return server->pid != 0;
}

struct readiness {
    struct server *server;
    support_condition ready;
    void *user;
};

static bool is_ready_or_gone(void *user)
{
    struct readiness *readiness = user;
    return !server_is_running(readiness->server) || readiness->ready(readiness->user);
}

bool server_wait(struct server *server, support_condition ready, void *user)
{
    struct readiness readiness = {server, ready, user};
    return support_wait(is_ready_or_gone, &readiness, SERVER_READY_MS) && server_is_running(server);
}

static bool is_gone(void *user) { return !server_is_running(user); }

static void send_signal(struct server *server, int number)
{
    if (server_is_running(server))
        (void)kill(server->pid, number);
}

void server_kill(struct server *server)
{
    send_signal(server, SIGKILL);
    (void)support_wait(is_gone, server, SERVER_STOP_MS);
}

void server_stop(struct server *server)
{
    send_signal(server, SIGCONT); /* a frozen one would not hear the next */
    send_signal(server, SIGTERM);
    if (!support_wait(is_gone, server, SERVER_STOP_MS))
        server_kill(server);
}

void server_freeze(struct server *server) { send_signal(server, SIGSTOP); }
void server_thaw(struct server *server) { send_signal(server, SIGCONT); }
