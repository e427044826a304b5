/* The spawner family's registry; its members are backends/spawner/NAME.c. */
#include "backends/spawner.h"

FAMILY_DEFINE(spawner);
