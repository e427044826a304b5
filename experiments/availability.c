#include "experiments/availability.h"

#include <errno.h>
#include <string.h>

#include "lb/mariadb.h"

#define STORE_KEY "cluster.store"

int availability_check_store(const char *store, struct err *err)
{
    /* With options it names a database that is somebody else's to run. */
    return store && !strcmp(store, "mysql") ? mariadb_find_programs(err) : 0;
}

/* Which of the axis's keys is the store; n_keys: none. */
static size_t store_key(const struct experiment_axis *axis)
{
    size_t k = 0;
    while (k < axis->n_keys && strcmp(axis->keys[k], STORE_KEY))
        k++;
    return k;
}

static void drop_value(struct experiment_axis *axis, size_t i)
{
    size_t n_after = axis->n_values - i - 1;
    memmove(&axis->values[i], &axis->values[i + 1], n_after * sizeof(axis->values[0]));
    memmove(&axis->labels[i], &axis->labels[i + 1], n_after * sizeof(axis->labels[0]));
    memmove(&axis->parts[i], &axis->parts[i + 1], n_after * sizeof(axis->parts[0]));
    axis->n_values--;
}

/* Of one axis that varies the store. */
static int trim_axis(struct experiment *experiment, struct experiment_axis *axis, size_t key,
                     int (*check)(const char *store, struct err *), struct err *err)
{
    struct err why = {0};
    size_t n_bad = 0;
    for (size_t i = 0; i < axis->n_values; i++)
        n_bad += check(axis->parts[i][key], &why) < 0;
    if (n_bad == axis->n_values)
        return err_set(err, -ENOENT, "%s: %s", STORE_KEY, why.message);
    for (size_t i = axis->n_values; i-- > 0;) {
        if (check(axis->parts[i][key], &why) == 0)
            continue;
        experiment->left_out[experiment->n_left_out++] = arena_printf(
            &experiment->arena, "%s = %s: %s", axis->vary, axis->values[i], why.message);
        drop_value(axis, i);
    }
    return 0;
}

int availability_trim(struct experiment *experiment, int (*check)(const char *store, struct err *),
                      struct err *err)
{
    if (!experiment_has_database(&experiment->settings))
        return 0;
    for (size_t a = 0; a < experiment->n_axes; a++) {
        struct experiment_axis *axis = &experiment->axes[a];
        size_t key = store_key(axis);
        if (key < axis->n_keys)
            return trim_axis(experiment, axis, key, check, err);
    }
    return check(experiment->settings.cluster.store, err);
}
