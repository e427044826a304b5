/* quoit docs: man pages and shell completion, for `make docs` and `make install`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/client.h"
#include "backends/hash.h"
#include "backends/placement.h"
#include "backends/spawner.h"
#include "cmd/verbs.h"
#include "core/build_info.h"
#include "core/cli_docs.h"
#include "core/file.h"
#include "core/mem.h"

struct docs_options {
    const char *man;
    const char *bash;
};

static const struct option_def options[] = {
    {.name = "man",
     .type = OPTION_STRING,
     .offset = offsetof(struct docs_options, man),
     .metavar = "DIR",
     .help = "Write quoit.1 and a quoit-VERB.1 for every verb into this folder"},
    {.name = "bash",
     .type = OPTION_STRING,
     .offset = offsetof(struct docs_options, bash),
     .metavar = "FILE",
     .help = "Write the completion for bash into this file"},
    {0},
};

static int run(int argc, char **argv);

static const struct cli_verb docs_verb = {
    .name = "docs",
    .summary = "write man pages and shell completion",
    .usage = "[--man DIR] [--bash FILE]",
    .options = options,
    .run = run,
    .hidden = true,
};

static const char *const about[] = {
    "Builds a cluster (a load balancer and its servers), loads it, breaks it, measures it and "
    "draws the charts, with every interesting part swappable: the hash, the placement of requests "
    "on servers, what starts the servers, the load generator's client.",
    "quoit lb runs a load balancer, quoit ctl looks after it, quoit load puts load on it, quoit "
    "run does all of it for an experiment, and quoit doctor tells whether the machine is fit for "
    "it.",
    NULL,
};

/* Makes one file: atomically, so that nobody reads half a page. */
static int write_page(const struct cli_docs *docs, const struct cli_verb *verb, const char *path,
                      void (*write)(const struct cli_docs *, const struct cli_verb *, FILE *),
                      struct err *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *page = open_memstream(&text, &n);
    int rc = -ENOMEM;
    if (page) {
        write(docs, verb, page);
        rc = fclose(page) == 0 ? file_write_atomic(path, text, n, err)
                               : err_set_errno(err, -errno, "cannot make %s", path);
    }
    free(text);
    return rc;
}

static void write_bash(const struct cli_docs *docs, const struct cli_verb *verb, FILE *out)
{
    (void)verb;
    cli_write_bash(docs, out);
}

static void write_man(const struct cli_docs *docs, const struct cli_verb *verb, FILE *out)
{
    if (verb)
        cli_write_verb_man(docs, verb, out);
    else
        cli_write_man(docs, out);
}

static int write_mans(const struct cli_docs *docs, const char *folder, struct err *err)
{
    int rc = file_make_dirs(folder, err);
    char *path = mem_printf("%s/quoit.1", folder);
    if (rc == 0)
        rc = write_page(docs, NULL, path, write_man, err);
    free(path);
    for (const struct cli_verb *const *verb = docs->verbs; *verb && rc == 0; verb++) {
        if ((*verb)->hidden)
            continue;
        path = mem_printf("%s/quoit-%s.1", folder, (*verb)->name);
        rc = write_page(docs, *verb, path, write_man, err);
        free(path);
    }
    return rc;
}

static int run(int argc, char **argv)
{
    static const struct family *const families[] = {&placement_family, &hash_family,
                                                    &spawner_family, &client_family, NULL};
    const struct cli_docs docs = {
        .version = build_info.version, .about = about, .verbs = verbs_all(), .families = families};
    struct docs_options opts;
    struct err err = {0};
    int rc = 0;
    cli_parse(&docs_verb, argc, argv, &opts, 0, 0, NULL);
    if (!opts.man && !opts.bash)
        return cli_usage_error(&docs_verb, "nothing to write: --man DIR, --bash FILE");
    if (opts.man)
        rc = write_mans(&docs, opts.man, &err);
    if (rc == 0 && opts.bash)
        rc = write_page(&docs, NULL, opts.bash, write_bash, &err);
    if (rc == 0)
        return EXIT_OK;
    fprintf(stderr, "quoit docs: %s\n", err.message);
    return EXIT_FAILED;
}

VERB_REGISTER(docs_verb);
