/* The fault proxy for scripts: prints the port that it listens on, then does what the lines of its
 * standard input say, and answers "ok" to each. It ends with its input.
 *
 *   fault_proxy_tool TARGET_PORT
 *
 *   flow            everything flows
 *   hold            nothing does, in either direction, and nothing is lost
 *   pieces N        N bytes at a time
 *   reset_at N      each connection is reset behind so many more bytes of replies
 *   close, reset, half_open    cut what is open
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fault_proxy.h"

enum { LINE_MAX_BYTES = 128 };

static bool obey(struct fault_proxy *proxy, const char *word, uint64_t number)
{
    static const char *const cuts[] = {"close", "reset", "half_open"};
    struct fault_proxy_rules rules = {0};
    for (int i = 0; i < 3; i++) {
        if (strcmp(word, cuts[i]) == 0) {
            fault_proxy_cut_all(proxy, (fault_proxy_cut)i);
            return true;
        }
    }
    if (strcmp(word, "hold") == 0)
        rules.hold_requests = rules.hold_replies = true;
    else if (strcmp(word, "pieces") == 0)
        rules.piece_bytes = (uint32_t)number;
    else if (strcmp(word, "reset_at") == 0)
        rules.reset_at_bytes = number;
    else if (strcmp(word, "flow") != 0)
        return false;
    fault_proxy_set(proxy, &rules);
    return true;
}

int main(int argc, char **argv)
{
    char line[LINE_MAX_BYTES], word[LINE_MAX_BYTES];
    const unsigned long target = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (target == 0 || target > UINT16_MAX) {
        fprintf(stderr, "usage: fault_proxy_tool TARGET_PORT\n");
        return 2;
    }
    struct fault_proxy *proxy = fault_proxy_start((uint16_t)target);
    printf("%u\n", (unsigned)fault_proxy_port(proxy));
    while (fflush(stdout) == 0 && fgets(line, sizeof line, stdin) != NULL) {
        uint64_t number = 0;
        if (sscanf(line, "%127s %" SCNu64, word, &number) < 1 || !obey(proxy, word, number)) {
            fprintf(stderr, "fault_proxy_tool: not known: %s", line);
            return 2;
        }
        printf("ok\n");
    }
    fault_proxy_stop(proxy);
    return 0;
}
