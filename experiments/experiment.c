#include "experiments/experiment.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backends/store.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/name.h"
#include "core/option.h"
#include "experiments/experiment_check.h"
#include "experiments/experiment_ini.h"
#include "experiments/experiment_keys.h"

/* CONTRACT.md, "Default configuration". */
#define DEFAULT_SHARD_SIZE 4096

/* ——— overrides ——— */

/* "SECTION.KEY=VALUE" in place of what the file says. */
static int override_apply(struct experiment *experiment, struct ini_entries *entries,
                          const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return err_set(err, -EINVAL, "--set %s: not of the form SECTION.KEY=VALUE", text);
    struct arena *arena = &experiment->arena;
    const char *dotted = arena_strndup(arena, text, (size_t)(equals - text));
    const struct section *section = NULL;
    const struct option_def *def = NULL;
    if (setting_find(dotted, &section, &def, err) < 0)
        return err_prefix(err, "--set %s", text);
    assert(section && def);
    const char *value = arena_strdup(arena, equals + 1);
    struct ini_entry *entry = ini_find(entries, section->name, def->name);
    if (!entry) {
        if (entries->n == INI_MAX_ENTRIES)
            return err_set(err, -EINVAL, "--set %s: too many keys", text);
        entry = &entries->at[entries->n++];
    }
    *entry = (struct ini_entry){.section = section->name, .key = def->name, .value = value};
    /* Labels of the file do not name values of the command line. */
    struct ini_entry *labels = ini_find(entries, section->name, "labels");
    if (!strcmp(def->name, "values") && labels && labels->line)
        *labels = entries->at[--entries->n];
    return 0;
}

/* ——— from entries to fields ——— */

/* "6/4/3 = 29 105" of what others published. */
static int published_add(struct experiment *experiment, const struct ini_entry *entry,
                         struct err *err)
{
    struct experiment_published *published = &experiment->published[experiment->n_published];
    char *end, *last;
    if (experiment->n_published == EXPERIMENT_MAX_PUBLISHED)
        return err_set(err, -EINVAL, "published: at most %d rows", EXPERIMENT_MAX_PUBLISHED);
    published->label = entry->key;
    published->write = strtod(entry->value, &end);
    published->read = strtod(end, &last);
    if (end == entry->value || last == end || *last || !(published->write > 0) ||
        !(published->read > 0) || published->write > 1e12 || published->read > 1e12)
        return err_set(err, -EINVAL, "published: '%s' is not of the form WRITES READS, requests/s",
                       entry->value);
    experiment->n_published++;
    return 0;
}

/* Adds where an entry stands to the error. */
static int fail_at(const struct ini_entry *entry, const char *origin, struct err *err)
{
    if (entry->line)
        return err_prefix(err, "%s:%d", origin, entry->line);
    return err_prefix(err, "--set %s.%s=%s", entry->section, entry->key, entry->value);
}

static int entries_apply(struct experiment *experiment, const struct ini_entries *entries,
                         const char *origin, struct err *err)
{
    for (size_t i = 0; i < entries->n; i++) {
        const struct ini_entry *entry = &entries->at[i];
        const struct section *section = section_find(entry->section, strlen(entry->section));
        if (!strcmp(entry->section, EVENTS_SECTION)) {
            if (entry->key && events_add(&experiment->events, &experiment->arena, entry->key,
                                         entry->value, err) < 0)
                return fail_at(entry, origin, err);
            continue;
        }
        if (!strcmp(entry->section, PUBLISHED_SECTION)) {
            if (entry->key && published_add(experiment, entry, err) < 0)
                return fail_at(entry, origin, err);
            continue;
        }
        if (!section) {
            section_fail_unknown(entry->section, err);
            return fail_at(entry, origin, err);
        }
        if (!entry->key)
            continue;
        const struct option_def *def =
            option_find(section->options, entry->key, strlen(entry->key));
        if (!def) {
            section_fail_unknown_key(section, entry->key, err);
            return fail_at(entry, origin, err);
        }
        if (option_set(def, (char *)experiment + section->offset, entry->value, err) < 0)
            return fail_at(entry, origin, err);
    }
    return 0;
}

