#include "ring/replicas.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* Members in ascending order, the rest UINT16_MAX; members are at most PLACEMENT_MAX_MEMBERS. */
struct copyset {
    uint16_t at[RING_MAX_REPLICAS];
};

static struct copyset copyset_of(const uint32_t *members, size_t n)
{
    struct copyset set;
    memset(&set, 0xff, sizeof(set));
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && set.at[at - 1] > members[i]; at--)
            set.at[at] = set.at[at - 1];
        set.at[at] = (uint16_t)members[i];
    }
    return set;
}

static int compare_copysets(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct copyset));
}

/* Sorts them and drops repetitions. Returns how many there are. */
static size_t make_distinct(struct copyset *sets, size_t n)
{
    size_t n_distinct = 0;
    qsort(sets, n, sizeof(*sets), compare_copysets);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || compare_copysets(&sets[i], &sets[i - 1]) != 0)
            sets[n_distinct++] = sets[i];
    return n_distinct;
}

/* Bits of who shares a set with whom. */
static void measure_scatter(const struct copyset *sets, struct ring_replicas *replicas, size_t n)
{
    size_t n_words = (n + 63) / 64, sum = 0;
    uint64_t *together = mem_zalloc(n * n_words, sizeof(*together));
    for (size_t s = 0; s < replicas->n_copysets; s++)
        for (size_t i = 0; i < replicas->n_replicas; i++)
            for (size_t j = 0; j < replicas->n_replicas; j++)
                if (i != j)
                    together[sets[s].at[i] * n_words + sets[s].at[j] / 64] |=
                        UINT64_C(1) << (sets[s].at[j] % 64);
    replicas->scatter_least = n;
    for (size_t i = 0; i < n; i++) {
        size_t n_others = 0;
        for (size_t w = 0; w < n_words; w++)
            n_others += (size_t)__builtin_popcountll(together[i * n_words + w]);
        sum += n_others;
        replicas->scatter_least =
            n_others < replicas->scatter_least ? n_others : replicas->scatter_least;
    }
    replicas->scatter_mean = (double)sum / (double)n;
    free(together);
}

static double choose(size_t n, size_t k)
{
    double ways = 1;
    for (size_t i = 0; i < k; i++)
        ways = ways * (double)(n - i) / (double)(i + 1);
    return ways;
}

void ring_replicas_measure(const struct ring_state *state, const struct ring_keys *keys,
                           size_t n_replicas, struct ring_replicas *ret_replicas)
{
    size_t n = state->members.n, wanted = n_replicas < n ? n_replicas : n;
    assert(n_replicas >= 1 && n_replicas <= RING_MAX_REPLICAS && n > 0);
    struct copyset *sets = mem_zalloc(keys->n, sizeof(*sets));
    double *primary = mem_zalloc(n, sizeof(*primary)), *all = mem_zalloc(n, sizeof(*all));
    struct ring_replicas replicas = {.n_replicas = wanted, .exact = !keys->is_sample};
    for (size_t i = 0; i < keys->n; i++) {
        uint32_t out[RING_MAX_REPLICAS];
        size_t n_out = placement_lookup_n(state->placement, keys->keys[i], wanted, out);
        assert(n_out == wanted);
        sets[i] = copyset_of(out, n_out);
        primary[out[0]] += 1;
        for (size_t r = 0; r < n_out; r++)
            all[out[r]] += 1;
    }
    for (size_t i = 0; i < n; i++) {
        primary[i] /= (double)keys->n;
        all[i] /= (double)(keys->n * wanted);
    }
    ring_balance_of(primary, NULL, &state->members, &replicas.primary);
    ring_balance_of(all, NULL, &state->members, &replicas.all);
    replicas.n_copysets = make_distinct(sets, keys->n);
    replicas.n_possible = choose(n, wanted);
    replicas.loss = (double)replicas.n_copysets / replicas.n_possible;
    measure_scatter(sets, &replicas, n);
    free(sets);
    free(primary);
    free(all);
    *ret_replicas = replicas;
}
