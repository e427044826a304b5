/* The assignment's pair of polynomials (CONTRACT.md, Names, ids, hashing):
 *
 *     H(i)    = i² + 2i + 17
 *     Φ(i, j) = i² + j² + 2j + 25
 *
 * in wrapping unsigned 64-bit arithmetic, with every coefficient an option, so that what a better
 * polynomial gains can be told from what a better kind of hash gains. They spread badly: modulo a
 * power of two, H takes only one residue in six or so (squares are few there), and Φ puts the
 * virtual nodes of one server, and of servers with neighbouring ids, side by side. */
#include "backends/hash.h"

struct quadratic_params {
    uint64_t cubic, a, b, c;       /* H(i) = cubic·i³ + a·i² + b·i + c */
    uint64_t i2, i1, j2, j1, rest; /* Φ(i, j) = i2·i² + i1·i + j2·j² + j1·j + rest */
};

static const struct option_def quadratic_options[] = {
    {.name = "cubic",
     .type = OPTION_U64,
     .offset = offsetof(struct quadratic_params, cubic),
     .metavar = "N",
     .fallback = "0",
     .help = "request hash: coefficient of i³"},
    {.name = "a",
     .type = OPTION_U64,
     .offset = offsetof(struct quadratic_params, a),
     .metavar = "N",
     .fallback = "1",
     .help = "request hash: coefficient of i²"},
    {.name = "b",
     .type = OPTION_U64,
     .offset = offsetof(struct quadratic_params, b),
     .metavar = "N",
     .fallback = "2",
     .help = "request hash: coefficient of i"},
    {.name = "c",
     .type = OPTION_U64,
     .offset = offsetof(struct quadratic_params, c),
     .metavar = "N",
     .fallback = "17",
     .help = "request hash: constant"},
    {.name = "i2",
     .type = OPTION_U64,
     .offset = offsetof(struct quadratic_params, i2),
     .metavar = "N",
     .fallback = "1",
     .help = "server hash: coefficient of i², i being the server's id"},
    {.name = "i1",
     .type = OPTION_U64,
     .offset = offsetof(struct quadratic_params, i1),
     .metavar = "N",
     .fallback = "0",
     .help = "server hash: coefficient of i"},
    {.name = "j2",
     .type = OPTION_U64,
     .offset = offsetof(struct quadratic_params, j2),
     .metavar = "N",
     .fallback = "1",
     .help = "server hash: coefficient of j², j being the virtual node's number"},
    {.name = "j1",
     .type = OPTION_U64,
     .offset = offsetof(struct quadratic_params, j1),
     .metavar = "N",
     .fallback = "2",
     .help = "server hash: coefficient of j"},
    {.name = "rest",
     .type = OPTION_U64,
     .offset = offsetof(struct quadratic_params, rest),
     .metavar = "N",
     .fallback = "25",
     .help = "server hash: constant"},
    {.name = NULL},
};

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

static const struct hash_ops quadratic_hash = {
    .part = {.name = "quadratic",
             .summary = "the assignment's polynomials: i² + 2i + 17 and i² + j² + 2j + 25",
             .source = "CONTRACT.md, Names, ids, hashing",
             .options = quadratic_options,
             .params_size = sizeof(struct quadratic_params)},
    .key = quadratic_key,
    .point = quadratic_point,
};

HASH_REGISTER(quadratic_hash);