/* Every setting as text, the defaults included: what the manifest keeps. */
static cJSON *texts_collect(struct ini_entries *entries)
{
    cJSON *texts = cJSON_CreateObject();
    for (size_t i = 0; experiment_sections[i].name; i++) {
        cJSON *section = cJSON_AddObjectToObject(texts, experiment_sections[i].name);
        for (const struct option_def *def = experiment_sections[i].options; def->name; def++) {
            const struct ini_entry *entry =
                ini_find(entries, experiment_sections[i].name, def->name);
            const char *value = entry ? entry->value : def->fallback;
            if (value)
                cJSON_AddStringToObject(section, def->name, value);
        }
        if (!section->child)
            cJSON_DeleteItemFromObjectCaseSensitive(texts, experiment_sections[i].name);
    }
    for (size_t i = 0; i < entries->n; i++) {
        const struct ini_entry *entry = &entries->at[i];
        if (section_find(entry->section, strlen(entry->section)) || !entry->key)
            continue;
        cJSON *section = cJSON_GetObjectItemCaseSensitive(texts, entry->section);
        if (!section)
            section = cJSON_AddObjectToObject(texts, entry->section);
        cJSON_AddStringToObject(section, entry->key, entry->value);
    }
    return texts;
}

/* Splits text at separators (blanks: " \t"), trimming each piece. Returns how many, or -E2BIG. */
static int split(struct arena *arena, const char *text, const char *separators, const char **out,
                 size_t max)
{
    size_t n = 0;
    while (*text) {
        size_t length = strcspn(text, separators);
        const char *end = text + length;
        while (text < end && isspace((unsigned char)*text))
            text++;
        const char *last = end;
        while (last > text && isspace((unsigned char)last[-1]))
            last--;
        if (last > text) {
            if (n == max)
                return -E2BIG;
            out[n++] = arena_strndup(arena, text, (size_t)(last - text));
        }
        text = *end ? end + 1 : end;
    }
    return (int)n;
}

/* ——— checks that need more than one key ——— */

static int about_check(const struct experiment_about *about, struct err *err)
{
    if (!about->name || !about->title || !about->question)
        return err_set(err, -EINVAL, "[experiment] has no %s",
                       !about->name    ? "name"
                       : !about->title ? "title"
                                       : "question");
    if (!name_valid(about->name))
        return err_set(err, -EINVAL, "experiment.name: '%s' is not a name (letters, digits, _ . -)",
                       about->name);
    return 0;
}

/* The keys of an axis exist and may vary. */
static int axis_check_keys(struct arena *arena, struct experiment_axis *axis, struct err *err)
{
    int n = split(arena, axis->vary, ",", axis->keys, EXPERIMENT_MAX_VARIED);
    if (n < 0)
        return err_set(err, -EINVAL, "vary: at most %d keys at once", EXPERIMENT_MAX_VARIED);
    axis->n_keys = (size_t)n;
    for (size_t i = 0; i < axis->n_keys; i++) {
        const struct section *section = NULL;
        const struct option_def *def = NULL;
        if (setting_find(axis->keys[i], &section, &def, err) < 0)
            return err_prefix(err, "vary");
        assert(section && def);
        if (!section->varies)
            return err_set(err, -EINVAL, "vary: '%s' cannot vary; keys of cluster and load can",
                           axis->keys[i]);
    }
    return n ? 0 : err_set(err, -EINVAL, "vary: there is no key");
}

/* Gives the keys of an axis its i-th value. */
static int axis_apply(const struct experiment_axis *axis, size_t i, struct experiment *experiment,
                      struct err *err)
{
    for (size_t k = 0; k < axis->n_keys; k++) {
        const struct section *section = NULL;
        const struct option_def *def = NULL;
        int status = setting_find(axis->keys[k], &section, &def, err);
        assert(status == 0 && section && def); /* found when it was parsed */
        status = option_set(def, (char *)experiment + section->offset, axis->parts[i][k], err);
        if (status < 0)
            return status;
    }
    return 0;
}

/* A value is that of the one key, or one of each, joined by ','. */
static int axis_check_value(struct arena *arena, struct experiment_axis *axis, size_t i,
                            struct err *err)
{
    const char *value = axis->values[i];
    if (axis->n_keys == 1) {
        axis->parts[i][0] = value;
        return 0;
    }
    int n = split(arena, value, ",", axis->parts[i], EXPERIMENT_MAX_VARIED);
    if (n != (int)axis->n_keys)
        return err_set(err, -EINVAL, "'%s' is not a value of each of %zu keys, joined by ','",
                       value, axis->n_keys);
    return 0;
}

static int axis_check(struct experiment *experiment, struct experiment_axis *axis, struct err *err)
{
    struct arena *arena = &experiment->arena;
    if (axis_check_keys(arena, axis, err) < 0)
        return -EINVAL;
    int n = split(arena, axis->values_text ? axis->values_text : "", " \t", axis->values,
                  EXPERIMENT_MAX_VALUES);
    if (n <= 0)
        return err_set(err, -EINVAL, "%s", n ? "too many values" : "values are missing");
    axis->n_values = (size_t)n;
    for (size_t i = 0; i < axis->n_values; i++) {
        struct experiment scratch = *experiment;
        if (axis_check_value(arena, axis, i, err) < 0 || axis_apply(axis, i, &scratch, err) < 0)
            return err_prefix(err, "values");
        for (size_t j = 0; j < i; j++)
            if (!strcmp(axis->values[i], axis->values[j]))
                return err_set(err, -EINVAL, "values: '%s' is there twice", axis->values[i]);
        axis->labels[i] = axis->values[i];
    }
    if (!axis->labels_text)
        return 0;
    n = split(arena, axis->labels_text, "|", axis->labels, EXPERIMENT_MAX_VALUES);
    if (n != (int)axis->n_values)
        return err_set(err, -EINVAL, "there are %zu values but %d labels", axis->n_values, n);
    return 0;
}

