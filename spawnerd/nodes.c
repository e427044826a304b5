/* The swarm's nodes: who they are, who of them may be trusted with a server, and which one gets it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/mem.h"
#include "spawnerd/placing.h"
#include "spawnerd/swarm.h"

/* As long as it takes a swarm, at the most, to find out by itself. */
#define SUSPICION_NS (30 * NS_PER_S)

/* ---- who they are ------------------------------------------------------------------------- */

static bool has_label(const cJSON *labels, const char *wanted)
{
    const char *equals = strchr(wanted, '=');
    char *key = mem_strndup(wanted, equals ? (size_t)(equals - wanted) : strlen(wanted));
    const char *value = json_get_string(labels, key);

    free(key);
    return !wanted[0] || (value && (!equals || strcmp(value, equals + 1) == 0));
}

static void take_node(struct swarm *swarm, const cJSON *row)
{
    const cJSON *spec = json_get(row, "Spec"), *status = json_get(row, "Status");
    const char *id = json_get_string(row, "ID");
    const char *name = json_get_string(json_get(row, "Description"), "Hostname");
    const char *address = json_get_string(status, "Addr");
    const char *manager = json_get_string(json_get(row, "ManagerStatus"), "Addr");
    const char *state = json_get_string(status, "State");
    const char *availability = json_get_string(spec, "Availability");
    struct node *node = &swarm->nodes[swarm->n_nodes];
    struct addr addr;
    char text[ADDR_TEXT_BYTES + 8];

    if (!id || strlen(id) >= sizeof(node->id))
        return;
    snprintf(node->id, sizeof(node->id), "%s", id);
    snprintf(node->name, sizeof(node->name), "%s", name ? name : id);
    /* A manager that listens everywhere says where only among managers. */
    if ((!address || strcmp(address, "0.0.0.0") == 0) && manager)
        snprintf(node->address, sizeof(node->address), "%.*s",
                 (int)(strcspn(manager, ":") < ADDR_TEXT_BYTES ? strcspn(manager, ":") : 0),
                 manager);
    else if (address && strlen(address) < sizeof(node->address))
        snprintf(node->address, sizeof(node->address), "%s", address);
    snprintf(text, sizeof(text), "%s:1", node->address);
    if (addr_parse(text, &addr, NULL) != 0)
        node->address[0] = '\0';
    size_t n = strlen(node->name);
    if (node->address[0] && n < sizeof(node->name))
        snprintf(node->name + n, sizeof(node->name) - n, " (%s)", node->address);
    node->is_ready = state && strcmp(state, "ready") == 0;
    node->is_ours = availability && strcmp(availability, "active") == 0 &&
                    has_label(json_get(spec, "Labels"), swarm->fleet->config.node_label);
    swarm->n_nodes++;
}

void nodes_take(struct swarm *swarm, const cJSON *list)
{
    struct swarm before = *swarm;
    const cJSON *row;

    swarm->nodes = mem_zalloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*swarm->nodes));
    swarm->n_nodes = 0;
    cJSON_ArrayForEach (row, list)
        take_node(swarm, row);
    for (size_t i = 0; i < swarm->n_nodes; i++) {
        const struct node *known = nodes_find(&before, swarm->nodes[i].id);
        if (known)
            swarm->nodes[i].suspect_until_ns = known->suspect_until_ns;
    }
    free(before.nodes);
}

struct node *nodes_find(struct swarm *swarm, const char *id)
{
    for (size_t i = 0; i < swarm->n_nodes; i++)
        if (strcmp(swarm->nodes[i].id, id) == 0)
            return &swarm->nodes[i];
    return NULL;
}

const char *nodes_name(struct swarm *swarm, const char *id)
{
    const struct node *node = nodes_find(swarm, id);

    return node ? node->name : id;
}

bool node_is_suspect(const struct node *node)
{
    return clock_now_ns() < node->suspect_until_ns;
}

void node_suspect(struct node *node)
{
    node->suspect_until_ns = clock_now_ns() + SUSPICION_NS;
}

/* ---- who gets what ------------------------------------------------------------------------ */

static bool is_eligible(const struct node *node)
{
    return node->is_ours && node->is_ready;
}

bool nodes_have_another(struct swarm *swarm, const struct node *node)
{
    for (size_t i = 0; i < swarm->n_nodes; i++)
        if (&swarm->nodes[i] != node && is_eligible(&swarm->nodes[i]) &&
            !node_is_suspect(&swarm->nodes[i]))
            return true;
    return false;
}

/* Those that can have a server: of the ones that can be trusted, or else of any that is ready. */
static size_t choose_nodes(struct swarm *swarm, const struct node **chosen)
{
    size_t n = 0;

    for (int trusting = 0; trusting < 2 && n == 0; trusting++)
        for (size_t i = 0; i < swarm->n_nodes; i++) {
            const struct node *node = &swarm->nodes[i];
            if (is_eligible(node) && (trusting || !node_is_suspect(node)))
                chosen[n++] = node;
        }
    return n;
}

