/* Maglev's table population, for the placement and for tests against the paper's example. */
#ifndef QUOIT_BACKENDS_PLACEMENT_MAGLEV_H
#define QUOIT_BACKENDS_PLACEMENT_MAGLEV_H

#include <stddef.h>
#include <stdint.h>

/* One member's preference list of the table's entries: offset, offset + skip, offset + 2·skip, …
 * modulo the table's size. offset < size, 1 ≤ skip < size, size prime. */
struct maglev_list {
    uint32_t offset;
    uint32_t skip;
    uint32_t weight;
};

/* Eisenbud et al. 2016, pseudocode 1: the members take turns, in the order of the lists, each
 * taking the first entry of its list that is free, until all are taken. A member of half the
 * greatest weight takes a turn in every other round, and so on. ret_table: size entries, each the
 * index of a list; 1 ≤ n ≤ 65536. */
void maglev_fill(const struct maglev_list *lists, size_t n, uint32_t size, uint16_t *ret_table);

#endif
