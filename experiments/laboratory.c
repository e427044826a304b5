#include "experiments/laboratory.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/mem.h"
#include "core/name.h"
#include "core/option.h"
#include "experiments/experiment.h"
#include "experiments/experiment_ini.h"
#include "ring/replicas.h"
#include "ring/state.h"

#define SECTION "laboratory"
#define FIELD(field) offsetof(struct laboratory, field)

static const struct option_def laboratory_options[] = {
    {.name = "name", .type = OPTION_STRING, .offset = FIELD(name), .metavar = "NAME"},
    {.name = "title", .type = OPTION_STRING, .offset = FIELD(title), .metavar = "TEXT"},
    {.name = "question", .type = OPTION_STRING, .offset = FIELD(question), .metavar = "TEXT"},
    {.name = "measure",
     .type = OPTION_CHOICE,
     .offset = FIELD(measure),
     .metavar = "WHAT",
     .fallback = "points",
     .choices = "points|loads|absorption|failures"},
    {.name = "placements",
     .type = OPTION_STRING,
     .offset = FIELD(placements_text),
     .metavar = "SPEC …",
     .fallback = "slots"},
    {.name = "hashes",
     .type = OPTION_STRING,
     .offset = FIELD(hashes_text),
     .metavar = "SPEC …",
     .fallback = "splitmix64"},
    {.name = "servers",
     .type = OPTION_STRING,
     .offset = FIELD(servers_text),
     .metavar = "N …",
     .fallback = "3"},
    {.name = "labels", .type = OPTION_STRING, .offset = FIELD(labels_text), .metavar = "LABEL | …"},
    {.name = "hash_labels",
     .type = OPTION_STRING,
     .offset = FIELD(hash_labels_text),
     .metavar = "LABEL | …"},
    {.name = "keys",
     .type = OPTION_CHOICE,
     .offset = FIELD(keys),
     .metavar = "WHAT",
     .fallback = "space",
     .choices = "ids|space"},
    {.name = "sample",
     .type = OPTION_U64,
     .offset = FIELD(n_sampled),
     .metavar = "N",
     .fallback = "0",
     .max = 100000000},
    {.name = "draws",
     .type = OPTION_U64,
     .offset = FIELD(n_draws),
     .metavar = "N",
     .fallback = "0",
     .max = 100000},
    {.name = "changes",
     .type = OPTION_U64,
     .offset = FIELD(n_changes),
     .metavar = "N",
     .fallback = "0",
     .max = PLACEMENT_MAX_MEMBERS},
    {.name = "replicas",
     .type = OPTION_U64,
     .offset = FIELD(n_replicas),
     .metavar = "N",
     .fallback = "0",
     .max = RING_MAX_REPLICAS},
    {.name = "zipf",
     .type = OPTION_DOUBLE,
     .offset = FIELD(zipf),
     .metavar = "S",
     .fallback = "0",
     .max = 10},
    {.name = "cost",
     .type = OPTION_CHOICE,
     .offset = FIELD(cost),
     .metavar = "WHAT",
     .fallback = "ignored",
     .choices = "ignored|timed"},
    {.name = "figure", .type = OPTION_STRING, .offset = FIELD(figure_text), .metavar = "KIND …"},
    {.name = "columns",
     .type = OPTION_STRING,
     .offset = FIELD(columns_text),
     .metavar = "COLUMN …",
     .fallback = "placement hash servers peak"},
    {0},
};

/* Pieces between separators, blanks around them cut off. */
static int split(struct laboratory *lab, const char *key, const char *text, const char *separators,
                 struct laboratory_list *list, struct err *err)
{
    while (text && *text) {
        size_t length = strcspn(text, separators);
        const char *begin = text, *end = text + length;
        while (begin < end && isspace((unsigned char)*begin))
            begin++;
        while (end > begin && isspace((unsigned char)end[-1]))
            end--;
        if (end > begin && list->n == LABORATORY_MAX_LIST)
            return err_set(err, -EINVAL, "%s: more than %d", key, LABORATORY_MAX_LIST);
        if (end > begin)
            list->at[list->n++] = arena_strndup(&lab->arena, begin, (size_t)(end - begin));
        text += length + (text[length] != '\0');
    }
    return 0;
}

