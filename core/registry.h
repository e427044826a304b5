/* Families of swappable parts that register themselves.
 *
 * A family is a struct X_ops whose first member is a struct part; a member is one file that ends in
 * X_REGISTER(ops). The macro leaves a pointer in a linker section named after the family, so that
 * adding a member means adding a file: nothing else lists it. (Link objects, not an archive: an
 * archive drops what nobody names.) */
#ifndef QUOIT_CORE_REGISTRY_H
#define QUOIT_CORE_REGISTRY_H

#include <stddef.h>
#include <stdio.h>

#include "core/err.h"
#include "core/option.h"

/* First member of every ops struct. */
struct part {
    const char *name;                 /* as in --placement NAME */
    const char *summary;              /* one line */
    const char *source;               /* paper or section */
    const struct option_def *options; /* its k=v options, or NULL */
    size_t params_size;               /* sizeof the struct those options fill; 0 without options */
};

struct family {
    const char *name;                /* "placement" */
    const struct part *const *begin; /* the linker's section; order is not defined */
    const struct part *const *end;
};

/* In the family's .c: defines `const struct family NAME_family`. The section's ends are weak, so
 * that a family without a member links (and is empty). */
#define FAMILY_DEFINE(family_name)                                                                 \
    extern const struct part *const __start_quoit_##family_name[]                                  \
        __attribute__((weak, visibility("hidden")));                                               \
    extern const struct part *const __stop_quoit_##family_name[]                                   \
        __attribute__((weak, visibility("hidden")));                                               \
    const struct family family_name##_family = {#family_name, __start_quoit_##family_name,         \
                                                __stop_quoit_##family_name}

/* In the family's header, wrapped as HASH_REGISTER(ops) and the like. */
#define FAMILY_REGISTER(family_name, ops)                                                          \
    static const struct part *const ops##_registered                                               \
        __attribute__((used, section("quoit_" #family_name))) = &(ops).part

/* A parsed `NAME[:k=v,…]`. params points to a struct of the part's params_size bytes (NULL if 0).
 */
struct spec {
    const struct part *part;
    void *params;
    char *text; /* canonical: as given, owned; strings in params point into a copy behind it */
    char *storage;
};

/* Members sorted by name into out[], at most max; returns how many there are. */
size_t family_list(const struct family *family, const struct part **out, size_t max);
/* The member of that name, or NULL. */
const struct part *family_find(const struct family *family, const char *name);
/* `quoit FAMILY --list`: name, summary, source and options of every member. */
void family_print(const struct family *family, FILE *out);

/* Parses "NAME[:k=v,…]". 0 or -EINVAL; the error names the family, what is unknown, what there is
 * and what was probably meant. Pair with spec_done(). */
int spec_parse(const struct family *family, const char *text, struct spec *ret_spec,
               struct err *err);
/* Takes a zeroed or half-made one. */
void spec_done(struct spec *spec);

#endif
