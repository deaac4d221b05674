/* Assertions on the program's own invariants, never on input, configuration, network, disk or
 * another library. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include <strid/export.h>

void assert_failed(const char *expression, const char *file, int line, const char *function)
    __attribute__((noreturn, cold));

#define STRID_ASSERT(expression)                                                                   \
    (__builtin_expect(!!(expression), 1)                                                           \
         ? (void)0                                                                                 \
         : assert_failed(#expression, __FILE__, __LINE__, __func__))

#ifdef NDEBUG
#define STRID_DASSERT(expression) ((void)sizeof(!(expression)))
#else
#define STRID_DASSERT(expression) STRID_ASSERT(expression)
#endif

#endif
