/* Symbol visibility and attributes shared by every public header. */
#ifndef STRID_EXPORT_H
#define STRID_EXPORT_H

#if defined(STRID_STATIC)
#define STRID_API
#elif defined(__GNUC__)
#define STRID_API __attribute__((visibility("default")))
#else
#define STRID_API
#endif

#if defined(__GNUC__)
#define STRID_NODISCARD __attribute__((warn_unused_result))
#define STRID_PRINTF(format_index, first_index)                                                    \
    __attribute__((format(printf, format_index, first_index)))
#else
#define STRID_NODISCARD
#define STRID_PRINTF(format_index, first_index)
#endif

#ifdef __cplusplus
#define STRID_BEGIN_DECLS extern "C" {
#define STRID_END_DECLS }
#else
#define STRID_BEGIN_DECLS
#define STRID_END_DECLS
#endif

#endif
