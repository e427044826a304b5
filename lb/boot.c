/* The start of the cluster: anew, as the options say, or again, from the state file: servers that
 * run are adopted, those of a durable store that do not are started as they were, and so are those
 * of a cluster without a database that ended in order; every shard's replicas are compared with one
 * that is whole before they serve (lb/copy.h). No worker runs yet.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "lb/control.h"

void operation_finish_boot(struct control *control, struct operation *operation)
{
    struct err err = {0};
    for (struct member *member = control->members; member; member = member->next)
        if (member->operation == operation) {
            member->operation = NULL;
            filling_check(member); /* one that waits for rows which are not there serves later */
        }
    operation_finish_first(control);
    int rc = control_go_live(control, &err);
    if (rc == 0)
        return;
    if (control->err)
        *control->err = err;
    control_stop(control, true, rc);
}

static int boot_anew(struct control *control, struct operation *operation, struct err *err)
{
    size_t n = control->config->n_servers;
    int rc = operation_check_room(control, n, false, err);
    if (rc != 0)
        return rc;
    control->n_target = n;
    const char **names = mem_zalloc(n + 1, sizeof(*names));
    for (size_t i = 0; i < n; i++)
        names[i] = mem_printf("Server%zu", i + 1);
    rc = operation_start_all(control, operation, n, names, n, err);
    for (size_t i = 0; i < n; i++)
        free((char *)names[i]);
    free(names);
    return rc;
}

static void restore_replicas(struct control *control, uint64_t uid, bool has_rows,
                             const struct state_replica *replicas, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct table_shard *shard = database_find(&control->database, replicas[i].shard);
        struct replica *replica = database_add_replica(shard, uid, REPLICA_FILLING);
        replica->has_rows = has_rows;
        replica->whole = replicas[i].whole && has_rows;
    }
}

/* A place that is to be taken by a new server, or by the same again (name). */
static void restore_vacancy(struct control *control, const struct state_vacancy *from,
                            bool has_rows, bool keeps_name)
{
    struct vacancy *vacancy =
        database_add_vacancy(&control->database, from->n_replicas, has_rows ? from->data_id : 0);
    if (from->name && keeps_name) {
        snprintf(vacancy->name, sizeof(vacancy->name), "%s", from->name);
        vacancy->id = from->id;
    }
    for (size_t i = 0; i < from->n_replicas; i++)
        vacancy->shards[vacancy->n_shards++] =
            (struct vacant_shard){database_find(&control->database, from->replicas[i].shard),
                                  from->replicas[i].whole && has_rows};
}

/* A server of an earlier life that runs no more: with a durable store it comes again, under its
 * name and with its rows; else another takes its place. */
static void restore_dead(struct control *control, const struct state_server *server)
{
    struct state_vacancy place = {.data_id = server->data_id,
                                  .name = server->name,
                                  .id = server->id,
                                  .n_replicas = server->n_replicas,
                                  .replicas = server->replicas};
    bool has_rows = control->database.durable && server->data_id != 0;
    if (server->n_replicas > 0 || server->data_id != 0)
        restore_vacancy(control, &place, has_rows, has_rows);
}

static int restore_servers(struct control *control, struct operation *operation,
                           const struct state *state, struct err *err)
{
    for (size_t i = 0; i < state->n_servers; i++) {
        const struct state_server *server = &state->servers[i];
        struct err why = {0};
        struct member *member;
        operation->n_members++; /* before: it could be lost at once */
        restore_replicas(control, server->uid, true, server->replicas, server->n_replicas);
        int rc = member_adopt(control, server, operation, &member, &why);
        if (rc == 0)
            continue;
        operation->n_members--;
        database_drop_replicas(&control->database, server->uid);
        if (rc != -ESRCH)
            return err_set(err, rc, "cannot adopt %s: %s", server->name, why.message);
        /* After a stop of everything that is as it should be. */
        log_at(control->database.durable ? LOG_INFO : LOG_WARN, "lb",
               "%s of an earlier life is gone: %s", server->name, why.message);
        restore_dead(control, server);
    }
    return 0;
}

/* Starts those again that bear a name; they are of the boot, but it does not fail with them. */
static void restart_servers(struct control *control, struct operation *operation)
{
    struct vacancy *vacancy = control->database.vacancies, *next;
    for (; vacancy; vacancy = next) {
        next = vacancy->next;
        struct member_plan plan = {.name = vacancy->name,
                                   .has_id = true,
                                   .id = vacancy->id,
                                   .data_id = vacancy->data_id,
                                   .operation = operation};
        struct member *member;
        struct err err = {0};
        if (!vacancy->name[0] || member_find_name(control, vacancy->name))
            continue;
        uint32_t *groups = database_groups_of(vacancy);
        plan.groups = groups;
        plan.n_groups = vacancy->n_shards;
        int rc = member_start(control, &plan, &member, &err);
        free(groups);
        if (rc != 0) {
            log_error("lb", "cannot start %s again: %s", vacancy->name, err.message);
            continue; /* healing tries again */
        }
        member->returning = true;
        operation->n_members++;
        database_occupy(&control->database, vacancy, member->uid);
    }
}

static void restore_database(struct control *control, const struct state *state)
{
    struct database *database = &control->database;
    if (!state->schema)
        return;
    database->configured = true;
    database->schema = *state->schema;
    for (size_t i = 0; i < state->n_shards; i++)
        database_add_shard(database, &state->shards[i], NULL);
}

/* In a database a name goes with the rows that bear it; without one, with the server that an
 * orderly end took. */
static void restore_vacancies(struct control *control, const struct state *state)
{
    for (size_t i = 0; i < state->n_vacancies; i++) {
        const struct state_vacancy *vacancy = &state->vacancies[i];
        bool has_rows = control->database.durable && vacancy->data_id != 0;
        restore_vacancy(control, vacancy, has_rows, has_rows || !state->schema);
    }
}

static int boot_again(struct control *control, struct operation *operation,
                      const struct state *state, struct err *err)
{
    control->n_target = state->n_target;
    operation->n_members++; /* the loop itself: one lost at once must not end the boot within it */
    restore_database(control, state);
    restore_vacancies(control, state);
    int rc = restore_servers(control, operation, state, err);
    if (rc != 0)
        return rc;
    size_t n_found = operation->n_members - 1;
    restart_servers(control, operation);
    operation->n_members--;
    log_info("lb", "found %zu of %zu servers of an earlier life, started %zu again", n_found,
             state->n_target, operation->n_members - n_found);
    return 0;
}

int operation_boot(struct control *control, const struct state *state, bool found, struct err *err)
{
    struct operation *operation = operation_queue(control, OPERATION_BOOT, NULL);
    control->next_uid = state->next_uid;
    control->booted = true;
    int rc =
        found ? boot_again(control, operation, state, err) : boot_anew(control, operation, err);
    if (rc != 0) {
        operation_finish_first(control);
        return rc;
    }
    if (operation->n_ready == operation->n_members && !operation->filling) {
        operation_fill(control, operation);
        rc = control->exit_code;
    }
    return rc;
}
