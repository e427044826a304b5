#include "experiments/suite.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/name.h"
#include "experiments/experiment.h"
#include "experiments/experiment_ini.h"

static int suite_take_runs(struct suite *suite, const char *value, struct err *err)
{
    char *at = arena_strdup(&suite->arena, value), *save = NULL;
    for (char *word = strtok_r(at, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
        if (!name_valid(word))
            return err_set(err, -EINVAL, "runs: '%s' is not the name of an experiment", word);
        if (suite->n_runs == SUITE_MAX_RUNS)
            return err_set(err, -EINVAL, "runs: at most %d names", SUITE_MAX_RUNS);
        suite->runs[suite->n_runs++] = word;
    }
    return 0;
}

static int suite_take(struct suite *suite, const struct ini_entry *entry, struct err *err)
{
    if (strcmp(entry->section, "suite"))
        return err_set(err, -EINVAL, "a suite has no section [%s]", entry->section);
    if (!entry->key)
        return 0;
    if (!strcmp(entry->key, "name"))
        suite->name = entry->value;
    else if (!strcmp(entry->key, "title"))
        suite->title = entry->value;
    else if (!strcmp(entry->key, "runs"))
        return suite_take_runs(suite, entry->value, err);
    else
        return err_set(err, -EINVAL, "unknown key '%s' in [suite]: there are name, title, runs",
                       entry->key);
    return 0;
}

/* "…/A1.ini" holds the suite A1. */
static int suite_check(const struct suite *suite, const char *path, struct err *err)
{
    const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (!suite->name || !suite->title || !suite->n_runs)
        return err_set(err, -EINVAL, "[suite] has no %s",
                       !suite->name    ? "name"
                       : !suite->title ? "title"
                                       : "runs");
    size_t n = strlen(suite->name);
    if (strncmp(file, suite->name, n) || strcmp(file + n, ".ini"))
        return err_set(err, -EINVAL, "the suite is called '%s', unlike its file", suite->name);
    return 0;
}

int suite_read(const char *path, struct suite *ret_suite, struct err *err)
{
    struct suite suite = {0};
    struct ini_entries *entries = mem_zalloc(1, sizeof(*entries));
    struct buf text;
    bool is_suite = false;
    arena_init(&suite.arena);
    buf_init(&text, EXPERIMENT_MAX_FILE_BYTES);
    int status = file_read(path, &text, err);
    if (status >= 0 &&
        ini_read_entries(buf_head(&text), buf_len(&text), path, &suite.arena, entries, NULL) < 0)
        entries->n = 0;
    for (size_t i = 0; i < entries->n; i++)
        is_suite = is_suite || !strcmp(entries->at[i].section, "suite");
    for (size_t i = 0; is_suite && i < entries->n && status >= 0; i++)
        if ((status = suite_take(&suite, &entries->at[i], err)) < 0)
            err_prefix(err, "%s:%d", path, entries->at[i].line);
    if (status >= 0 && is_suite && (status = suite_check(&suite, path, err)) < 0)
        err_prefix(err, "%s", path);
    buf_done(&text);
    free(entries);
    if (status < 0 || !is_suite) {
        suite_done(&suite);
        return status < 0 ? status : 0;
    }
    *ret_suite = suite;
    return 1;
}

void suite_done(struct suite *suite)
{
    arena_done(&suite->arena);
}

struct expansion {
    const char *dir;
    char **names;
    size_t n;
};

static void expansion_add(struct expansion *expansion, const char *name)
{
    for (size_t i = 0; i < expansion->n; i++)
        if (!strcmp(expansion->names[i], name))
            return;
    expansion->names = mem_realloc(expansion->names, expansion->n + 1, sizeof(*expansion->names));
    expansion->names[expansion->n++] = mem_strdup(name);
}

static int expand(struct expansion *expansion, const char *name, int depth, struct err *err)
{
    struct suite suite;
    if (depth > SUITE_MAX_DEPTH)
        return err_set(err, -EINVAL, "suite '%s': suites within suites, more than %d deep", name,
                       SUITE_MAX_DEPTH);
    char *path = mem_printf("%s/%s.ini", expansion->dir, name);
    int status = name_valid(name) && access(path, F_OK) == 0 ? suite_read(path, &suite, err) : 0;
    free(path);
    if (status == 0)
        expansion_add(expansion, name);
    if (status <= 0)
        return status;
    status = 0;
    for (size_t i = 0; i < suite.n_runs && status >= 0; i++)
        status = expand(expansion, suite.runs[i], depth + 1, err);
    suite_done(&suite);
    return status;
}

int suite_expand(const char *dir, char *const *names, size_t n_names, char ***ret_names,
                 size_t *ret_n, struct err *err)
{
    struct expansion expansion = {.dir = dir};
    int status = 0;
    for (size_t i = 0; i < n_names && status >= 0; i++)
        status = expand(&expansion, names[i], 1, err);
    if (status < 0) {
        suite_free_names(expansion.names, expansion.n);
        return status;
    }
    *ret_names = expansion.names;
    *ret_n = expansion.n;
    return 0;
}

void suite_free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}
