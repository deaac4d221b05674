/* Named places where a test build can be killed: STRID_CRASH_POINT=name:n in the environment sends
 * SIGKILL to the process at the n-th time the point is reached. In other builds the macro is
 * nothing. docs/internals/state.md lists the points. @thread any */
#ifndef BASE_CRASH_POINT_H
#define BASE_CRASH_POINT_H

#if defined(STRID_TESTING)
void crash_point_reached(const char *name);
#define CRASH_POINT(name) crash_point_reached(name)
#else
#define CRASH_POINT(name) ((void)0)
#endif

#endif
