#include "experiments/experiment.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backends/client.h"
#include "backends/hash.h"
#include "backends/placement.h"
#include "backends/spawner.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/name.h"
#include "core/option.h"
#include "experiments/experiment_ini.h"

#define AT(type, field) offsetof(struct experiment_##type, field)

static const struct option_def about_options[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = AT(about, name),
     .metavar = "NAME",
     .help = "the experiment's name, which is also its file's and its results' folder"},
    {.name = "title",
     .type = OPTION_STRING,
     .offset = AT(about, title),
     .metavar = "TEXT",
     .help = "what stands above the figure"},
    {.name = "question",
     .type = OPTION_STRING,
     .offset = AT(about, question),
     .metavar = "TEXT",
     .help = "what the experiment is to answer"},
    {.name = "repeats",
     .type = OPTION_U64,
     .offset = AT(about, repeats),
     .metavar = "N",
     .fallback = "5",
     .min = 1,
     .max = 1000,
     .help = "samples of every point"},
    {.name = "measures",
     .type = OPTION_CHOICE,
     .offset = AT(about, measures),
     .metavar = "WHAT",
     .fallback = "rates",
     .choices = "rates|counts",
     .help = "what is claimed: only rates suffer from a saturated generator"},
    {.name = "endpoints",
     .type = OPTION_CHOICE,
     .offset = AT(about, endpoints),
     .metavar = "WHAT",
     .fallback = "ignored",
     .choices = "ignored|checked",
     .help = "checked: every endpoint is asked first, and its answer held against CONTRACT.md"},
    {0},
};

static const struct option_def cluster_options[] = {
    {.name = "servers",
     .type = OPTION_U64,
     .offset = AT(cluster, servers),
     .metavar = "N",
     .fallback = "3",
     .min = 1,
     .max = EXPERIMENT_MAX_SERVERS,
     .help = "servers at the start"},
    {.name = "placement",
     .type = OPTION_STRING,
     .offset = AT(cluster, placement),
     .metavar = "NAME[:k=v,…]",
     .fallback = "slots",
     .help = "what maps a request to a server"},
    {.name = "hash",
     .type = OPTION_STRING,
     .offset = AT(cluster, hash),
     .metavar = "NAME[:k=v,…]",
     .fallback = "quadratic",
     .help = "the hash of requests and servers, or REQUEST/SERVER"},
    {.name = "spawner",
     .type = OPTION_STRING,
     .offset = AT(cluster, spawner),
     .metavar = "NAME[:k=v,…]",
     .fallback = "process",
     .help = "what starts the servers"},
    {.name = "threads",
     .type = OPTION_U64,
     .offset = AT(cluster, threads),
     .metavar = "N",
     .fallback = "1",
     .min = 1,
     .max = 64,
     .help = "worker threads of the load balancer"},
    {0},
};

