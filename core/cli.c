#include "core/cli.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"

#define HELP_COLUMN 30 /* where the sentences of --help begin */
#define HELP_WIDTH 90
/* getopt_long's value for --help and for row i; above every short letter. */
#define VALUE_HELP 256
#define VALUE_FIRST 257

static size_t cli_count_options(const struct cli_verb *verb)
{
    size_t n = 0;

    while (verb->options != NULL && verb->options[n].name != NULL)
        n++;
    return n;
}

static const struct option_def *cli_find_short(const struct cli_verb *verb, int letter)
{
    for (const struct option_def *def = verb->options; def != NULL && def->name != NULL; def++)
        if (def->short_name != 0 && def->short_name == letter)
            return def;
    return NULL;
}

/* Prints text wrapped between HELP_COLUMN and HELP_WIDTH; column is where the cursor stands. */
static void cli_print_wrapped(const char *text, size_t column, FILE *out)
{
    if (column + 2 > HELP_COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    fprintf(out, "%*s", (int)(HELP_COLUMN - column), "");
    column = HELP_COLUMN;
    while (*text != '\0') {
        size_t n = strcspn(text, " ");

        if (column > HELP_COLUMN && column + 1 + n > HELP_WIDTH) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", (int)n, text);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void cli_print_row(char short_name, const char *name, const char *value, const char *help,
                          FILE *out)
{
    int n = short_name != 0 ? fprintf(out, "  -%c, --%s", short_name, name)
                            : fprintf(out, "      --%s", name);

    if (value != NULL)
        n += fprintf(out, " %s", value);
    cli_print_wrapped(help, n > 0 ? (size_t)n : 0, out);
}

static void cli_print_option(const struct option_def *def, FILE *out)
{
    struct buf help;
    const char *value = NULL;

    buf_init(&help, 0);
    buf_append_str(&help, def->help != NULL ? def->help : "");
    if (def->type != OPTION_FLAG)
        value = def->metavar != NULL         ? def->metavar
                : def->type == OPTION_CHOICE ? def->choices
                                             : "VALUE";
    if (def->type == OPTION_CHOICE && value != def->choices)
        buf_appendf(&help, ": %s", def->choices);
    if (def->type != OPTION_FLAG && def->fallback != NULL)
        buf_appendf(&help, " (default: %s)", def->fallback);
    cli_print_row(def->short_name, def->name, value, buf_str(&help), out);
    buf_done(&help);
}

void cli_print_help(const struct cli_verb *verb, FILE *out)
{
    fprintf(out, "Usage: quoit %s %s\n\n%s\n\nOptions:\n", verb->name, verb->usage, verb->summary);
    for (const struct option_def *def = verb->options; def != NULL && def->name != NULL; def++)
        cli_print_option(def, out);
    cli_print_row(cli_find_short(verb, 'h') == NULL ? 'h' : 0, "help", NULL, "show this help", out);
    if (verb->details != NULL)
        fprintf(out, "\n%s\n", verb->details);
}

int cli_usage_error(const struct cli_verb *verb, const char *format, ...)
{
    va_list args;
    struct buf line;

    buf_init(&line, 0);
    buf_appendf(&line, "quoit %s: ", verb->name);
    va_start(args, format);
    buf_vappendf(&line, format, args);
    va_end(args);
    buf_appendf(&line, "\nTry 'quoit %s --help'.\n", verb->name);
    fputs(buf_str(&line), stderr);
    buf_done(&line);
    return EXIT_USAGE;
}

/* What getopt_long wants, made from the verb's table. */
struct cli_getopt {
    struct option *longs; /* --help first, then the table's rows, then zeros */
    char *shorts;
};

static void cli_getopt_init(struct cli_getopt *getopt_args, const struct cli_verb *verb)
{
    size_t n = cli_count_options(verb);
    struct buf shorts;

    getopt_args->longs = mem_zalloc(n + 2, sizeof(*getopt_args->longs));
    buf_init(&shorts, 0);
    /* The colon: a missing value is told apart from an unknown option. */
    buf_append_str(&shorts, ":");
    getopt_args->longs[0] = (struct option){"help", no_argument, NULL, VALUE_HELP};
    if (cli_find_short(verb, 'h') == NULL)
        buf_append_str(&shorts, "h");
    for (size_t i = 0; i < n; i++) {
        const struct option_def *def = &verb->options[i];
        bool is_flag = def->type == OPTION_FLAG;

        assert(strcmp(def->name, "help") != 0);
        getopt_args->longs[i + 1] = (struct option){
            def->name, is_flag ? no_argument : required_argument, NULL, VALUE_FIRST + (int)i};
        if (def->short_name != 0)
            buf_appendf(&shorts, "%c%s", def->short_name, is_flag ? "" : ":");
    }
    getopt_args->shorts = mem_strdup(buf_str(&shorts));
    buf_done(&shorts);
}

static void cli_getopt_done(struct cli_getopt *getopt_args)
{
    free(getopt_args->longs);
    free(getopt_args->shorts);
}

static const struct option_def *cli_option_of(const struct cli_verb *verb, int value)
{
    if (value >= VALUE_FIRST)
        return &verb->options[value - VALUE_FIRST];
    return cli_find_short(verb, value);
}

/* An option that getopt_long does not know, or knows too many of. word: "--name[=…]". */
static int cli_unknown_long(const struct cli_verb *verb, const char *word)
{
    size_t n = cli_count_options(verb), n_names = 0, n_alike = 0;
    const char **names = mem_zalloc(n + 1, sizeof(*names));
    char *name = mem_strndup(word + 2, strcspn(word + 2, "="));
    const char *suggestion;
    struct buf alike;

    buf_init(&alike, 0);
    for (size_t i = 0; i < n; i++) {
        names[n_names++] = verb->options[i].name;
        if (strncmp(verb->options[i].name, name, strlen(name)) == 0)
            buf_appendf(&alike, "%s--%s", n_alike++ > 0 ? ", " : "", verb->options[i].name);
    }
    names[n_names++] = "help";
    if (strncmp("help", name, strlen(name)) == 0)
        buf_appendf(&alike, "%s--help", n_alike++ > 0 ? ", " : "");
    suggestion = option_suggest(name, names, n_names);
    if (n_alike > 1)
        cli_usage_error(verb, "option '--%s' is ambiguous: %s", name, buf_str(&alike));
    else if (suggestion != NULL)
        cli_usage_error(verb, "unknown option '--%s'; did you mean '--%s'?", name, suggestion);
    else
        cli_usage_error(verb, "unknown option '--%s'", name);
    buf_done(&alike);
    free(name);
    free(names);
    return EXIT_USAGE;
}

/* getopt_long answered '?' or ':'. */
static int cli_bad_option(const struct cli_verb *verb, int found, char **argv)
{
    const struct option_def *def = optopt != 0 ? cli_option_of(verb, optopt) : NULL;

    if (found == ':' && def != NULL)
        return cli_usage_error(verb, "option '--%s' wants a value: %s", def->name,
                               def->metavar != NULL   ? def->metavar
                               : def->choices != NULL ? def->choices
                                                      : "VALUE");
    if (optopt == 0)
        return cli_unknown_long(verb, argv[optind - 1]);
    if (optopt == VALUE_HELP)
        return cli_usage_error(verb, "option '--help' takes no value");
    if (optopt > VALUE_HELP)
        return cli_usage_error(verb, "option '--%s' takes no value", def->name);
    return cli_usage_error(verb, "unknown option '-%c'", optopt);
}

/* Reads every option. -1: go on; otherwise the exit code. */
static int cli_read_options(const struct cli_verb *verb, const struct cli_getopt *getopt_args,
                            int argc, char **argv, void *into)
{
    struct err err = {0, ""};
    int found;

    opterr = 0;
    optind = 0; /* glibc: start afresh */
    while ((found = getopt_long(argc, argv, getopt_args->shorts, getopt_args->longs, NULL)) != -1) {
        const struct option_def *def;

        if (found == '?' || found == ':')
            return cli_bad_option(verb, found, argv);
        def = found == VALUE_HELP ? NULL : cli_option_of(verb, found);
        if (def == NULL) { /* --help, or -h where no row has that letter */
            cli_print_help(verb, stdout);
            return EXIT_OK;
        }
        if (option_set(def, into, def->type == OPTION_FLAG ? "true" : optarg, &err) < 0)
            return cli_usage_error(verb, "%s", err.message);
    }
    return -1;
}

/* Writes out what is buffered for stdout: a full disk or a closed pipe is a failure. */
static int cli_flush(int code)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK) {
        fprintf(stderr, "quoit: cannot write to standard output: %s\n", err_errno_text(errno));
        return EXIT_FAILED;
    }
    return code;
}