static int axes_check(struct experiment *experiment, struct err *err)
{
    struct experiment_axis *axes = experiment->axes;
    for (size_t i = 0; i < EXPERIMENT_MAX_AXES; i++) {
        const char *name = i ? "axis2" : "axis";
        if (!axes[i].vary && (axes[i].values_text || axes[i].labels_text))
            return err_set(err, -EINVAL, "[%s] does not say what varies (vary = …)", name);
        if (!axes[i].vary)
            break;
        if (axis_check(experiment, &axes[i], err) < 0)
            return err_prefix(err, "[%s]", name);
        experiment->n_axes = i + 1;
    }
    if (experiment->n_axes < EXPERIMENT_MAX_AXES && axes[1].vary)
        return err_set(err, -EINVAL, "there is an [axis2] but no [axis]");
    if (experiment->n_axes == 2 && axes[0].vary && !strcmp(axes[0].vary, axes[1].vary))
        return err_set(err, -EINVAL, "[axis] and [axis2] both vary '%s'", axes[0].vary);
    size_t samples = experiment_n_points(experiment) * experiment->about.repeats;
    if (samples > EXPERIMENT_MAX_SAMPLES)
        return err_set(err, -EINVAL, "%zu samples (points × repeats); at most %d", samples,
                       EXPERIMENT_MAX_SAMPLES);
    return 0;
}

/* A kind becomes a path below plots/, so it is a plain word. */
static int figure_check(struct experiment *experiment, struct err *err)
{
    struct experiment_figure *figure = &experiment->figure;
    int n =
        split(&experiment->arena, figure->kind_text, " \t", figure->kinds, EXPERIMENT_MAX_KINDS);
    if (n < 0)
        return err_set(err, -EINVAL, "figure.kind: at most %d kinds", EXPERIMENT_MAX_KINDS);
    figure->n_kinds = (size_t)n;
    for (size_t i = 0; i < figure->n_kinds; i++)
        if (figure->kinds[i][strspn(figure->kinds[i], "abcdefghijklmnopqrstuvwxyz0123456789-")])
            return err_set(err, -EINVAL, "figure.kind: '%s' is not a word of a-z, 0-9 and -",
                           figure->kinds[i]);
    return 0;
}

static int experiment_check(struct experiment *experiment, struct err *err)
{
    int status = about_check(&experiment->about, err);
    if (status < 0)
        return status;
    if ((status = axes_check(experiment, err)) < 0)
        return status;
    if ((status = figure_check(experiment, err)) < 0)
        return status;
    struct experiment_settings first;
    experiment_point(experiment, 0, &first);
    for (size_t i = 0; i < experiment_n_points(experiment); i++) {
        struct experiment_settings settings;
        experiment_point(experiment, i, &settings);
        if ((status = experiment_check_settings(&settings, err)) < 0)
            return status;
        if (!experiment_is_alike(&first, &settings))
            return err_set(err, -EINVAL,
                           "all points have a database and the same of load.write and load.read, "
                           "or none has");
        if ((status = experiment_check_figure(experiment, &settings, err)) < 0)
            return status;
        if ((status = experiment_check_events(experiment, &settings, err)) < 0)
            return status;
    }
    return 0;
}

/* ——— the public calls ——— */

int experiment_parse(const char *text, size_t n, const char *origin, const char *const *overrides,
                     size_t n_overrides, struct experiment *ret_experiment, struct err *err)
{
    struct experiment experiment = {0};
    struct ini_entries *entries = mem_zalloc(1, sizeof(*entries));
    struct err unread = {0};
    if (!err)
        err = &unread; /* err_prefix() hands its code on */
    arena_init(&experiment.arena);
    for (size_t i = 0; experiment_sections[i].name; i++)
        option_set_defaults(experiment_sections[i].options,
                            (char *)&experiment + experiment_sections[i].offset);

    int status = ini_read_entries(text, n, origin, &experiment.arena, entries, err);
    for (size_t i = 0; i < n_overrides && status >= 0; i++)
        status = override_apply(&experiment, entries, overrides[i], err);
    if (status >= 0)
        status = entries_apply(&experiment, entries, origin, err);
    if (status >= 0 && (status = experiment_check(&experiment, err)) < 0)
        err_prefix(err, "%s", origin);
    if (status >= 0) {
        experiment.texts = texts_collect(entries);
        *ret_experiment = experiment;
    } else {
        experiment_done(&experiment);
    }
    free(entries);
    return status < 0 ? status : 0;
}