static const struct option_def load_options[] = {
    {.name = "requests",
     .type = OPTION_U64,
     .offset = AT(load, requests),
     .metavar = "N",
     .fallback = "10000",
     .min = 1,
     .max = 1000000000,
     .help = "requests of one sample; a duration takes their place"},
    {.name = "duration",
     .type = OPTION_DURATION,
     .offset = AT(load, duration_ns),
     .metavar = "TIME",
     .fallback = "0s",
     .max = UINT64_C(600) * NS_PER_S,
     .help = "send for so long; 0s: until all requests are sent"},
    {.name = "in_flight",
     .type = OPTION_U64,
     .offset = AT(load, in_flight),
     .metavar = "N",
     .fallback = "64",
     .min = 1,
     .max = 65536,
     .help = "requests under way at once"},
    {.name = "rate",
     .type = OPTION_DOUBLE,
     .offset = AT(load, rate),
     .metavar = "R",
     .fallback = "0",
     .max = 1000000,
     .help = "open loop: so many requests a second, whatever becomes of them, in_flight being a "
             "limit; 0: closed loop"},
    {.name = "arrivals",
     .type = OPTION_CHOICE,
     .offset = AT(load, arrivals),
     .metavar = "WHEN",
     .fallback = "constant",
     .choices = "constant|poisson",
     .help = "of an open loop: evenly spaced, or independent of each other"},
    {.name = "client",
     .type = OPTION_STRING,
     .offset = AT(load, client),
     .metavar = "NAME[:k=v,…]",
     .fallback = "curl",
     .help = "what sends the requests"},
    {.name = "threads",
     .type = OPTION_U64,
     .offset = AT(load, threads),
     .metavar = "N",
     .fallback = "1",
     .min = 1,
     .max = 64,
     .help = "threads of the load generator"},
    {.name = "warmup",
     .type = OPTION_U64,
     .offset = AT(load, warmup),
     .metavar = "N",
     .fallback = "1000",
     .max = 1000000000,
     .help = "requests before those that count"},
    {.name = "steady_percent",
     .type = OPTION_U64,
     .offset = AT(load, steady_percent),
     .metavar = "PERCENT",
     .fallback = "0",
     .max = 100,
     .help = "warm up, in windows of so many requests as warmup says, until the rates of three in "
             "a row are within so much; 0: do not ask"},
    {.name = "steady_windows",
     .type = OPTION_U64,
     .offset = AT(load, steady_windows),
     .metavar = "N",
     .fallback = "10",
     .min = 3,
     .max = EXPERIMENT_MAX_WINDOWS,
     .help = "windows of the warm-up at most"},
    {.name = "path",
     .type = OPTION_STRING,
     .offset = AT(load, path),
     .metavar = "/PATH",
     .fallback = "/home",
     .help = "what is asked for"},
    {0},
};

static const struct option_def axis_options[] = {
    {.name = "vary",
     .type = OPTION_STRING,
     .offset = AT(axis, vary),
     .metavar = "SECTION.KEY",
     .help = "the setting that varies"},
    {.name = "values",
     .type = OPTION_STRING,
     .offset = AT(axis, values_text),
     .metavar = "VALUE …",
     .help = "its values, separated by blanks"},
    {.name = "labels",
     .type = OPTION_STRING,
     .offset = AT(axis, labels_text),
     .metavar = "LABEL | …",
     .help = "what the figure calls them, separated by |"},
    {0},
};

static const struct option_def figure_options[] = {
    {.name = "kind",
     .type = OPTION_STRING,
     .offset = AT(figure, kind_text),
     .metavar = "KIND …",
     .fallback = "shares",
     .help = "the figures: plots/KIND.gp each"},
    {.name = "table",
     .type = OPTION_CHOICE,
     .offset = AT(figure, table),
     .metavar = "ROWS",
     .fallback = "servers",
     .choices = "servers|points|events|steps",
     .help = "one row a server of every point, one a point, one an event, or one a step that "
             "followed events of one kind"},
    {0},
};

/* Where a section's values go; varies: an axis may change its keys. */
struct section {
    const char *name;
    const struct option_def *options;
    size_t offset; /* in struct experiment */
    bool varies;
};

#define IN(field) offsetof(struct experiment, field)

static const struct section sections[] = {
    {"experiment", about_options, IN(about), false},
    {"cluster", cluster_options, IN(settings.cluster), true},
    {"load", load_options, IN(settings.load), true},
    {"axis", axis_options, IN(axes[0]), false},
    {"axis2", axis_options, IN(axes[1]), false},
    {"figure", figure_options, IN(figure), false},
};

#define N_SECTIONS (sizeof(sections) / sizeof(sections[0]))
/* Its keys are times, not options. */
#define EVENTS_SECTION "events"

/* ——— names: what there is, and what was meant ——— */

static const struct section *section_find(const char *name, size_t n)
{
    for (size_t i = 0; i < N_SECTIONS; i++)
        if (strlen(sections[i].name) == n && !memcmp(sections[i].name, name, n))
            return &sections[i];
    return NULL;
}

static int fail_unknown_section(const char *name, struct err *err)
{
    const char *names[N_SECTIONS + 1];
    for (size_t i = 0; i < N_SECTIONS; i++)
        names[i] = sections[i].name;
    names[N_SECTIONS] = EVENTS_SECTION;
    const char *meant = option_suggest(name, names, N_SECTIONS + 1);
    if (meant)
        return err_set(err, -EINVAL, "unknown section [%s]: did you mean [%s]?", name, meant);
    return err_set(
        err, -EINVAL,
        "unknown section [%s]: there are experiment, cluster, load, axis, axis2, events, "
        "figure",
        name);
}