int cli_parse(const struct cli_verb *verb, int argc, char **argv, void *into, int min_words,
              int max_words, char ***ret_words)
{
    struct cli_getopt getopt_args;
    int code, n_words;

    option_set_defaults(verb->options, into);
    cli_getopt_init(&getopt_args, verb);
    code = cli_read_options(verb, &getopt_args, argc, argv, into);
    cli_getopt_done(&getopt_args);
    if (code >= 0)
        exit(cli_flush(code));
    n_words = argc - optind;
    if (n_words < min_words)
        exit(cli_usage_error(verb, "too few arguments; usage: quoit %s %s", verb->name,
                             verb->usage));
    if (n_words > max_words)
        exit(cli_usage_error(verb, "unexpected argument '%s'; usage: quoit %s %s",
                             argv[optind + max_words], verb->name, verb->usage));
    if (ret_words != NULL)
        *ret_words = argv + optind;
    return n_words;
}

static void cli_print_verbs(const struct cli_verb *const *verbs, FILE *out)
{
    fprintf(out, "Usage: quoit VERB [options]\n\nVerbs:\n");
    for (; *verbs != NULL; verbs++)
        if (!(*verbs)->hidden)
            fprintf(out, "  %-12s %s\n", (*verbs)->name, (*verbs)->summary);
    fprintf(out, "\n'quoit VERB --help' or 'quoit help VERB' explains one.\n"
                 "'quoit --version' prints the version.\n");
}

