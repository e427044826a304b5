/* Where the program finds its data: experiments/ and plots/. */
#ifndef QUOIT_EXPERIMENTS_DATADIR_H
#define QUOIT_EXPERIMENTS_DATADIR_H

#include "core/err.h"

/* The folder of that name: in the working directory, else in the tree this program was built in
 * (beside build/), else in share/quoit of where it was installed. A new string, or NULL with the
 * reason, naming where it was looked for. */
char *datadir_find(const char *name, struct err *err);
/* The path of this program's own file: a new string. */
char *datadir_program(void);

#endif
