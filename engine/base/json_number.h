/* Numbers as JSON writes them, whatever the locale. @thread any */
#ifndef BASE_JSON_NUMBER_H
#define BASE_JSON_NUMBER_H

#include <strid/record.h>

#ifdef __cplusplus
extern "C" {
#endif

bool json_number_is_valid(strid_bytes text);
/* Sets kind, text, integer and real from a valid number. */
void json_number_set(strid_bytes text, strid_field *field);

#ifdef __cplusplus
}
#endif

#endif