int experiment_read(const char *path, const char *const *overrides, size_t n_overrides,
                    struct experiment *ret_experiment, struct err *err)
{
    struct buf text;
    buf_init(&text, EXPERIMENT_MAX_FILE_BYTES);
    int status = file_read(path, &text, err);
    if (status >= 0)
        status = experiment_parse(buf_head(&text), buf_len(&text), path, overrides, n_overrides,
                                  ret_experiment, err);
    buf_done(&text);
    return status;
}

void experiment_done(struct experiment *experiment)
{
    cJSON_Delete(experiment->texts);
    experiment->texts = NULL;
    arena_done(&experiment->arena);
}

size_t experiment_n_points(const struct experiment *experiment)
{
    size_t n = 1;
    for (size_t i = 0; i < experiment->n_axes; i++)
        n *= experiment->axes[i].n_values;
    return n;
}

size_t experiment_value_index(const struct experiment *experiment, size_t point, size_t axis)
{
    for (size_t i = experiment->n_axes; i-- > axis + 1;)
        point /= experiment->axes[i].n_values;
    return point % experiment->axes[axis].n_values;
}

/* Where the option of a workload's text stands, past its '='; NULL: it is not said. */
static const char *find_option(const char *workload, const char *name)
{
    size_t n = strlen(name);
    const char *at = strchr(workload, ':');
    while (at && (strncmp(at + 1, name, n) || at[1 + n] != '='))
        at = strchr(at + 1, ',');
    return at ? at + 2 + n : NULL;
}

uint64_t experiment_rows_a_request(const char *workload)
{
    const char *rows = find_option(workload, "rows");
    return rows ? strtoull(rows, NULL, 0) : 1;
}

bool experiment_says_ids(const char *workload)
{
    return find_option(workload, "ids") || find_option(workload, "low");
}

/* Of a database: what was not said. Not defaults of the table, so that the manifests of those that
 * have none know nothing of it. */
static void settings_complete(struct experiment_settings *settings)
{
    struct experiment_cluster *cluster = &settings->cluster;
    struct experiment_load *load = &settings->load;
    const char *other = load->read ? load->read : load->workload;
    uint64_t n_rows = load->preload;
    cluster->replicas = cluster->replicas ? cluster->replicas : 3;
    cluster->store = cluster->store ? cluster->store : "memory";
    if (load->write && load->requests && !experiment_says_ids(load->write)) {
        uint64_t n = (load->warmup + load->requests) * experiment_rows_a_request(load->write);
        load->write_keys = (struct experiment_range){load->preload, n};
        n_rows += n;
    }
    if (other && !experiment_says_ids(other))
        load->other_keys = (struct experiment_range){0, n_rows};
    if (cluster->shard_size)
        return;
    uint64_t n_shards = experiment_shape(cluster).shards;
    bool known = n_rows && (!load->write || load->write_keys.n);
    cluster->shard_size = known ? (n_rows + n_shards - 1) / n_shards : DEFAULT_SHARD_SIZE;
}

void experiment_point(const struct experiment *experiment, size_t point,
                      struct experiment_settings *ret_settings)
{
    struct experiment at_point = *experiment;
    for (size_t i = 0; i < experiment->n_axes; i++) {
        const struct experiment_axis *axis = &experiment->axes[i];
        int status =
            axis_apply(axis, experiment_value_index(experiment, point, i), &at_point, NULL);
        assert(status == 0); /* tried when it was parsed */
        (void)status;
    }
    struct experiment_cluster *cluster = &at_point.settings.cluster;
    if (at_point.settings.load.duration_ns)
        at_point.settings.load.requests = 0;
    if (cluster->grow && !strcmp(cluster->grow, "none"))
        cluster->grow = NULL;
    if (cluster->shards)
        settings_complete(&at_point.settings);
    *ret_settings = at_point.settings;
}

bool experiment_store_forgets(const struct experiment_cluster *cluster)
{
    struct store_spec store;
    if (!cluster->store || store_spec_parse(cluster->store, &store, NULL) < 0)
        return false;
    bool forgets = store_spec_caps(&store) & STORE_FORGETS;
    store_spec_done(&store);
    return forgets;
}

struct layout_shape experiment_shape(const struct experiment_cluster *cluster)
{
    struct layout_shape shape = {cluster->servers, cluster->shards, cluster->replicas};
    if (cluster->grow)
        layout_parse_shape(cluster->grow, &shape, NULL);
    return shape;
}
