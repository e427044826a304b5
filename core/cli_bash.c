#include <stdio.h>
#include <string.h>

#include "core/cli_docs.h"

#define MAX_PARTS 64
#define WORDS_BYTES 512

const char *cli_usage_words(const struct cli_verb *verb, char *text, size_t bytes)
{
    size_t n = strcspn(verb->usage, " ");
    text[0] = '\0';
    if (n >= bytes || strspn(verb->usage, "abcdefghijklmnopqrstuvwxyz-|") < n || n == 0)
        return text;
    for (size_t i = 0; i < n; i++)
        text[i] = verb->usage[i] == '|' ? ' ' : verb->usage[i];
    text[n] = '\0';
    return text;
}

static const struct family *bash_family_of(const struct cli_docs *docs,
                                           const struct option_def *def)
{
    if (def->type != OPTION_STRING)
        return NULL;
    for (const struct family *const *family = docs->families; *family; family++)
        if (strcmp((*family)->name, def->name) == 0)
            return *family;
    return NULL;
}

/* lb:--placement | lb:-p) */
static void bash_pattern(const struct cli_verb *verb, const struct option_def *def, FILE *out)
{
    fprintf(out, "    %s:--%s", verb->name, def->name);
    if (def->short_name)
        fprintf(out, " | %s:-%c", verb->name, def->short_name);
    fputs(")\n", out);
}

/* What may follow an option that takes a value. */
static void bash_value(const struct cli_docs *docs, const struct cli_verb *verb,
                       const struct option_def *def, FILE *out)
{
    const struct family *family = bash_family_of(docs, def);
    const char *metavar = def->metavar ? def->metavar : "";
    bash_pattern(verb, def, out);
    if (family) {
        const struct part *parts[MAX_PARTS];
        size_t n = family_list(family, parts, MAX_PARTS);
        fputs("        values='", out);
        for (size_t i = 0; i < n && i < MAX_PARTS; i++)
            fprintf(out, "%s%s", i > 0 ? " " : "", parts[i]->name);
        fputs("' ;;\n", out);
    } else if (def->type == OPTION_CHOICE) {
        fputs("        values='", out);
        for (const char *at = def->choices; *at; at++)
            fputc(*at == '|' ? ' ' : *at, out);
        fputs("' ;;\n", out);
    } else if (strcmp(metavar, "DIR") == 0) {
        fputs("        kind='directory' ;;\n", out);
    } else if (strcmp(metavar, "FILE") == 0) {
        fputs("        kind='file' ;;\n", out);
    } else {
        fputs("        kind='other' ;;\n", out);
    }
}

static void bash_verb(const struct cli_verb *verb, FILE *out)
{
    char words[WORDS_BYTES];
    bool has_short_h = false;
    fprintf(out, "    %s)\n        options='", verb->name);
    for (const struct option_def *def = verb->options; def && def->name; def++) {
        fprintf(out, "--%s ", def->name);
        if (def->short_name)
            fprintf(out, "-%c ", def->short_name);
        has_short_h = has_short_h || def->short_name == 'h';
    }
    fprintf(out, "--help%s'\n        words='%s' ;;\n", has_short_h ? "" : " -h",
            cli_usage_words(verb, words, sizeof(words)));
}

static void bash_tables(const struct cli_docs *docs, FILE *out)
{
    fputs("    case $verb:$previous in\n", out);
    for (const struct cli_verb *const *verb = docs->verbs; *verb; verb++)
        for (const struct option_def *def = (*verb)->options; def && def->name; def++)
            if (!(*verb)->hidden && def->type != OPTION_FLAG)
                bash_value(docs, *verb, def, out);
    fputs("    esac\n"
          "    case $verb in\n",
          out);
    for (const struct cli_verb *const *verb = docs->verbs; *verb; verb++)
        if (!(*verb)->hidden)
            bash_verb(*verb, out);
    fputs("    esac\n", out);
}

void cli_write_bash(const struct cli_docs *docs, FILE *out)
{
    fputs("# bash completion of quoit, written by `quoit docs` from the option tables.\n"
          "# shellcheck shell=bash disable=SC2207\n"
          "_quoit() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local verb=${COMP_WORDS[1]-} verbs options='' words='' values='' kind='' i\n"
          "    COMPREPLY=()\n"
          "    verbs='",
          out);
    for (const struct cli_verb *const *verb = docs->verbs; *verb; verb++)
        if (!(*verb)->hidden)
            fprintf(out, "%s ", (*verb)->name);
    fputs("help'\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W \"$verbs --help --version\" -- \"$current\"))\n"
          "        return\n"
          "    fi\n"
          "    if [ \"$verb\" = help ]; then\n"
          "        [ \"$COMP_CWORD\" -gt 2 ] || "
          "COMPREPLY=($(compgen -W \"$verbs\" -- \"$current\"))\n"
          "        return\n"
          "    fi\n"
          "    # --option=value comes as three words\n"
          "    if [ \"$current\" = = ]; then\n"
          "        current=''\n"
          "    elif [ \"$previous\" = = ] && [ \"$COMP_CWORD\" -gt 2 ]; then\n"
          "        previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    fi\n",
          out);
    bash_tables(docs, out);
    fputs("    if [ \"$kind\" = directory ]; then\n"
          "        COMPREPLY=($(compgen -d -- \"$current\"))\n"
          "    elif [ \"$kind\" = file ]; then\n"
          "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
          "    elif [ \"$kind\" = other ]; then\n"
          "        return\n"
          "    elif [ -n \"$values\" ] && [[ $current == */* ]]; then\n"
          "        # REQUEST/SERVER\n"
          "        COMPREPLY=($(compgen -P \"${current%/*}/\" -W \"$values\" -- "
          "\"${current##*/}\"))\n"
          "    elif [ -n \"$values\" ]; then\n"
          "        COMPREPLY=($(compgen -W \"$values\" -- \"$current\"))\n"
          "    elif [[ $current == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
          "    elif [ -n \"$words\" ]; then\n"
          "        for ((i = 2; i < COMP_CWORD; i++)); do\n"
          "            [[ \" $words \" != *\" ${COMP_WORDS[i]} \"* ]] || return\n"
          "        done\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
          "    fi\n"
          "}\n"
          "complete -F _quoit quoit\n",
          out);
}
