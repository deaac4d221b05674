/* Version of the library. The numbers here are the single source: CMake reads them from this file.
 *
 * ABI promise: within one MAJOR no public signature changes and no public struct that a caller
 * allocates grows, except structs that begin with `struct_size` or `abi_version`, which are
 * append-only. */
#ifndef STRID_VERSION_H
#define STRID_VERSION_H

#include <strid/export.h>

#define STRID_VERSION_MAJOR 0
#define STRID_VERSION_MINOR 1
#define STRID_VERSION_PATCH 0

STRID_BEGIN_DECLS

/**
 * @brief Version of the library that is loaded, as "MAJOR.MINOR.PATCH".
 * @return A string that lives as long as the library.
 * Thread safety: any thread.
 */
STRID_API const char *strid_version(void);

STRID_END_DECLS

#endif
