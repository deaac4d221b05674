#include "mutant.h"

#if defined(STRID_TESTING)
int mutant_active = MUTANT_NONE;
#else
typedef int mutant_unused; /* ISO C wants a declaration */
#endif
