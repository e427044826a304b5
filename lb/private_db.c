/* --store mysql without a database: one private mariadbd for the cluster (lb/mariadb.h), started
 * before the first server and stopped after the last one, and in it a database for each data
 * directory, which passes to a replacement as the directory does. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/mem.h"
#include "lb/control.h"

#define STOP_GRACE_NS (UINT64_C(20) * 1000000000) /* it writes its pages out */

/* A member that waits for its database; it may be gone when that comes. */
struct waiting {
    struct control *control;
    uint64_t uid;
};

static void data_name(uint64_t data_id, char *name)
{
    snprintf(name, NAME_MAX_BYTES + 1, "data-%llu", (unsigned long long)data_id);
}

/* ---- the start --------------------------------------------------------------------------------
 */

static void fail(struct control *control, const struct err *err)
{
    if (control->stopping)
        return;
    if (control->err)
        *control->err = *err;
    control_stop(control, false, err->code);
}

static void on_ready(void *context)
{
    struct control *control = context;
    struct private_db *db = &control->private_db;
    struct err err = {0};
    log_info("lb", "the cluster's MariaDB answers (process %ld)", mariadb_pid(db->mariadb));
    if (db->booted || control->stopping)
        return;
    db->booted = true;
    int rc = operation_boot(control, &db->state, db->found, &err);
    if (rc == 0 || control->stopping)
        return;
    if (control->err)
        *control->err = err;
    control_stop(control, true, rc);
}

static void on_failed(void *context, const struct err *err)
{
    struct control *control = context;
    log_error("lb", "the cluster's MariaDB cannot be started: %s", err->message);
    fail(control, err);
}

static void on_exit_told(void *context, const char *why)
{
    (void)context;
    log_error("lb", "the cluster's MariaDB is started again: it ended, %s", why);
}

int private_db_start(struct control *control, struct arena *arena, const struct state *state,
                     bool found, struct err *err)
{
    struct private_db *db = &control->private_db;
    char path[PATH_MAX];
    db->arena = *arena;
    db->state = *state;
    db->found = found;
    if (!realpath(control->config->state_dir, path))
        return err_set_errno(err, -errno, "%s", control->config->state_dir);
    db->dir = mem_printf("%s/mariadb", path);
    struct mariadb_config config = {.loop = control->loop,
                                    .dir = db->dir,
                                    .on_ready = on_ready,
                                    .on_failed = on_failed,
                                    .on_exit = on_exit_told,
                                    .context = control};
    return mariadb_start(&config, &db->mariadb, err);
}

/* ---- servers ----------------------------------------------------------------------------------
 */

static void on_added(void *context, const char *name, const char *store_options,
                     const struct err *why)
{
    struct waiting *waiting = context;
    struct member *member = member_find(waiting->control, waiting->uid);
    struct err err = {0};
    (void)name;
    free(waiting);
    if (!member || !member->unasked || member->state != MEMBER_STARTING)
        return;
    int rc;
    if (store_options) {
        char *store = mem_printf("%s:%s", member->control->config->store, store_options);
        rc = member_ask_spawner(member, store, &err);
        free(store);
    } else {
        rc = err_set(&err, why->code ? why->code : -EIO, "its database: %s", why->message);
    }
    if (rc != 0)
        member_failed(member, &err);
}

void private_db_add(struct member *member)
{
    struct waiting *waiting = mem_zalloc(1, sizeof(*waiting));
    char name[NAME_MAX_BYTES + 1];
    waiting->control = member->control;
    waiting->uid = member->uid;
    data_name(member->data_id, name);
    mariadb_add_server(member->control->private_db.mariadb, name, on_added, waiting);
}

void private_db_remove(struct control *control, uint64_t data_id)
{
    char name[NAME_MAX_BYTES + 1];
    if (!control->private_db.mariadb || control->private_db.stopping)
        return;
    data_name(data_id, name);
    mariadb_remove_server(control->private_db.mariadb, name);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void on_stopped(void *context)
{
    struct control *control = context;
    control->private_db.mariadb = NULL;
    control->private_db.stopping = false;
    member_reap_all(control, UINT64_MAX);
}

bool private_db_stop(struct control *control)
{
    struct private_db *db = &control->private_db;
    if (!db->mariadb)
        return true;
    if (control->spares) { /* they need it */
        mariadb_close(db->mariadb);
        db->mariadb = NULL;
        return true;
    }
    if (!db->stopping) {
        db->stopping = true;
        mariadb_stop(db->mariadb, STOP_GRACE_NS, on_stopped, control);
    }
    return false;
}

void private_db_done(struct control *control)
{
    struct private_db *db = &control->private_db;
    mariadb_close(db->mariadb);
    free(db->dir);
    arena_done(&db->arena);
}
