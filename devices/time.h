/* transitional: see lib/time.h */
#include "lib/time.h"
