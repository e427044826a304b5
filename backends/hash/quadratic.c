/* The assignment's pair of polynomials (CONTRACT.md, Names, ids, hashing), and those that others
 * published who found it wanting:
 *
 *     quadratic   H(i) = i² + 2i + 17              Φ(i, j) = i² + j² + 2j + 25
 *     poly-1427   H(i) = 1427i² + 2503i + 2003     Φ(i, j) = 1249i² + 2287j² + 1663j + 2287
 *     poly-67     H(i) = 67i³ + 3i² + 53i + 97     Φ(i, j) = 59i² + 29j² + 7j + 146
 *     poly-11     H(i) = 11i² + 17i + 23           Φ(i, j) = 23i² + 71j² + 59j + 301
 *
 * in wrapping unsigned 64-bit arithmetic. All four are one adapter with other defaults, and every
 * coefficient is an option of each, so that what a better polynomial gains can be told from what a
 * better kind of hash gains. They spread badly: modulo a power of two, H takes only one residue in
 * six or so (squares are few there), Φ puts the virtual nodes of one server, and of servers with
 * neighbouring ids, side by side, and on a 64-bit ring all of them fall at its very beginning. */
#include "backends/hash.h"

struct quadratic_params {
    uint64_t cubic, a, b, c;       /* H(i) = cubic·i³ + a·i² + b·i + c */
    uint64_t i2, i1, j2, j1, rest; /* Φ(i, j) = i2·i² + i1·i + j2·j² + j1·j + rest */
};

#define COEFFICIENT(field, text, meaning)                                                          \
    {                                                                                              \
        .name = #field, .type = OPTION_U64, .offset = offsetof(struct quadratic_params, field),    \
        .metavar = "N", .fallback = (text), .help = (meaning)                                      \
    }

/* The option table of one pair, in the order of the struct. */
#define COEFFICIENTS(h3, h2, h1, h0, p_i2, p_i1, p_j2, p_j1, p_rest)                               \
    {                                                                                              \
        COEFFICIENT(cubic, h3, "request hash: coefficient of i³"),                                 \
            COEFFICIENT(a, h2, "request hash: coefficient of i²"),                                 \
            COEFFICIENT(b, h1, "request hash: coefficient of i"),                                  \
            COEFFICIENT(c, h0, "request hash: constant"),                                          \
            COEFFICIENT(i2, p_i2, "server hash: coefficient of i², i being the server's id"),      \
            COEFFICIENT(i1, p_i1, "server hash: coefficient of i"),                                \
            COEFFICIENT(j2, p_j2,                                                                  \
                        "server hash: coefficient of j², j being the virtual node's number"),      \
            COEFFICIENT(j1, p_j1, "server hash: coefficient of j"),                                \
            COEFFICIENT(rest, p_rest, "server hash: constant"),                                    \
        {                                                                                          \
            .name = NULL                                                                           \
        }                                                                                          \
    }

static struct hash_form quadratic_form(const void *params)
{
    const struct quadratic_params *p = params;
    return (struct hash_form){.kind = HASH_FORM_POLYNOMIAL, .c = {p->c, p->b, p->a, p->cubic}};
}

static uint64_t quadratic_key(const void *params, uint64_t key)
{
    const struct quadratic_params *p = params;
    return ((p->cubic * key + p->a) * key + p->b) * key + p->c;
}

static uint64_t quadratic_point(const void *params, uint64_t member_id, uint64_t replica)
{
    const struct quadratic_params *p = params;
    return (p->i2 * member_id + p->i1) * member_id + (p->j2 * replica + p->j1) * replica + p->rest;
}

#define PUBLISHED "published with a solution of the assignment that had found its hash uneven"

#define DEFINE_PAIR(ident, part_name, part_summary, part_source)                                   \
    static const struct hash_ops ident##_hash = {                                                  \
        .part = {.name = (part_name),                                                              \
                 .summary = (part_summary),                                                        \
                 .source = (part_source),                                                          \
                 .options = ident##_options,                                                       \
                 .params_size = sizeof(struct quadratic_params)},                                  \
        .key = quadratic_key,                                                                      \
        .form = quadratic_form,                                                                    \
        .point = quadratic_point,                                                                  \
    };                                                                                             \
    HASH_REGISTER(ident##_hash)

static const struct option_def quadratic_options[] =
    COEFFICIENTS("0", "1", "2", "17", "1", "0", "1", "2", "25");
static const struct option_def poly_1427_options[] =
    COEFFICIENTS("0", "1427", "2503", "2003", "1249", "0", "2287", "1663", "2287");
static const struct option_def poly_67_options[] =
    COEFFICIENTS("67", "3", "53", "97", "59", "0", "29", "7", "146");
static const struct option_def poly_11_options[] =
    COEFFICIENTS("0", "11", "17", "23", "23", "0", "71", "59", "301");

DEFINE_PAIR(quadratic, "quadratic",
            "the assignment's polynomials: i² + 2i + 17 and i² + j² + 2j + 25",
            "CONTRACT.md, Names, ids, hashing");
DEFINE_PAIR(poly_1427, "poly-1427",
            "polynomials: 1427i² + 2503i + 2003 and 1249i² + 2287j² + 1663j + 2287", PUBLISHED);
DEFINE_PAIR(poly_67, "poly-67", "polynomials: 67i³ + 3i² + 53i + 97 and 59i² + 29j² + 7j + 146",
            PUBLISHED);
DEFINE_PAIR(poly_11, "poly-11", "polynomials: 11i² + 17i + 23 and 23i² + 71j² + 59j + 301",
            PUBLISHED);