/* Labels name all of them or none. */
static int check_labels(const char *key, struct laboratory_list *labels,
                        const struct laboratory_list *of, struct err *err)
{
    if (labels->n == 0)
        *labels = *of;
    if (labels->n != of->n)
        return err_set(err, -EINVAL, "%s: %zu for %zu", key, labels->n, of->n);
    return 0;
}

static int parse_servers(struct laboratory *lab, struct err *err)
{
    static const struct option_def one = {.name = "servers",
                                          .type = OPTION_U64,
                                          .metavar = "N",
                                          .min = 1,
                                          .max = PLACEMENT_MAX_MEMBERS};
    struct laboratory_list list = {0};
    int rc = split(lab, "servers", lab->servers_text, " \t", &list, err);
    for (size_t i = 0; i < list.n && rc == 0; i++)
        rc = option_set(&one, &lab->servers[i], list.at[i], err);
    lab->n_servers = list.n;
    return rc;
}

/* Every part is there and takes its options. */
static int check_parts(const struct laboratory *lab, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < lab->placements.n && rc == 0; i++)
        for (size_t j = 0; j < lab->hashes.n && rc == 0; j++) {
            struct ring_setup setup;
            rc = ring_setup_parse(&setup, lab->placements.at[i], lab->hashes.at[j], err);
            if (rc == 0)
                ring_setup_done(&setup);
        }
    return rc;
}

static int parse_lists(struct laboratory *lab, struct err *err)
{
    int rc = split(lab, "placements", lab->placements_text, " \t", &lab->placements, err);
    if (rc == 0)
        rc = split(lab, "hashes", lab->hashes_text, " \t", &lab->hashes, err);
    if (rc == 0)
        rc = split(lab, "labels", lab->labels_text, "|", &lab->labels, err);
    if (rc == 0)
        rc = split(lab, "hash_labels", lab->hash_labels_text, "|", &lab->hash_labels, err);
    if (rc == 0)
        rc = split(lab, "figure", lab->figure_text, " \t", &lab->figures, err);
    if (rc == 0)
        rc = split(lab, "columns", lab->columns_text, " \t", &lab->columns, err);
    if (rc == 0)
        rc = parse_servers(lab, err);
    if (rc == 0)
        rc = check_labels("labels", &lab->labels, &lab->placements, err);
    if (rc == 0)
        rc = check_labels("hash_labels", &lab->hash_labels, &lab->hashes, err);
    if (rc == 0 && !(lab->placements.n && lab->hashes.n && lab->n_servers))
        rc = err_set(err, -EINVAL, "no placements, hashes or servers");
    if (rc == 0 && lab->columns.n > LABORATORY_MAX_COLUMNS)
        rc = err_set(err, -EINVAL, "columns: more than %d", LABORATORY_MAX_COLUMNS);
    if (rc == 0 && lab->measure == LABORATORY_LOADS && lab->n_draws == 0)
        rc = err_set(err, -EINVAL, "loads are over draws of names: draws = N");
    for (size_t i = 0; i < lab->figures.n && rc == 0; i++) /* a file's name is made of it */
        if (strspn(lab->figures.at[i], "abcdefghijklmnopqrstuvwxyz0123456789-") !=
            strlen(lab->figures.at[i]))
            rc = err_set(err, -EINVAL, "figure: '%s' is not a word of a-z, 0-9 and -",
                         lab->figures.at[i]);
    return rc == 0 ? check_parts(lab, err) : rc;
}

