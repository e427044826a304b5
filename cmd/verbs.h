/* Verbs register themselves, as the parts of core/registry.h do.
 *
 * A verb is one file of cmd/ that ends in VERB_REGISTER(NAME_verb). The macro leaves a pointer in a
 * linker section: adding a verb means adding a file. */
#ifndef QUOIT_CMD_VERBS_H
#define QUOIT_CMD_VERBS_H

#include "core/cli.h"

#define VERB_REGISTER(verb)                                                                        \
    static const struct cli_verb *const verb##_registered                                          \
        __attribute__((used, section("quoit_verb"))) = &(verb)

/* All of them by name, NULL-ended. */
const struct cli_verb *const *verbs_all(void);

#endif
