#include "spawnerd/placing.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"

/* Beginnings tried until one leads to no shared group; more servers than this at once are given the
 * first answer found, without swaps. */
#define N_BEGINNINGS 24
#define MANY_SERVERS 128

struct board {
    struct placing_server *servers;
    size_t n, n_machines;
    size_t *free; /* indexes of those to be placed */
    size_t n_free;
    uint32_t *common; /* [n_free][n] groups that the two share */
    int64_t *shared;  /* [n_free][n_machines] groups shared with who is there */
    int64_t *load;    /* [n_machines] servers there */
    int64_t weight;   /* of a shared group, in loads */
};

static uint32_t n_common(const struct placing_server *a, const struct placing_server *b)
{
    uint32_t n = 0;

    for (size_t i = 0; i < a->n_groups; i++)
        for (size_t j = 0; j < b->n_groups; j++)
            n += a->groups[i] == b->groups[j];
    return n;
}

size_t placing_n_shared(const struct placing_server *servers, size_t n)
{
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (servers[i].machine == servers[j].machine)
                total += n_common(&servers[i], &servers[j]);
    return total;
}

static uint32_t common_of(const struct board *board, size_t a, size_t b)
{
    return board->common[a * board->n + board->free[b]];
}

static int64_t *shared_of(const struct board *board, size_t at, size_t machine)
{
    return &board->shared[at * board->n_machines + machine];
}

/* The free server number `at` comes to a machine (sign 1), or leaves it (−1). */
static void put(struct board *board, size_t at, size_t machine, int sign)
{
    board->servers[board->free[at]].machine = machine;
    board->load[machine] += sign;
    for (size_t i = 0; i < board->n_free; i++)
        if (i != at)
            *shared_of(board, i, machine) += sign * (int64_t)common_of(board, i, at);
}

static void clear(struct board *board)
{
    memset(board->shared, 0, board->n_free * board->n_machines * sizeof(*board->shared));
    memset(board->load, 0, board->n_machines * sizeof(*board->load));
    for (size_t j = 0; j < board->n; j++) {
        const struct placing_server *server = &board->servers[j];
        if (!server->placed)
            continue;
        board->load[server->machine]++;
        for (size_t i = 0; i < board->n_free; i++)
            *shared_of(board, i, server->machine) += board->common[i * board->n + j];
    }
}

/* One after the other to where it shares least, among these to the emptiest. */
static void begin(struct board *board, const size_t *order, struct rng *rng)
{
    clear(board);
    for (size_t i = 0; i < board->n_free; i++) {
        size_t best = 0, n_alike = 0;
        int64_t best_cost = INT64_MAX;
        for (size_t machine = 0; machine < board->n_machines; machine++) {
            int64_t cost =
                *shared_of(board, order[i], machine) * board->weight + board->load[machine];
            if (cost < best_cost)
                n_alike = 0;
            if (cost > best_cost || (n_alike++ > 0 && (!rng || rng_below(rng, n_alike) != 0)))
                continue;
            best = machine;
            best_cost = cost;
        }
        put(board, order[i], best, 1);
    }
}

/* What a move costs, in what is shared and in the sum of the loads' squares. */
static int64_t cost_of_move(const struct board *board, size_t at, size_t to)
{
    size_t from = board->servers[board->free[at]].machine;

    return (*shared_of(board, at, to) - *shared_of(board, at, from)) * board->weight +
           2 * (board->load[to] - board->load[from]) + 2;
}

static int64_t cost_of_swap(const struct board *board, size_t a, size_t b)
{
    size_t on_a = board->servers[board->free[a]].machine;
    size_t on_b = board->servers[board->free[b]].machine;
    int64_t before = *shared_of(board, a, on_a) + *shared_of(board, b, on_b);
    int64_t after = *shared_of(board, a, on_b) + *shared_of(board, b, on_a) -
                    2 * (int64_t)common_of(board, a, b);

    return (after - before) * board->weight;
}

