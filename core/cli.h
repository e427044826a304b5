/* Command lines: getopt_long over option tables, --help made from them, usage errors exit 2.
 *
 * A verb is a row of the program's table; `quoit VERB --help` prints its usage. Man pages and shell
 * completion are written from the same rows (core/cli_docs.h). */
#ifndef QUOIT_CORE_CLI_H
#define QUOIT_CORE_CLI_H

#include <stdio.h>

#include "core/option.h"

/* Exit codes of every verb. */
enum cli_exit {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_THRESHOLD = 3, /* a threshold was missed */
    EXIT_INVALID = 4,   /* a measurement that cannot be trusted */
    EXIT_INTERRUPTED = 130,
};

struct cli_verb {
    const char *name;
    const char *summary; /* one line, for `quoit --help` */
    const char *usage;   /* after "quoit NAME ": "[options] URL" */
    const char *details; /* paragraphs below the options; may be NULL */
    const struct option_def *options;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns an enum cli_exit */
    bool hidden;                       /* for the build: not listed, no man page */
};

/* Fills `into` with the table's defaults, then with the command line. --help prints and exits 0; an
 * unknown option, a bad value or fewer than min / more than max positional words print the reason
 * and a hint on stderr and exit 2. ret_words: the first positional word in argv; returns their
 * count. Strings in `into` are borrowed from argv. */
int cli_parse(const struct cli_verb *verb, int argc, char **argv, void *into, int min_words,
              int max_words, char ***ret_words);
/* What --help prints. */
void cli_print_help(const struct cli_verb *verb, FILE *out);
/* Prints "quoit VERB: MESSAGE" and the hint to see --help on stderr, returns EXIT_USAGE. */
int cli_usage_error(const struct cli_verb *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* verbs: NULL-ended. Dispatches argv[1]; knows --help, --version, `help VERB`. Returns the exit
 * code. */
int cli_main(const struct cli_verb *const *verbs, const char *version, int argc, char **argv);

#endif
