#include <criterion/criterion.h>

#include <sys/mman.h>
#include <unistd.h>

#include "connectors/kafka/kafka_headers.h"

static bool absent(void *payload, size_t len)
{
    const rd_kafka_message_t message = {.payload = payload, .len = len};
    return kafka_headers_absent(&message);
}

Test(kafka_headers, the_byte_behind_the_value_says_it)
{
    char none[] = {'v', 'a', 'l', 0, 'x'}, two[] = {'v', 'a', 'l', 4, 'x'};
    cr_assert(absent(none, 3));
    cr_assert(!absent(two, 3));
}

Test(kafka_headers, without_a_value_librdkafka_is_asked)
{
    char zero[] = {0, 0};
    cr_assert(!absent(NULL, 0));
    cr_assert(!absent(zero, 0));
}

Test(kafka_headers, nothing_behind_the_page_of_the_value_is_looked_at)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    cr_assert(!absent(pages + page - 3, 3));
    cr_assert(absent(pages + page - 4, 3));
    (void)munmap(pages, 2 * page);
}
