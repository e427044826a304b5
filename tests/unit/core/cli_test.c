#include "core/cli.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/forked.h"

struct throw_args {
    uint64_t requests;
    bool json;
    const char *header;
    int probe;
};

#define AT(field) offsetof(struct throw_args, field)

static const struct option_def throw_options[] = {
    {"requests", 'n', OPTION_U64, AT(requests), "N", "10000", NULL, 1, 1000000, NULL,
     "how many to send"},
    {"json", 'j', OPTION_FLAG, AT(json), NULL, NULL, NULL, 0, 0, NULL, "print JSON"},
    {"header", 0, OPTION_STRING, AT(header), "NAME", NULL, NULL, 0, 0, NULL,
     "a sentence that is long enough that it cannot stand on one line of the help and so must be "
     "wrapped"},
    {"heartbeat", 0, OPTION_CHOICE, AT(probe), NULL, "on", "off|on", 0, 0, NULL, "or not"},
    {0},
};

static int throw_run(int argc, char **argv);
static int other_run(int argc, char **argv);

static const struct cli_verb throw_verb = {
    .name = "throw",
    .summary = "throw at a peg",
    .usage = "[options] URL [URL]",
    .details = "Some details.",
    .options = throw_options,
    .run = throw_run,
};
static const struct cli_verb other_verb = {
    .name = "other", .summary = "do something else", .usage = "", .run = other_run};
static const struct cli_verb *const verbs[] = {&throw_verb, &other_verb, NULL};

static int throw_run(int argc, char **argv)
{
    struct throw_args args;
    char **words;
    int n = cli_parse(&throw_verb, argc, argv, &args, 1, 2, &words);

    printf("requests=%llu json=%d header=%s heartbeat=%d", (unsigned long long)args.requests,
           args.json, args.header != NULL ? args.header : "-", args.probe);
    for (int i = 0; i < n; i++)
        printf(" [%s]", words[i]);
    printf("\n");
    return EXIT_THRESHOLD;
}

static int other_run(int argc, char **argv)
{
    char nothing;

    cli_parse(&other_verb, argc, argv, &nothing, 0, 0, NULL);
    return EXIT_OK;
}

struct command_line {
    char *words[16];
    int n;
    const char *out_path; /* where stdout goes, or NULL */
};

static void call_main(void *argument)
{
    struct command_line *line = argument;

    if (line->out_path != NULL)
        dup2(open(line->out_path, O_WRONLY), STDOUT_FILENO);
    _exit(cli_main(verbs, "1.2.3", line->n, line->words));
}

/* Runs "quoit WORDS" with words parted by single blanks, "_" standing for an empty word. */
static const struct forked *run_to(const char *text, const char *out_path)
{
    static char copy[512];
    struct command_line line = {{copy}, 0, out_path};

    snprintf(copy, sizeof(copy), "quoit%s%s", text[0] != '\0' ? " " : "", text);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(line.n < 15);
        if (strcmp(word, "_") == 0)
            word[0] = '\0';
        line.words[line.n++] = word;
    }
    return forked_run(call_main, &line);
}

static const struct forked *run(const char *text)
{
    return run_to(text, NULL);
}

static void assert_runs(const char *text, const char *prints)
{
    const struct forked *forked = run(text);

    assert_string_equal(forked->err, "");
    assert_string_equal(forked->out, prints);
    assert_int_equal(forked->exit_code, EXIT_THRESHOLD); /* the verb's own code comes through */
}

/* A usage error: exit code 2, nothing on stdout, the reason on stderr. */
static void assert_usage_error(const char *text, const char *says)
{
    const struct forked *forked = run(text);

    if (strstr(forked->err, says) == NULL)
        fail_msg("'quoit %s' says '%s' and not '%s'", text, forked->err, says);
    assert_string_equal(forked->out, "");
    assert_int_equal(forked->exit_code, EXIT_USAGE);
}

static void cli_fills_defaults_then_the_command_line(void **state)
{
    (void)state;
    assert_runs("throw u", "requests=10000 json=0 header=- heartbeat=1 [u]\n");
    assert_runs("throw -n 5 --json --header X u v",
                "requests=5 json=1 header=X heartbeat=1 [u] [v]\n");
    assert_runs("throw --requests=7 --heartbeat=off --header= u",
                "requests=7 json=0 header= heartbeat=0 [u]\n");
    assert_runs("throw -jn9 u", "requests=9 json=1 header=- heartbeat=1 [u]\n");
}

static void cli_takes_options_behind_words_and_the_last_of_two(void **state)
{
    (void)state;
    assert_runs("throw u -n 5 v -j", "requests=5 json=1 header=- heartbeat=1 [u] [v]\n");
    assert_runs("throw -n 5 u --requests 6", "requests=6 json=0 header=- heartbeat=1 [u]\n");
    assert_runs("throw -- -n", "requests=10000 json=0 header=- heartbeat=1 [-n]\n");
    assert_runs("throw --req 3 u", "requests=3 json=0 header=- heartbeat=1 [u]\n");
}

