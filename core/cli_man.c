#include <string.h>

#include "core/buf.h"
#include "core/cli_docs.h"

#define MAX_PARTS 64
#define FILL_COLUMNS 72

/* Text with what roff takes as its own escaped. A hyphen is written so that it can be copied. */
static void man_text(const char *text, FILE *out)
{
    for (const char *at = text; *at; at++) {
        bool line_start = at == text || at[-1] == '\n';
        if (line_start && (*at == '.' || *at == '\''))
            fputs("\\&", out);
        if (*at == '\\')
            fputs("\\e", out);
        else if (*at == '-')
            fputs("\\-", out);
        else if (*at == '`')
            fputs("\\(ga", out);
        else
            fputc(*at, out);
    }
}

/* A paragraph, a line of the source at most FILL_COLUMNS wide where its words allow. */
static void man_fill(const char *text, FILE *out)
{
    size_t column = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        char word[256];
        if (column > 0) {
            fputc(column + 1 + n > FILL_COLUMNS ? '\n' : ' ', out);
            column = column + 1 + n > FILL_COLUMNS ? 0 : column + 1;
        }
        snprintf(word, sizeof(word), "%.*s", (int)n, text);
        man_text(word, out);
        column += n;
        text += n + strspn(text + n, " ");
    }
}

/* A request's argument: in quotes, those within doubled. */
static void man_argument(const char *text, FILE *out)
{
    fputs(" \"", out);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else
            fputs(*text == '"' ? "\"\"" : (const char[]){*text, '\0'}, out);
    }
    fputc('"', out);
}

static void man_title(const char *name, const struct cli_docs *docs, FILE *out)
{
    fputs(".\\\" Written by `quoit docs` from the option tables.\n.TH ", out);
    for (; *name; name++)
        fputc(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name, out);
    fputs(" 1 \"\"", out);
    man_argument("quoit", out);
    man_argument(docs->version, out);
    fputs("\n.nh\n.ad l\n", out);
}

static void man_section(const char *name, FILE *out)
{
    fprintf(out, ".SH %s\n", name);
}

/* -n, --requests N */
static void man_option_names(const struct option_def *def, FILE *out)
{
    if (def->short_name)
        fprintf(out, "\\fB\\-%c\\fR, ", def->short_name);
    fputs("\\fB\\-\\-", out);
    man_text(def->name, out);
    fputs("\\fR", out);
    if (def->type == OPTION_FLAG)
        return;
    fputs(" \\fI", out);
    man_text(def->metavar                 ? def->metavar
             : def->type == OPTION_CHOICE ? def->choices
                                          : "VALUE",
             out);
    fputs("\\fR", out);
}

/* What an option does, and what it is without it. */
static void man_sentence(const struct option_def *def, bool with_choices, FILE *out)
{
    struct buf text;
    buf_init(&text, 0);
    buf_append_str(&text, def->help ? def->help : "");
    if (with_choices)
        buf_appendf(&text, ": %s", def->choices);
    if (def->type != OPTION_FLAG && def->fallback)
        buf_appendf(&text, " (default: %s)", def->fallback);
    buf_append_str(&text, ".");
    man_fill(buf_str(&text), out);
    fputc('\n', out);
    buf_done(&text);
}

static void man_option(const struct option_def *def, FILE *out)
{
    fputs(".TP\n", out);
    man_option_names(def, out);
    fputc('\n', out);
    man_sentence(def, def->type == OPTION_CHOICE && def->metavar, out);
}

