#include "core/registry.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"

/* More than any family will have; checked when it is passed. */
#define FAMILY_MAX_MEMBERS 128

static int family_compare(const void *a, const void *b)
{
    return strcmp((*(const struct part *const *)a)->name, (*(const struct part *const *)b)->name);
}

size_t family_list(const struct family *family, const struct part **out, size_t max)
{
    const struct part *all[FAMILY_MAX_MEMBERS];
    size_t n = 0;

    for (const struct part *const *p = family->begin; p < family->end; p++) {
        assert(n < FAMILY_MAX_MEMBERS);
        assert((*p)->name != NULL && (*p)->name[0] != '\0');
        all[n++] = *p;
    }
    if (n > 1)
        qsort(all, n, sizeof(all[0]), family_compare);
    for (size_t i = 1; i < n; i++)
        assert(strcmp(all[i - 1]->name, all[i]->name) != 0 && "two members of one name");
    for (size_t i = 0; i < n && i < max; i++)
        out[i] = all[i];
    return n;
}

const struct part *family_find(const struct family *family, const char *name)
{
    const struct part *all[FAMILY_MAX_MEMBERS];
    size_t n = family_list(family, all, FAMILY_MAX_MEMBERS);

    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

static void family_print_option(const struct option_def *def, FILE *out)
{
    fprintf(out, "    %s", def->name);
    if (def->type != OPTION_FLAG)
        fprintf(out, "=%s",
                def->type == OPTION_CHOICE ? def->choices
                : def->metavar != NULL     ? def->metavar
                                           : "VALUE");
    fprintf(out, "  %s", def->help != NULL ? def->help : "");
    if (def->fallback != NULL && def->type != OPTION_FLAG)
        fprintf(out, " (default: %s)", def->fallback);
    fputc('\n', out);
}

void family_print(const struct family *family, FILE *out)
{
    const struct part *all[FAMILY_MAX_MEMBERS];
    size_t n = family_list(family, all, FAMILY_MAX_MEMBERS);

    if (n == 0)
        fprintf(out, "no %s is built in\n", family->name);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%s: %s\n", all[i]->name, all[i]->summary);
        if (all[i]->source != NULL)
            fprintf(out, "    source: %s\n", all[i]->source);
        for (const struct option_def *def = all[i]->options; def != NULL && def->name != NULL;
             def++)
            family_print_option(def, out);
    }
}

/* Appends "there is a, b, c" and, where one is alike, "; did you mean 'b'?". */
static void spec_append_names(struct buf *text, const char *word, const char *const *names,
                              size_t n)
{
    const char *suggestion = option_suggest(word, names, n);

    /* The buffer has a maximum; a list cut by it is still an error message. */
    if (n == 0)
        buf_append_str(text, "there is none");
    for (size_t i = 0; i < n; i++)
        buf_appendf(text, "%s%s", i == 0 ? "there is " : ", ", names[i]);
    if (suggestion != NULL)
        buf_appendf(text, "; did you mean '%s'?", suggestion);
}

static int spec_unknown_member(const struct family *family, const char *name, struct err *err)
{
    const struct part *all[FAMILY_MAX_MEMBERS];
    const char *names[FAMILY_MAX_MEMBERS];
    size_t n = family_list(family, all, FAMILY_MAX_MEMBERS);
    struct buf list;

    for (size_t i = 0; i < n; i++)
        names[i] = all[i]->name;
    buf_init(&list, ERR_MESSAGE_BYTES);
    spec_append_names(&list, name, names, n);
    err_set(err, -EINVAL, "unknown %s '%s': %s", family->name, name, buf_str(&list));
    buf_done(&list);
    return -EINVAL;
}

