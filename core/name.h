/* Names and ids of servers (CONTRACT.md, Names, ids, hashing). */
#ifndef QUOIT_CORE_NAME_H
#define QUOIT_CORE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_MAX_BYTES 63

/* ^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$ */
bool name_valid(const char *name);
/* The decimal number at the end of the name. false where there is none or it passes uint64: it is
 * not cut to fit, for then names with different numbers would have one id. */
bool name_trailing_id(const char *name, uint64_t *ret_id);

#endif
