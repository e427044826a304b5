/* experiment_parse() on any bytes: an experiment that is taken has settings within their bounds at
 * every one of its points; a refused one has a reason that names where. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/arena.h"
#include "core/err.h"
#include "experiments/experiment.h"
#include "experiments/experiment_ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entries(const char *text, size_t n)
{
    static struct ini_entries entries;
    struct arena arena;
    struct err err = {0};
    int lines = 1;

    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    arena_init(&arena);
    memset(&entries, 0, sizeof(entries));
    if (ini_read_entries(text, n, "fuzz.ini", &arena, &entries, &err) == 0) {
        assert(entries.n <= INI_MAX_ENTRIES);
        for (size_t i = 0; i < entries.n; i++) {
            const struct ini_entry *entry = &entries.at[i];

            assert(entry->section != NULL);
            assert(entry->line >= 1 && entry->line <= lines);
            assert(entry->key == NULL || entry->value != NULL);
        }
    } else {
        assert(err.code < 0 && strncmp(err.message, "fuzz.ini:", 9) == 0);
    }
    arena_done(&arena);
}

static void check_experiment(const char *text, size_t n)
{
    static struct experiment experiment;
    struct err err = {0};

    if (experiment_parse(text, n, "fuzz.ini", NULL, 0, &experiment, &err) < 0) {
        assert(err.code < 0 && err.message[0] != '\0');
        return;
    }
    size_t n_points = experiment_n_points(&experiment);
    assert(n_points >= 1);
    assert(experiment.about.name != NULL && experiment.about.repeats >= 1);
    assert(n_points * experiment.about.repeats <= EXPERIMENT_MAX_SAMPLES);
    for (size_t i = 0; i < n_points; i++) {
        struct experiment_settings settings;

        experiment_point(&experiment, i, &settings);
        assert(settings.cluster.servers >= 1 && settings.cluster.servers <= EXPERIMENT_MAX_SERVERS);
        assert(settings.load.requests >= 1 && settings.load.in_flight >= 1);
        for (size_t axis = 0; axis < experiment.n_axes; axis++)
            assert(experiment_value_index(&experiment, i, axis) < experiment.axes[axis].n_values);
    }
    experiment_done(&experiment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_entries((const char *)data, size);
    check_experiment((const char *)data, size);
    return 0;
}
