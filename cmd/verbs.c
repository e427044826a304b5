#include "cmd/verbs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VERBS = 64 };

/* The linker's section; its order is not defined. */
extern const struct cli_verb *const __start_quoit_verb[];
extern const struct cli_verb *const __stop_quoit_verb[];

static int compare_verbs(const void *a, const void *b)
{
    const struct cli_verb *const *x = a;
    const struct cli_verb *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

const struct cli_verb *const *verbs_all(void)
{
    static const struct cli_verb *verbs[MAX_VERBS + 1];
    size_t n = (size_t)(__stop_quoit_verb - __start_quoit_verb);

    assert(n <= MAX_VERBS);
    memcpy(verbs, __start_quoit_verb, n * sizeof(verbs[0]));
    qsort(verbs, n, sizeof(verbs[0]), compare_verbs);
    return verbs;
}
