/* Reads lines of a file, or of the files of a directory, one partition a file. */
#ifndef FILE_SOURCE_H
#define FILE_SOURCE_H

#include <strid/source.h>

extern const strid_source_ops file_source_ops;

#endif