static bool waits(const struct container *container)
{
    return container->state == CONTAINER_CLEARING && !container->node[0] && !container->call &&
           !ev_is_active(&container->timer);
}

/* A server runs there that the LB, which watches it, has not given up: with its machine all of them
 * fall silent. */
static bool has_living_server(struct fleet *fleet, const struct node *node)
{
    const struct container *container;

    TAILQ_FOREACH(container, &fleet->containers, link)
    if (container->state == CONTAINER_RUNNING && container->owner == OWNER_RUNS &&
        strcmp(container->node, node->id) == 0)
        return true;
    return false;
}

/* The one waits for its data's node to be cleared of suspicion, or of who has them still; the other
 * is told that there is no getting at them. */
static void place_by_data(struct container *container, const struct stored *stored)
{
    struct swarm *swarm = container->fleet->swarm;
    const struct node *node = nodes_find(swarm, stored->node);
    char why[CONTAINER_WHY_BYTES];
    bool is_suspect = node && node->is_ready && node_is_suspect(node);

    unsigned max_tries = is_suspect && has_living_server(container->fleet, node)
                             ? SERVICE_DATA_TRIES_ALIVE
                             : SERVICE_DATA_TRIES;
    bool has_time = container->n_tries < max_tries;
    if (is_suspect ? has_time : container_waits_for_data(container)) {
        container_retry_later(container);
        return;
    }
    if (node && node->is_ready && !is_suspect) {
        snprintf(container->node, sizeof(container->node), "%s", node->id);
        snprintf(container->volume, sizeof(container->volume), "%s", stored->volume);
        return;
    }
    snprintf(why, sizeof(why), "they are on node %s, %s", nodes_name(swarm, stored->node),
             !node            ? "which the swarm has no more"
             : node->is_ready ? "which does not answer"
                              : "which is down");
    container_fail(container, -EHOSTDOWN, "cannot have its data", why);
}

static void place_those_with_data(struct fleet *fleet)
{
    struct container *container, *next;

    for (container = TAILQ_FIRST(&fleet->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        if (!waits(container) || container->data == 0 || container->data_is_new)
            continue;
        const struct stored *stored = swarm_find_stored(fleet->swarm, container->data);
        if (stored)
            place_by_data(container, stored);
        else
            container_fail(container, -ENODATA, "cannot have its data",
                           "the swarm knows of no node that has them");
    }
}

static size_t index_of(const struct node *const *chosen, size_t n, const char *id)
{
    size_t i = 0;

    while (i < n && strcmp(chosen[i]->id, id) != 0)
        i++;
    return i;
}

static void place_others(struct fleet *fleet, const struct node *const *chosen, size_t n_chosen)
{
    struct container *container;
    size_t n = 0;

    TAILQ_FOREACH(container, &fleet->containers, link)
    n++;
    struct placing_server *servers = mem_zalloc(n + 1, sizeof(*servers));
    struct container **who = mem_zalloc(n + 1, sizeof(*who));
    n = 0;
    TAILQ_FOREACH(container, &fleet->containers, link)
    {
        size_t at = index_of(chosen, n_chosen, container->node);
        bool stays = container->state != CONTAINER_REMOVING && at < n_chosen;
        if (!stays && !waits(container))
            continue;
        servers[n] = (struct placing_server){.groups = container->groups,
                                             .n_groups = container->n_groups,
                                             .machine = stays ? at : 0,
                                             .placed = stays};
        who[n++] = container;
    }
    placing_solve(servers, n, n_chosen);
    for (size_t i = 0; i < n; i++)
        if (!servers[i].placed)
            snprintf(who[i]->node, sizeof(who[i]->node), "%s", chosen[servers[i].machine]->id);
    free(who);
    free(servers);
}

void nodes_place(struct fleet *fleet)
{
    struct swarm *swarm = fleet->swarm;
    struct container *container, *next;
    const struct node **chosen = mem_zalloc(swarm->n_nodes + 1, sizeof(*chosen));
    size_t n_chosen = choose_nodes(swarm, chosen);
    char why[CONTAINER_WHY_BYTES];

    place_those_with_data(fleet);
    if (n_chosen > 0)
        place_others(fleet, chosen, n_chosen);
    free(chosen);
    snprintf(why, sizeof(why), "of its %zu nodes none is ready and active%s%s", swarm->n_nodes,
             fleet->config.node_label[0] ? " and has the label " : "", fleet->config.node_label);
    for (container = TAILQ_FIRST(&fleet->containers); container; container = next) {
        next = TAILQ_NEXT(container, link);
        if (waits(container))
            container_fail(container, -EHOSTUNREACH, "finds no place in the swarm", why);
    }
}