static const struct cli_verb *cli_find_verb(const struct cli_verb *const *verbs, const char *name)
{
    for (; *verbs != NULL; verbs++)
        if (strcmp((*verbs)->name, name) == 0)
            return *verbs;
    return NULL;
}

static int cli_unknown_verb(const struct cli_verb *const *verbs, const char *word)
{
    const char **names;
    const char *suggestion;
    size_t n = 0;

    while (verbs[n] != NULL)
        n++;
    names = mem_zalloc(n + 2, sizeof(*names));
    for (size_t i = 0; i < n; i++)
        names[i] = verbs[i]->name;
    names[n++] = "help";
    suggestion = option_suggest(word, names, n);
    if (word[0] == '-')
        fprintf(stderr, "quoit: unknown option '%s'", word);
    else
        fprintf(stderr, "quoit: unknown verb '%s'", word);
    if (suggestion != NULL)
        fprintf(stderr, "; did you mean '%s'?", suggestion);
    fprintf(stderr, "\nTry 'quoit --help'.\n");
    free(names);
    return EXIT_USAGE;
}

int cli_main(const struct cli_verb *const *verbs, const char *version, int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    const struct cli_verb *verb;

    if (word == NULL) {
        cli_print_verbs(verbs, stderr);
        return EXIT_USAGE;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("quoit %s\n", version);
        return cli_flush(EXIT_OK);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
        (strcmp(word, "help") == 0 && argc == 2)) {
        cli_print_verbs(verbs, stdout);
        return cli_flush(EXIT_OK);
    }
    if (strcmp(word, "help") == 0) {
        verb = cli_find_verb(verbs, argv[2]);
        if (verb == NULL)
            return cli_unknown_verb(verbs, argv[2]);
        cli_print_help(verb, stdout);
        return cli_flush(EXIT_OK);
    }
    verb = cli_find_verb(verbs, word);
    if (verb == NULL)
        return cli_unknown_verb(verbs, word);
    return cli_flush(verb->run(argc - 1, argv + 1));
}