/* The best move or swap, while one makes it better. */
static bool improve(struct board *board)
{
    size_t best_at = 0, best_to = 0;
    int64_t best_cost = 0;
    bool best_is_swap = false;

    for (size_t at = 0; at < board->n_free; at++) {
        size_t on = board->servers[board->free[at]].machine;
        for (size_t to = 0; to < board->n_machines; to++) {
            int64_t cost = to == on ? 0 : cost_of_move(board, at, to);
            if (cost < best_cost)
                best_cost = cost, best_at = at, best_to = to, best_is_swap = false;
        }
        for (size_t to = 0; to < at && board->n_free <= MANY_SERVERS; to++) {
            bool together = board->servers[board->free[to]].machine == on;
            int64_t cost = together ? 0 : cost_of_swap(board, at, to);
            if (cost < best_cost)
                best_cost = cost, best_at = at, best_to = to, best_is_swap = true;
        }
    }
    if (best_cost == 0)
        return false;
    size_t from = board->servers[board->free[best_at]].machine;
    if (best_is_swap) {
        size_t to = board->servers[board->free[best_to]].machine;
        put(board, best_at, from, -1);
        put(board, best_to, to, -1);
        put(board, best_at, to, 1);
        put(board, best_to, from, 1);
    } else {
        put(board, best_at, from, -1);
        put(board, best_at, best_to, 1);
    }
    return true;
}

static int64_t cost_of_all(const struct board *board, int64_t *ret_shared)
{
    int64_t shared = (int64_t)placing_n_shared(board->servers, board->n), loads = 0;

    for (size_t i = 0; i < board->n_machines; i++)
        loads += board->load[i] * board->load[i];
    *ret_shared = shared;
    return shared * board->weight + loads;
}

static void search(struct board *board)
{
    size_t *order = mem_zalloc(board->n_free, sizeof(*order));
    size_t *best = mem_zalloc(board->n_free, sizeof(*best));
    int64_t best_cost = INT64_MAX, shared = 1;
    size_t n_beginnings = board->n_free > 1 && board->n_free <= MANY_SERVERS ? N_BEGINNINGS : 1;
    struct rng rng;

    rng_seed(&rng, 1);
    for (size_t i = 0; i < board->n_free; i++)
        order[i] = i;
    for (size_t beginning = 0; beginning < n_beginnings && shared > 0; beginning++) {
        begin(board, order, beginning > 0 ? &rng : NULL);
        for (size_t step = 0; step < 4 * board->n_free && improve(board); step++)
            ;
        int64_t this_cost = cost_of_all(board, &shared);
        if (this_cost < best_cost) {
            best_cost = this_cost;
            for (size_t i = 0; i < board->n_free; i++)
                best[i] = board->servers[board->free[i]].machine;
        }
        rng_shuffle(&rng, order, board->n_free, sizeof(*order));
    }
    for (size_t i = 0; i < board->n_free; i++)
        board->servers[board->free[i]].machine = best[i];
    free(order);
    free(best);
}

void placing_solve(struct placing_server *servers, size_t n, size_t n_machines)
{
    struct board board = {.servers = servers, .n = n, .n_machines = n_machines};

    board.free = mem_zalloc(n + 1, sizeof(*board.free));
    for (size_t i = 0; i < n; i++)
        if (!servers[i].placed)
            board.free[board.n_free++] = i;
    if (board.n_free > 0) {
        board.weight = 4 * (int64_t)(n + 1) * (int64_t)(n + 1);
        board.common = mem_zalloc(board.n_free * n, sizeof(*board.common));
        board.shared = mem_zalloc(board.n_free * n_machines, sizeof(*board.shared));
        board.load = mem_zalloc(n_machines, sizeof(*board.load));
        for (size_t i = 0; i < board.n_free; i++)
            for (size_t j = 0; j < n; j++)
                board.common[i * n + j] =
                    board.free[i] == j ? 0 : n_common(&servers[board.free[i]], &servers[j]);
        search(&board);
    }
    free(board.free);
    free(board.common);
    free(board.shared);
    free(board.load);
}