static int spec_unknown_option(const struct family *family, const struct part *part,
                               const char *key, struct err *err)
{
    const char *names[FAMILY_MAX_MEMBERS];
    size_t n = 0;
    struct buf list;

    for (const struct option_def *def = part->options;
         def != NULL && def->name != NULL && n < FAMILY_MAX_MEMBERS; def++)
        names[n++] = def->name;
    buf_init(&list, ERR_MESSAGE_BYTES);
    spec_append_names(&list, key, names, n);
    err_set(err, -EINVAL, "%s '%s': unknown option '%s': %s", family->name, part->name, key,
            buf_str(&list));
    buf_done(&list);
    return -EINVAL;
}

/* One "k=v" (or "k" of a flag), ended by a NUL. seen: one flag for each row of the table. */
static int spec_set_pair(const struct family *family, struct spec *spec, char *pair, bool *seen,
                         struct err *err)
{
    const struct part *part = spec->part;
    const struct option_def *def;
    char *value = strchr(pair, '=');
    size_t n_key = value != NULL ? (size_t)(value - pair) : strlen(pair);

    if (n_key == 0)
        return err_set(err, -EINVAL, "%s '%s': an option without a name in '%s'", family->name,
                       part->name, spec->text);
    pair[n_key] = '\0';
    def = option_find(part->options, pair, n_key);
    if (def == NULL)
        return spec_unknown_option(family, part, pair, err);
    if (value == NULL && def->type != OPTION_FLAG)
        return err_set(err, -EINVAL, "%s '%s': option '%s' has no value: '%s=%s' is wanted",
                       family->name, part->name, pair, pair,
                       def->metavar != NULL ? def->metavar : "VALUE");
    if (seen[def - part->options])
        return err_set(err, -EINVAL, "%s '%s': option '%s' is given twice", family->name,
                       part->name, pair);
    seen[def - part->options] = true;
    if (option_set(def, spec->params, value != NULL ? value + 1 : "true", err) < 0) {
        err_prefix(err, "%s '%s'", family->name, part->name);
        return -EINVAL;
    }
    return 0;
}

/* Every pair of "k=v,k=v", which lies in spec->storage. */
static int spec_set_pairs(const struct family *family, struct spec *spec, char *pairs,
                          struct err *err)
{
    size_t n_options = 0;
    bool *seen;
    int result = 0;

    while (spec->part->options != NULL && spec->part->options[n_options].name != NULL)
        n_options++;
    seen = mem_zalloc(n_options, sizeof(*seen));
    while (result == 0 && pairs != NULL) {
        char *comma = strchr(pairs, ',');

        if (comma != NULL)
            *comma = '\0';
        result = spec_set_pair(family, spec, pairs, seen, err);
        pairs = comma != NULL ? comma + 1 : NULL;
    }
    free(seen);
    return result;
}

int spec_parse(const struct family *family, const char *text, struct spec *ret_spec,
               struct err *err)
{
    struct spec spec = {0};
    char *colon;
    int result;

    if (text[0] == '\0' || text[0] == ':')
        return err_set(err, -EINVAL, "no %s is named in '%s': NAME[:KEY=VALUE,…] is wanted",
                       family->name, text);
    spec.text = mem_strdup(text);
    spec.storage = mem_strdup(text);
    colon = strchr(spec.storage, ':');
    if (colon != NULL)
        *colon = '\0';
    spec.part = family_find(family, spec.storage);
    if (spec.part == NULL) {
        result = spec_unknown_member(family, spec.storage, err);
        goto fail;
    }
    /* Options without a struct to put them in are a bug of the part. */
    assert(spec.part->options == NULL || spec.part->params_size > 0);
    if (spec.part->params_size > 0) {
        spec.params = mem_zalloc(1, spec.part->params_size);
        option_set_defaults(spec.part->options, spec.params);
    }
    if (colon != NULL) {
        result = spec_set_pairs(family, &spec, colon + 1, err);
        if (result < 0)
            goto fail;
    }
    *ret_spec = spec;
    return 0;
fail:
    spec_done(&spec);
    return result;
}

void spec_done(struct spec *spec)
{
    free(spec->params);
    free(spec->text);
    free(spec->storage);
    memset(spec, 0, sizeof(*spec));
}
