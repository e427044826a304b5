#include "core/cli_docs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct values {
    const char *shape, *file;
    int colour;
    uint64_t n;
    bool flag;
};

static const struct option_def options[] = {
    {.name = "shape",
     .type = OPTION_STRING,
     .offset = offsetof(struct values, shape),
     .metavar = "NAME",
     .fallback = "round",
     .help = ".dots and \\slashes and 'quotes' and well-formed hyphens in a sentence that is long"},
    {.name = "colour",
     .short_name = 'c',
     .type = OPTION_CHOICE,
     .offset = offsetof(struct values, colour),
     .metavar = "WHICH",
     .choices = "red|dark-blue",
     .help = "Colour"},
    {.name = "file",
     .type = OPTION_STRING,
     .offset = offsetof(struct values, file),
     .metavar = "FILE",
     .help = "File"},
    {.name = "count", .type = OPTION_U64, .offset = offsetof(struct values, n), .help = "Count"},
    {.name = "flag", .type = OPTION_FLAG, .offset = offsetof(struct values, flag), .help = "Flag"},
    {0},
};

static const struct part round_part = {.name = "round", .summary = "without corners"};
static const struct part square_part = {
    .name = "square", .summary = "with them", .options = &options[3], .params_size = 1};
static const struct part *const parts[] = {&square_part, &round_part};
static const struct family shape_family = {"shape", parts, parts + 2};
static const struct family *const families[] = {&shape_family, NULL};

static const struct cli_verb draw_verb = {.name = "draw",
                                          .summary = "draw a shape",
                                          .usage = "one|two-three [options]",
                                          .details = "  one    a line\n.two   another",
                                          .options = options};
static const struct cli_verb help_verb = {.name = "show", .summary = "show it", .usage = "NAME"};
static const struct cli_verb secret_verb = {
    .name = "secret", .summary = "hidden", .usage = "", .options = options, .hidden = true};
static const struct cli_verb *const verbs[] = {&draw_verb, &secret_verb, &help_verb, NULL};
static const char *const about[] = {"About it.", NULL};
static const struct cli_docs docs = {"1.2.3", about, verbs, families};

/* What a writer writes, to be freed. */
static char *written(void (*write)(FILE *))
{
    char *text = NULL;
    size_t n;
    FILE *file = open_memstream(&text, &n);
    write(file);
    fclose(file);
    return text;
}

static void write_program(FILE *out)
{
    cli_write_man(&docs, out);
}

static void write_verb(FILE *out)
{
    cli_write_verb_man(&docs, &draw_verb, out);
}

static void write_bash(FILE *out)
{
    cli_write_bash(&docs, out);
}

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no '%s' in:\n%s", part, text);
}

static void man_page_of_a_verb_has_every_option(void **state)
{
    char *text = written(write_verb);
    (void)state;
    assert_holds(text, ".TH QUOIT-DRAW 1 \"\" \"quoit\" \"1.2.3\"\n");
    assert_holds(text, "quoit\\-draw \\- draw a shape\n");
    assert_holds(text, "\\fB\\-\\-shape\\fR \\fINAME\\fR\n");
    assert_holds(text,
                 "\\fB\\-c\\fR, \\fB\\-\\-colour\\fR \\fIWHICH\\fR\nColour: red|dark\\-blue.\n");
    assert_holds(text, "\\fB\\-\\-flag\\fR\nFlag.\n");
    assert_holds(text, "\\fB\\-h\\fR, \\fB\\-\\-help\\fR\n");
    assert_holds(text, "(default: round).\n");
    assert_holds(text, ".BR quoit (1),\n.BR quoit\\-show (1)\n");
    free(text);
}

static void man_page_escapes_what_roff_would_take(void **state)
{
    char *text = written(write_verb);
    (void)state;
    assert_holds(text, "\n\\&.dots and \\eslashes and ");
    assert_holds(text, "'quotes'");
    assert_holds(text, "well\\-formed");
    assert_holds(text, ".nf\n  one    a line\n\\&.two   another\n.fi\n");
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        if (*line == '.') /* requests are those that we write */
            assert_non_null(strchr("\\TSnafPBIRb", line[1]));
    free(text);
}

static void man_page_of_the_program_lists_verbs_and_parts(void **state)
{
    char *text = written(write_program);
    (void)state;
    assert_holds(text, ".BR quoit\\-draw (1)\ndraw a shape.\n");
    assert_holds(text, ".SS shape\n");
    assert_true(strstr(text, "\"round\"") < strstr(text, "\"square\""));
    assert_holds(text, "\\fBcount=\\fR\\fIVALUE\\fR\nCount.\n");
    assert_null(strstr(text, "secret"));
    free(text);
}

static void words_are_the_alternatives_a_usage_begins_with(void **state)
{
    char text[32];
    (void)state;
    assert_string_equal(cli_usage_words(&draw_verb, text, sizeof(text)), "one two-three");
    assert_string_equal(cli_usage_words(&help_verb, text, sizeof(text)), "");
    assert_string_equal(cli_usage_words(&secret_verb, text, sizeof(text)), "");
    assert_string_equal(cli_usage_words(&draw_verb, text, 5), "");
}

static void completion_knows_members_choices_files_and_words(void **state)
{
    char *text = written(write_bash);
    (void)state;
    assert_holds(text, "verbs='draw show help'\n");
    assert_holds(text, "    draw:--shape)\n        values='round square' ;;\n");
    assert_holds(text, "    draw:--colour | draw:-c)\n        values='red dark-blue' ;;\n");
    assert_holds(text, "    draw:--file)\n        kind='file' ;;\n");
    assert_holds(text, "    draw:--count)\n        kind='other' ;;\n");
    assert_holds(text, "options='--shape --colour -c --file --count --flag --help -h'\n"
                       "        words='one two-three' ;;\n");
    assert_null(strstr(text, "draw:--flag"));
    assert_null(strstr(text, "secret"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(man_page_of_a_verb_has_every_option),
        cmocka_unit_test(man_page_escapes_what_roff_would_take),
        cmocka_unit_test(man_page_of_the_program_lists_verbs_and_parts),
        cmocka_unit_test(words_are_the_alternatives_a_usage_begins_with),
        cmocka_unit_test(completion_knows_members_choices_files_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