/* Lines as they stand: they are laid out for a terminal already. */
static void man_verbatim(const char *text, FILE *out)
{
    fputs(".nf\n", out);
    man_text(text, out);
    fprintf(out, "%s.fi\n", *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
}

static void man_exit_status(FILE *out)
{
    static const struct {
        int code;
        const char *meaning;
    } rows[] = {
        {EXIT_OK, "It was done."},
        {EXIT_FAILED, "It failed; standard error says why."},
        {EXIT_USAGE, "Wrong usage."},
        {EXIT_THRESHOLD, "A threshold was missed."},
        {EXIT_INVALID, "A measurement cannot be trusted."},
        {EXIT_INTERRUPTED, "Interrupted."},
    };
    man_section("EXIT STATUS", out);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        fprintf(out, ".TP\n.B %d\n%s\n", rows[i].code, rows[i].meaning);
}

static void man_part(const struct part *part, FILE *out)
{
    fputs(".TP\n.B", out);
    man_argument(part->name, out);
    fputc('\n', out);
    man_fill(part->summary, out);
    fputs(".\n", out);
    for (const struct option_def *def = part->options; def && def->name; def++) {
        fputs(".RS\n.TP\n\\fB", out);
        man_text(def->name, out);
        fputs("=\\fR\\fI", out);
        man_text(def->type == OPTION_CHOICE ? def->choices
                 : def->metavar             ? def->metavar
                                            : "VALUE",
                 out);
        fputs("\\fR\n", out);
        man_sentence(def, false, out);
        fputs(".RE\n", out);
    }
}

static void man_families(const struct cli_docs *docs, FILE *out)
{
    man_section("PARTS", out);
    fputs("What can be swapped, each chosen by the option of its name as\n"
          ".IR NAME [: k = v ,...].\n",
          out);
    for (const struct family *const *family = docs->families; *family; family++) {
        const struct part *parts[MAX_PARTS];
        size_t n = family_list(*family, parts, MAX_PARTS);
        fprintf(out, ".SS %s\n", (*family)->name);
        for (size_t i = 0; i < n && i < MAX_PARTS; i++)
            man_part(parts[i], out);
    }
}

/* .BR quoit-lb (1), … */
static void man_see_also(const struct cli_docs *docs, const struct cli_verb *but, FILE *out)
{
    bool first = true;
    man_section("SEE ALSO", out);
    if (but) {
        fputs(".BR quoit (1)", out);
        first = false;
    }
    for (const struct cli_verb *const *verb = docs->verbs; *verb; verb++) {
        if ((*verb)->hidden || *verb == but)
            continue;
        fprintf(out, "%s.BR quoit\\-%s (1)", first ? "" : ",\n", (*verb)->name);
        first = false;
    }
    fputc('\n', out);
}

void cli_write_man(const struct cli_docs *docs, FILE *out)
{
    man_title("quoit", docs, out);
    man_section("NAME", out);
    fputs("quoit \\- build a cluster, load it, break it, measure it\n", out);
    man_section("SYNOPSIS", out);
    fputs(".B quoit\n.I VERB\n.RI [ options ]\n.br\n.B quoit help\n.I VERB\n.br\n"
          ".B quoit \\-\\-version\n",
          out);
    man_section("DESCRIPTION", out);
    for (const char *const *paragraph = docs->about; *paragraph; paragraph++) {
        fputs(paragraph == docs->about ? "" : ".PP\n", out);
        man_fill(*paragraph, out);
        fputc('\n', out);
    }
    man_section("VERBS", out);
    for (const struct cli_verb *const *verb = docs->verbs; *verb; verb++) {
        if ((*verb)->hidden)
            continue;
        fprintf(out, ".TP\n.BR quoit\\-%s (1)\n", (*verb)->name);
        man_fill((*verb)->summary, out);
        fputs(".\n", out);
    }
    man_families(docs, out);
    man_exit_status(out);
    man_section("ENVIRONMENT", out);
    fputs(".TP\n.B NO_COLOR\nWhen it is set and not empty, nothing is coloured.\n"
          ".TP\n.B QUOIT_LB\nThe load balancer that\n.BR quoit\\-ctl (1)\nasks.\n",
          out);
    man_see_also(docs, NULL, out);
}

void cli_write_verb_man(const struct cli_docs *docs, const struct cli_verb *verb, FILE *out)
{
    bool has_short_h = false;
    char name[64];
    snprintf(name, sizeof(name), "quoit-%s", verb->name);
    man_title(name, docs, out);
    man_section("NAME", out);
    fprintf(out, "quoit\\-%s \\- ", verb->name);
    man_text(verb->summary, out);
    fputc('\n', out);
    man_section("SYNOPSIS", out);
    fprintf(out, ".B quoit %s\n", verb->name);
    man_text(verb->usage, out);
    fputc('\n', out);
    if (verb->details) {
        man_section("DESCRIPTION", out);
        man_verbatim(verb->details, out);
    }
    man_section("OPTIONS", out);
    for (const struct option_def *def = verb->options; def && def->name; def++) {
        man_option(def, out);
        has_short_h = has_short_h || def->short_name == 'h';
    }
    fprintf(out, ".TP\n%s\\fB\\-\\-help\\fR\nShow the options.\n",
            has_short_h ? "" : "\\fB\\-h\\fR, ");
    man_exit_status(out);
    man_see_also(docs, verb, out);
}