static int take(struct laboratory *lab, const char *key, const char *value, struct err *err)
{
    const char *names[sizeof(laboratory_options) / sizeof(laboratory_options[0])];
    size_t n = 0;
    for (const struct option_def *def = laboratory_options; def->name; def++)
        names[n++] = def->name;
    const struct option_def *def = option_find(laboratory_options, key, strlen(key));
    if (!def) {
        const char *meant = option_suggest(key, names, n);
        return err_set(err, -EINVAL, "unknown key '%s' in [" SECTION "]%s%s%s", key,
                       meant ? ": did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
    }
    return option_set(def, lab, value, err);
}

static int take_entries(struct laboratory *lab, const struct ini_entries *entries, const char *path,
                        struct err *err)
{
    for (size_t i = 0; i < entries->n; i++) {
        const struct ini_entry *entry = &entries->at[i];
        int rc = 0;
        if (strcmp(entry->section, SECTION) != 0)
            rc = err_set(err, -EINVAL, "a laboratory has no section [%s]", entry->section);
        else if (entry->key)
            rc = take(lab, entry->key, entry->value, err);
        if (rc < 0) {
            err_prefix(err, "%s:%d", path, entry->line);
            return rc;
        }
    }
    return 0;
}

static int take_overrides(struct laboratory *lab, struct ini_entries *entries,
                          const char *const *overrides, size_t n, struct err *err)
{
    static const char section[] = SECTION ".";
    for (size_t i = 0; i < n; i++) {
        const char *equals = strchr(overrides[i], '=');
        if (!equals || strncmp(overrides[i], section, sizeof(section) - 1) != 0)
            return err_set(err, -EINVAL, "--set %s: not of the form " SECTION ".KEY=VALUE",
                           overrides[i]);
        const char *key = overrides[i] + sizeof(section) - 1;
        key = arena_strndup(&lab->arena, key, (size_t)(equals - key));
        int rc = take(lab, key, arena_strdup(&lab->arena, equals + 1), err);
        if (rc < 0)
            return rc;
        struct ini_entry *entry = ini_find(entries, SECTION, key);
        if (!entry && entries->n < INI_MAX_ENTRIES)
            entry = &entries->at[entries->n++];
        if (entry)
            *entry = (struct ini_entry){.section = SECTION, .key = key, .value = equals + 1};
        /* Labels of the file do not name what the command line says. */
        if (strcmp(key, "placements") == 0)
            lab->labels_text = NULL;
        if (strcmp(key, "hashes") == 0)
            lab->hash_labels_text = NULL;
    }
    return 0;
}

/* Every setting as text, the defaults included. */
static cJSON *collect_texts(struct ini_entries *entries)
{
    cJSON *texts = cJSON_CreateObject();
    cJSON *section = cJSON_AddObjectToObject(texts, SECTION);
    for (const struct option_def *def = laboratory_options; def->name; def++) {
        const struct ini_entry *entry = ini_find(entries, SECTION, def->name);
        const char *value = entry ? entry->value : def->fallback;
        if (value)
            cJSON_AddStringToObject(section, def->name, value);
    }
    return texts;
}

/* "…/H1.ini" holds H1. */
static int check(struct laboratory *lab, const char *path, struct err *err)
{
    const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (!lab->name || !lab->title || !lab->question)
        return err_set(err, -EINVAL, "%s: [" SECTION "] has no %s", path,
                       !lab->name    ? "name"
                       : !lab->title ? "title"
                                     : "question");
    size_t n = strlen(lab->name);
    if (strncmp(file, lab->name, n) != 0 || strcmp(file + n, ".ini") != 0 || !name_valid(lab->name))
        return err_set(err, -EINVAL, "%s: the experiment is called '%s', unlike its file", path,
                       lab->name);
    int rc = parse_lists(lab, err);
    if (rc < 0)
        err_prefix(err, "%s", path);
    return rc;
}

int laboratory_read(const char *path, const char *const *overrides, size_t n_overrides,
                    struct laboratory *ret_laboratory, struct err *err)
{
    struct laboratory lab = {0};
    struct ini_entries *entries = mem_zalloc(1, sizeof(*entries));
    struct buf text;
    bool is_one = false;
    arena_init(&lab.arena);
    buf_init(&text, EXPERIMENT_MAX_FILE_BYTES);
    int rc = file_read(path, &text, err);
    if (rc >= 0 &&
        ini_read_entries(buf_head(&text), buf_len(&text), path, &lab.arena, entries, NULL) < 0)
        entries->n = 0; /* an experiment's reader will say */
    for (size_t i = 0; i < entries->n; i++)
        is_one |= strcmp(entries->at[i].section, SECTION) == 0;
    if (rc >= 0 && is_one) {
        option_set_defaults(laboratory_options, &lab);
        rc = take_entries(&lab, entries, path, err);
        if (rc >= 0)
            rc = take_overrides(&lab, entries, overrides, n_overrides, err);
        if (rc >= 0)
            rc = check(&lab, path, err);
        if (rc >= 0)
            lab.texts = collect_texts(entries);
    }
    buf_done(&text);
    free(entries);
    if (rc < 0 || !is_one) {
        laboratory_done(&lab);
        return rc < 0 ? rc : 0;
    }
    *ret_laboratory = lab;
    return 1;
}

void laboratory_done(struct laboratory *laboratory)
{
    cJSON_Delete(laboratory->texts);
    arena_done(&laboratory->arena);
}
