/* Man pages and shell completion, written from the same rows as --help. */
#ifndef QUOIT_CORE_CLI_DOCS_H
#define QUOIT_CORE_CLI_DOCS_H

#include <stdio.h>

#include "core/cli.h"
#include "core/registry.h"

/* What there is to write about. Hidden verbs are left out. */
struct cli_docs {
    const char *version;
    const char *const *about;            /* paragraphs on the program, NULL-ended */
    const struct cli_verb *const *verbs; /* NULL-ended */
    /* NULL-ended. An option of a family's name takes its members: quoit(1) lists them, the shell
     * completes them. */
    const struct family *const *families;
};

/* quoit(1). man(7) in groff's and mandoc's common subset, UTF-8. */
void cli_write_man(const struct cli_docs *docs, FILE *out);
/* quoit-VERB(1). */
void cli_write_verb_man(const struct cli_docs *docs, const struct cli_verb *verb, FILE *out);
/* A file for bash-completion's folder, or to be sourced: verbs, their words and options, values of
 * choices, members of families, files and folders. Needs bash alone. */
void cli_write_bash(const struct cli_docs *docs, FILE *out);

/* The words a verb's usage begins with, "a|b|c [options]", with blanks between: "a b c". Writes at
 * most bytes, "" where it begins otherwise. */
const char *cli_usage_words(const struct cli_verb *verb, char *text, size_t bytes);

#endif
