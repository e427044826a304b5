/* quoit ring list: which placements and hashes there are, and what each placement can do. */
#include <stdio.h>

#include "backends/placement.h"
#include "cmd/ring.h"
#include "core/buf.h"
#include "experiments/grid.h"

#define MAX_PARTS 128

static const struct {
    unsigned flag; /* enum placement_caps */
    const char *name;
} capabilities[] = {
    {PLACEMENT_WEIGHTED, "weighted"},
    {PLACEMENT_MINIMAL_MOVES, "minimal-moves"},
    {PLACEMENT_MINIMAL_TAIL, "minimal-moves-at-the-end"},
    {PLACEMENT_MINIMAL_REWEIGH, "minimal-reweigh"},
    {PLACEMENT_INCREMENTAL, "incremental"},
    {PLACEMENT_HISTORY, "history"},
    {PLACEMENT_ORDER_FREE, "order-free"},
    {PLACEMENT_EXACT_SHARES, "exact-shares"},
    {PLACEMENT_DRAWN, "drawn"},
    {PLACEMENT_OWN_KEY_HASH, "own-key-hash"},
    {PLACEMENT_LOAD_AWARE, "load-aware"},
};
#define N_CAPABILITIES (sizeof(capabilities) / sizeof(capabilities[0]))

static unsigned caps_of(const struct part *part)
{
    return ((const struct placement_ops *)part)->caps;
}

static void add_parts(cJSON *tree, const char *key, const struct family *family)
{
    const struct part *parts[MAX_PARTS];
    size_t n = family_list(family, parts, MAX_PARTS);
    cJSON *list = cJSON_AddArrayToObject(tree, key);
    for (size_t i = 0; i < n && i < MAX_PARTS; i++) {
        cJSON *part = cJSON_CreateObject();
        cJSON_AddStringToObject(part, "name", parts[i]->name);
        cJSON_AddStringToObject(part, "summary", parts[i]->summary);
        cJSON_AddStringToObject(part, "source", parts[i]->source);
        if (family == &placement_family) {
            cJSON *names = cJSON_AddArrayToObject(part, "capabilities");
            for (size_t c = 0; c < N_CAPABILITIES; c++)
                if (caps_of(parts[i]) & capabilities[c].flag)
                    cJSON_AddItemToArray(names, cJSON_CreateString(capabilities[c].name));
        }
        cJSON_AddItemToArray(list, part);
    }
}

/* When a member comes or goes, which keys move. */
static const char *moves_of(unsigned caps)
{
    return caps & PLACEMENT_MINIMAL_MOVES  ? "always"
           : caps & PLACEMENT_INCREMENTAL  ? "step by step"
           : caps & PLACEMENT_MINIMAL_TAIL ? "at the end"
                                           : "no";
}

static const char *weights_of(unsigned caps)
{
    return caps & PLACEMENT_MINIMAL_REWEIGH ? "yes, least moves"
           : caps & PLACEMENT_WEIGHTED      ? "yes"
                                            : "no";
}

static const char *yes_or_no(bool yes)
{
    return yes ? "yes" : "no";
}

static void print_capabilities(void)
{
    const struct part *parts[MAX_PARTS];
    size_t n = family_list(&placement_family, parts, MAX_PARTS);
    struct grid grid;
    struct buf out;
    grid_init(&grid);
    grid_add_column(&grid, "placement", false);
    grid_add_column(&grid, "least moves", false);
    grid_add_column(&grid, "weights", false);
    grid_add_column(&grid, "remembers", false);
    grid_add_column(&grid, "minds load", false);
    for (size_t i = 0; i < n && i < MAX_PARTS; i++) {
        unsigned caps = caps_of(parts[i]);
        grid_add(&grid, "%s", parts[i]->name);
        grid_add(&grid, "%s", moves_of(caps));
        grid_add(&grid, "%s", weights_of(caps));
        grid_add(&grid, "%s", yes_or_no(caps & PLACEMENT_HISTORY));
        grid_add(&grid, "%s", yes_or_no(caps & PLACEMENT_LOAD_AWARE));
    }
    buf_init(&out, 0);
    grid_print(&grid, &out);
    fwrite(buf_head(&out), 1, buf_len(&out), stdout);
    buf_done(&out);
    grid_done(&grid);
}

int ring_run_list(const struct ring_options *opts)
{
    if (opts->json) {
        cJSON *tree = cJSON_CreateObject();
        add_parts(tree, "placements", &placement_family);
        add_parts(tree, "hashes", &hash_family);
        return ring_print_json(tree);
    }
    if (opts->capabilities) {
        print_capabilities();
    } else {
        printf("Placements (--placement NAME[:k=v,…])\n\n");
        family_print(&placement_family, stdout);
        printf("\nHashes (--hash NAME[:k=v,…], or REQUEST/SERVER)\n\n");
        family_print(&hash_family, stdout);
    }
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}
