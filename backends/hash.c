#include "backends/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

FAMILY_DEFINE(hash);

static struct hash hash_of_spec(const struct spec *spec)
{
    const struct hash_ops *ops = (const struct hash_ops *)spec->part;
    struct hash hash = {.ops = ops, .params = spec->params};
    if (ops->form)
        hash.form = ops->form(spec->params);
    return hash;
}

void hash_keys(const struct hash *hash, const uint64_t *keys, size_t n, uint64_t *ret_hashes)
{
    const struct hash_form form = hash->form; /* a copy: no store in the loops can change it */
    switch (form.kind) {
    case HASH_FORM_MIX64:
        for (size_t i = 0; i < n; i++)
            ret_hashes[i] = rng_mix64(keys[i] ^ form.c[0]);
        break;
    case HASH_FORM_POLYNOMIAL:
        for (size_t i = 0; i < n; i++)
            ret_hashes[i] = hash_form_polynomial(form.c, keys[i]);
        break;
    case HASH_FORM_XXH3:
        for (size_t i = 0; i < n; i++)
            ret_hashes[i] = hash_form_xxh3(form.c, keys[i]);
        break;
    case HASH_FORM_NONE:
        for (size_t i = 0; i < n; i++)
            ret_hashes[i] = hash->ops->key(hash->params, keys[i]);
        break;
    }
}

int hash_choice_parse(const char *text, struct hash_choice *ret_choice, struct err *err)
{
    struct hash_choice choice;
    memset(&choice, 0, sizeof(choice));

    const char *slash = strchr(text, '/');
    if (slash && strchr(slash + 1, '/'))
        return err_set(err, -EINVAL, "hash '%s': more than one '/'; it is NAME or REQUEST/SERVER",
                       text);

    char *request = slash ? mem_strndup(text, (size_t)(slash - text)) : mem_strdup(text);
    int rc = spec_parse(&hash_family, request, &choice.request, err);
    free(request);
    if (rc != 0)
        goto out;
    rc = spec_parse(&hash_family, slash ? slash + 1 : text, &choice.server, err);
    if (rc != 0)
        goto out;

    choice.pair.request = hash_of_spec(&choice.request);
    choice.pair.server = hash_of_spec(&choice.server);
    *ret_choice = choice;
    return 0;

out:
    if (slash)
        err_prefix(err, "hash '%s'", text);
    hash_choice_done(&choice);
    return rc;
}

void hash_choice_done(struct hash_choice *choice)
{
    spec_done(&choice->request);
    spec_done(&choice->server);
    memset(choice, 0, sizeof(*choice));
}
