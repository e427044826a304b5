#include "ctl/prom.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static int compare_keys(const struct prom_value *x, const struct prom_value *y)
{
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : strcmp(x->server, y->server);
}

static int compare_values(const void *a, const void *b)
{
    const struct prom_value *x = a, *y = b;
    int order = compare_keys(x, y);
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

/* Labels from behind the brace on; the values quoit writes hold nothing that is escaped. Returns
 * what follows the closing brace, NULL where it is malformed. */
static char *read_labels(char *at, struct prom_value *value)
{
    while (*at != '}') {
        char *equals = strchr(at, '=');
        if (!equals || equals[1] != '"')
            return NULL;
        char *quote = strchr(equals + 2, '"');
        if (!quote)
            return NULL;
        *equals = *quote = '\0';
        if (strcmp(at, "server") == 0)
            value->server = equals + 2;
        else if (strcmp(at, "le") == 0)
            value->upper = strtod(equals + 2, NULL);
        at = quote + 1;
        if (*at == ',')
            at++;
        else if (*at != '}')
            return NULL;
    }
    return at + 1;
}

/* NAME[{LABELS}] VALUE */
static bool read_value(char *line, struct prom_value *ret_value)
{
    struct prom_value value = {.name = line, .server = "", .upper = NAN};
    char *at = line + strcspn(line, "{ "), *end;
    if (at == line || *at == '\0')
        return false;
    bool labelled = *at == '{';
    *at++ = '\0';
    if (labelled)
        at = read_labels(at, &value);
    if (!at)
        return false;
    value.value = strtod(at, &end);
    if (end == at || *end != '\0')
        return false;
    *ret_value = value;
    return true;
}

int prom_read(const char *text, size_t n, struct prom *ret_prom, struct err *err)
{
    struct prom prom = {.text = mem_strndup(n ? text : "", n)};
    size_t n_lines = 1, order = 0;
    char *rest = prom.text;
    for (const char *at = prom.text; *at; at++)
        n_lines += *at == '\n';
    prom.values = mem_zalloc(n_lines, sizeof(*prom.values));
    for (char *line; (line = strsep(&rest, "\n"));) {
        order++;
        if (*line == '\0' || *line == '#')
            continue;
        if (!read_value(line, &prom.values[prom.n])) {
            prom_done(&prom);
            return err_set(err, -EPROTO, "line %zu of the metrics is no metric", order);
        }
        prom.values[prom.n++].order = order;
    }
    if (prom.n > 1)
        qsort(prom.values, prom.n, sizeof(*prom.values), compare_values);
    *ret_prom = prom;
    return 0;
}

void prom_done(struct prom *prom)
{
    free(prom->values);
    free(prom->text);
    *prom = (struct prom){0};
}

const struct prom_value *prom_find(const struct prom *prom, const char *name, const char *server,
                                   size_t *ret_n)
{
    const struct prom_value key = {.name = name, .server = server};
    size_t low = 0, high = prom->n, n = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_keys(&prom->values[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + n < prom->n && compare_keys(&prom->values[low + n], &key) == 0)
        n++;
    *ret_n = n;
    return n > 0 ? &prom->values[low] : NULL;
}

double prom_get(const struct prom *prom, const char *name, const char *server)
{
    size_t n;
    const struct prom_value *value = prom_find(prom, name, server, &n);
    return value ? value->value : 0.;
}