static void cli_usage_errors_exit_2_and_name_what_was_wrong(void **state)
{
    (void)state;
    assert_usage_error("throw -n 0 u", "quoit throw: option 'requests': '0' is out of range; it "
                                       "takes a whole number from 1 to 1000000\nTry 'quoit throw "
                                       "--help'.\n");
    assert_usage_error("throw -n -5 u", "'-5' is not valid");
    assert_usage_error("throw -n _ u", "an empty value");
    assert_usage_error("throw --heartbeat=of u", "did you mean 'off'?");
    assert_usage_error("throw u -n", "option '--requests' wants a value: N");
    assert_usage_error("throw u --header", "option '--header' wants a value: NAME");
    assert_usage_error("throw u --heartbeat", "option '--heartbeat' wants a value: off|on");
    assert_usage_error("throw --json=yes u", "option '--json' takes no value");
    assert_usage_error("throw --help=yes u", "option '--help' takes no value");
    assert_usage_error("throw --requets 5 u", "unknown option '--requets'; did you mean "
                                              "'--requests'?");
    assert_usage_error("throw --zzz=1 u", "unknown option '--zzz'\n");
    assert_usage_error("throw -x u", "unknown option '-x'");
    assert_usage_error("throw --he u", "option '--he' is ambiguous: --header, --heartbeat, --help");
    assert_usage_error("throw", "too few arguments; usage: quoit throw [options] URL [URL]");
    assert_usage_error("throw a b c", "unexpected argument 'c'");
    assert_usage_error("other x", "unexpected argument 'x'");
    assert_usage_error("other --json", "unknown option '--json'");
}

static void cli_help_shows_options_with_defaults_and_choices(void **state)
{
    const struct forked *forked = run("throw --help");

    (void)state;
    assert_int_equal(forked->exit_code, EXIT_OK);
    assert_string_equal(forked->err, "");
    assert_string_equal(
        forked->out,
        "Usage: quoit throw [options] URL [URL]\n"
        "\n"
        "throw at a peg\n"
        "\n"
        "Options:\n"
        "  -n, --requests N            how many to send (default: 10000)\n"
        "  -j, --json                  print JSON\n"
        "      --header NAME           a sentence that is long enough that it cannot stand on one\n"
        "                              line of the help and so must be wrapped\n"
        "      --heartbeat off|on      or not (default: on)\n"
        "  -h, --help                  show this help\n"
        "\n"
        "Some details.\n");
}

static void cli_help_is_the_same_by_each_way(void **state)
{
    static const char *const ways[] = {"throw -h", "help throw", "throw --help u v w",
                                       "throw -n 5 -h"};
    static char text[FORKED_TEXT_BYTES];

    (void)state;
    strcpy(text, run("throw --help")->out);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const struct forked *forked = run(ways[i]);

        assert_string_equal(forked->out, text);
        assert_int_equal(forked->exit_code, EXIT_OK);
    }
}

static void cli_main_lists_the_verbs(void **state)
{
    static const char *const ways[] = {"--help", "-h", "help"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct forked *forked = run(ways[i]);

        assert_int_equal(forked->exit_code, EXIT_OK);
        assert_non_null(strstr(forked->out, "  throw        throw at a peg\n"));
        assert_non_null(strstr(forked->out, "  other        do something else\n"));
    }
    assert_usage_error("", "  throw        throw at a peg\n");
}

static void cli_main_tells_its_version(void **state)
{
    (void)state;
    assert_string_equal(run("--version")->out, "quoit 1.2.3\n");
    assert_int_equal(run("--version")->exit_code, EXIT_OK);
}

static void cli_main_refuses_an_unknown_verb(void **state)
{
    (void)state;
    assert_usage_error("thorw", "quoit: unknown verb 'thorw'; did you mean 'throw'?");
    assert_usage_error("help thorw", "unknown verb 'thorw'; did you mean 'throw'?");
    assert_usage_error("halp", "did you mean 'help'?");
    assert_usage_error("xyzzy", "unknown verb 'xyzzy'\n");
    assert_usage_error("--frobnicate", "unknown option '--frobnicate'");
    assert_usage_error("_", "unknown verb ''");
}

static void cli_main_fails_when_its_output_is_lost(void **state)
{
    static const char *const words[] = {"--help", "--version", "help throw", "throw --help"};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const struct forked *forked = run_to(words[i], "/dev/full");

        assert_int_equal(forked->exit_code, EXIT_FAILED);
        assert_non_null(strstr(forked->err, "No space left on device"));
    }
    /* A verb that failed in its own way keeps its code. */
    assert_int_equal(run_to("throw u", "/dev/full")->exit_code, EXIT_THRESHOLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cli_fills_defaults_then_the_command_line),
        cmocka_unit_test(cli_takes_options_behind_words_and_the_last_of_two),
        cmocka_unit_test(cli_usage_errors_exit_2_and_name_what_was_wrong),
        cmocka_unit_test(cli_help_shows_options_with_defaults_and_choices),
        cmocka_unit_test(cli_help_is_the_same_by_each_way),
        cmocka_unit_test(cli_main_lists_the_verbs),
        cmocka_unit_test(cli_main_tells_its_version),
        cmocka_unit_test(cli_main_refuses_an_unknown_verb),
        cmocka_unit_test(cli_main_fails_when_its_output_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