static int fail_unknown_key(const struct section *section, const char *key, struct err *err)
{
    const char *names[16];
    size_t n = 0;
    struct buf all;
    buf_init(&all, 1024);
    for (const struct option_def *def = section->options; def->name; def++) {
        names[n++] = def->name;
        buf_appendf(&all, "%s%s", buf_len(&all) ? ", " : "", def->name);
    }
    const char *meant = option_suggest(key, names, n);
    if (meant)
        err_set(err, -EINVAL, "unknown key '%s' in [%s]: did you mean '%s'?", key, section->name,
                meant);
    else
        err_set(err, -EINVAL, "unknown key '%s' in [%s]: there are %s", key, section->name,
                buf_str(&all));
    buf_done(&all);
    return -EINVAL;
}

/* "cluster.hash" → its section and row. */
static int setting_find(const char *dotted, const struct section **ret_section,
                        const struct option_def **ret_def, struct err *err)
{
    const char *dot = strchr(dotted, '.');
    if (!dot)
        return err_set(err, -EINVAL, "'%s' is not of the form SECTION.KEY", dotted);
    const struct section *section = section_find(dotted, (size_t)(dot - dotted));
    if (!section) {
        char *name = mem_strndup(dotted, (size_t)(dot - dotted));
        fail_unknown_section(name, err);
        free(name);
        return -EINVAL;
    }
    const struct option_def *def = option_find(section->options, dot + 1, strlen(dot + 1));
    if (!def)
        return fail_unknown_key(section, dot + 1, err);
    *ret_section = section;
    *ret_def = def;
    return 0;
}

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
        if (!section) {
            fail_unknown_section(entry->section, err);
            return fail_at(entry, origin, err);
        }
        if (!entry->key)
            continue;
        const struct option_def *def =
            option_find(section->options, entry->key, strlen(entry->key));
        if (!def) {
            fail_unknown_key(section, entry->key, err);
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
    for (size_t i = 0; i < N_SECTIONS; i++) {
        cJSON *section = cJSON_AddObjectToObject(texts, sections[i].name);
        for (const struct option_def *def = sections[i].options; def->name; def++) {
            const struct ini_entry *entry = ini_find(entries, sections[i].name, def->name);
            const char *value = entry ? entry->value : def->fallback;
            if (value)
                cJSON_AddStringToObject(section, def->name, value);
        }
        if (!section->child)
            cJSON_DeleteItemFromObjectCaseSensitive(texts, sections[i].name);
    }
    for (size_t i = 0; i < entries->n; i++) {
        const struct ini_entry *entry = &entries->at[i];
        if (strcmp(entry->section, EVENTS_SECTION) || !entry->key)
            continue;
        cJSON *events = cJSON_GetObjectItemCaseSensitive(texts, EVENTS_SECTION);
        if (!events)
            events = cJSON_AddObjectToObject(texts, EVENTS_SECTION);
        cJSON_AddStringToObject(events, entry->key, entry->value);
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

static int load_check(const struct experiment_load *load, struct err *err)
{
    struct spec client;
    int status = spec_parse(&client_family, load->client, &client, err);
    if (status < 0)
        return err_prefix(err, "client");
    spec_done(&client);
    if (load->threads > load->in_flight)
        return err_set(err, -EINVAL, "%" PRIu64 " threads share %" PRIu64 " in_flight",
                       load->threads, load->in_flight);
    if (load->arrivals != EXPERIMENT_CONSTANT && !(load->rate > 0))
        return err_set(err, -EINVAL, "arrivals are of an open loop, which has a rate");
    return 0;
}

/* The parts exist and take their options. */
static int settings_check(const struct experiment_settings *settings, struct err *err)
{
    const struct experiment_cluster *cluster = &settings->cluster;
    struct hash_choice hash;
    int status = hash_choice_parse(cluster->hash, &hash, err);
    if (status < 0)
        return err_prefix(err, "cluster.hash");
    hash_choice_done(&hash);
    struct spec spec;
    if ((status = spec_parse(&placement_family, cluster->placement, &spec, err)) < 0)
        return err_prefix(err, "cluster.placement");
    spec_done(&spec);
    if ((status = spec_parse(&spawner_family, cluster->spawner, &spec, err)) < 0)
        return err_prefix(err, "cluster.spawner");
    spec_done(&spec);
    if ((status = load_check(&settings->load, err)) < 0)
        return err_prefix(err, "load");
    if (settings->load.steady_percent && !settings->load.warmup)
        return err_set(err, -EINVAL, "load.steady_percent: windows of load.warmup = 0 requests");
    const char *path = settings->load.path;
    if (path[0] != '/')
        return err_set(err, -EINVAL, "load.path: '%s' does not begin with '/'", path);
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            return err_set(err, -EINVAL, "load.path: '%s' has bytes that no path has", path);
    return 0;
}

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

static int axis_check(struct experiment *experiment, struct experiment_axis *axis, struct err *err)
{
    const struct section *section = NULL;
    const struct option_def *def = NULL;
    if (setting_find(axis->vary, &section, &def, err) < 0)
        return err_prefix(err, "vary");
    assert(section && def);
    if (!section->varies)
        return err_set(err, -EINVAL, "vary: '%s' cannot vary; keys of cluster and load can",
                       axis->vary);
    int n = split(&experiment->arena, axis->values_text ? axis->values_text : "", " \t",
                  axis->values, EXPERIMENT_MAX_VALUES);
    if (n <= 0)
        return err_set(err, -EINVAL, "%s", n ? "too many values" : "values are missing");
    axis->n_values = (size_t)n;
    for (size_t i = 0; i < axis->n_values; i++) {
        struct experiment scratch = *experiment;
        if (option_set(def, (char *)&scratch + section->offset, axis->values[i], err) < 0)
            return err_prefix(err, "values");
        for (size_t j = 0; j < i; j++)
            if (!strcmp(axis->values[i], axis->values[j]))
                return err_set(err, -EINVAL, "values: '%s' is there twice", axis->values[i]);
        axis->labels[i] = axis->values[i];
    }
    if (!axis->labels_text)
        return 0;
    n = split(&experiment->arena, axis->labels_text, "|", axis->labels, EXPERIMENT_MAX_VALUES);
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

/* Events need a load that lasts, and a table of events has events. */
static int events_check(const struct experiment *experiment,
                        const struct experiment_settings *settings, struct err *err)
{
    const struct event_list *events = &experiment->events;
    if (!events->n &&
        (experiment->figure.table == TABLE_EVENTS || experiment->figure.table == TABLE_STEPS))
        return err_set(err, -EINVAL, "figure.table: there are no events");
    if (events->n && events->at[events->n - 1].at_ns >= settings->load.duration_ns)
        return err_set(err, -EINVAL,
                       "load.duration: the load must go on after the last event, at %.3g s",
                       (double)events->at[events->n - 1].at_ns / (double)NS_PER_S);
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
    for (size_t i = 0; i < experiment_n_points(experiment); i++) {
        struct experiment_settings settings;
        experiment_point(experiment, i, &settings);
        if ((status = settings_check(&settings, err)) < 0)
            return status;
        if ((status = events_check(experiment, &settings, err)) < 0)
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
    for (size_t i = 0; i < N_SECTIONS; i++)
        option_set_defaults(sections[i].options, (char *)&experiment + sections[i].offset);

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

void experiment_point(const struct experiment *experiment, size_t point,
                      struct experiment_settings *ret_settings)
{
    struct experiment at_point = *experiment;
    for (size_t i = 0; i < experiment->n_axes; i++) {
        const struct experiment_axis *axis = &experiment->axes[i];
        const struct section *section = NULL;
        const struct option_def *def = NULL;
        int status = setting_find(axis->vary, &section, &def, NULL);
        assert(status == 0 && section && def);
        status = option_set(def, (char *)&at_point + section->offset,
                            axis->values[experiment_value_index(experiment, point, i)], NULL);
        assert(status == 0); /* tried when it was parsed */
        (void)status;
    }
    if (at_point.settings.load.duration_ns)
        at_point.settings.load.requests = 0;
    *ret_settings = at_point.settings;
}
