/* Strid: a stateful stream-processing engine. This header includes all others. */
#ifndef STRID_STRID_H
#define STRID_STRID_H

#include <strid/bytes.h>
#include <strid/config.h>
#include <strid/error.h>
#include <strid/export.h>
#include <strid/handler.h>
#include <strid/inspect.h>
#include <strid/pipeline.h>
#include <strid/producer.h>
#include <strid/reader.h>
#include <strid/record.h>
#include <strid/reset.h>
#include <strid/sink.h>
#include <strid/source.h>
#include <strid/state.h>
#include <strid/status.h>
#include <strid/version.h>

#endif
