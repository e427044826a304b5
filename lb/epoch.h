/* Epochs: numbers that ascend over the connections of an LB, its copies and its lives, so that a
 * server can tell what was sent by an earlier one (server/server.h). A count of lives, which
 * STATE/life keeps, and within each a count; no clock, for servers outlive the machine that the LB
 * ran on. */
#ifndef QUOIT_LB_EPOCH_H
#define QUOIT_LB_EPOCH_H

#include <stdint.h>

#include "core/err.h"

/* Begins a later life than any that the file tells of; it is on disk when this returns. 0, or a
 * negative errno with the reason: a file that is no number is one, and stays as it is. Blocks. */
int epoch_begin(const char *path, struct err *err);
/* From any thread: above 0, and higher than any before. */
uint64_t epoch_next(void);

#endif
