#include "lb/mariadb.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "lb/mariadb_private.h"

#define DEFAULT_START_TIMEOUT_NS (60 * NS_PER_S)
/* How often a server that starts is asked whether it answers. */
#define ASK_S 0.025
/* Before one that died is started again; doubled when it dies soon after. */
#define FIRST_REST_S 0.1
#define LAST_REST_S 5.
#define LONG_LIFE_NS (60 * NS_PER_S)
#define LAST_WORDS_BYTES 256

static void begin(struct mariadb *mariadb);

/* ---- timers ------------------------------------------------------------------------------------
 */

static void set_timer(struct mariadb *mariadb, ev_timer *timer, double after_s)
{
    struct ev_loop *loop = mariadb->config.loop;
    ev_now_update(loop);
    ev_timer_stop(loop, timer);
    ev_timer_set(timer, after_s, 0.);
    ev_timer_start(loop, timer);
}

static void stop_timers(struct mariadb *mariadb)
{
    ev_timer_stop(mariadb->config.loop, &mariadb->timer);
    ev_timer_stop(mariadb->config.loop, &mariadb->deadline);
}

static double start_timeout_s(const struct mariadb *mariadb)
{
    uint64_t ns = mariadb->config.start_timeout_ns;
    return (double)(ns > 0 ? ns : DEFAULT_START_TIMEOUT_NS) / 1e9;
}

/* ---- the process -------------------------------------------------------------------------------
 */

static void send_signal(const struct mariadb *mariadb, int signo)
{
    /* ESRCH: it has ended, which is told by the pidfd. */
    if (mariadb->pidfd >= 0)
        pidfd_send_signal(mariadb->pidfd, signo, NULL, 0);
}

static void watch_process(struct mariadb *mariadb)
{
    ev_io_set(&mariadb->exit_watcher, mariadb->pidfd, EV_READ);
    ev_io_start(mariadb->config.loop, &mariadb->exit_watcher);
}

static void forget_process(struct mariadb *mariadb)
{
    if (mariadb->pidfd < 0)
        return;
    ev_io_stop(mariadb->config.loop, &mariadb->exit_watcher);
    close(mariadb->pidfd);
    mariadb->pidfd = -1;
    mariadb->pid = 0;
}

static void await_answer(struct mariadb *mariadb)
{
    mariadb->state = MARIADB_STARTING;
    set_timer(mariadb, &mariadb->timer, ASK_S);
    set_timer(mariadb, &mariadb->deadline, start_timeout_s(mariadb));
}

/* on_failed comes from the loop, not from within the call that failed. */
static void fail(struct mariadb *mariadb)
{
    stop_timers(mariadb);
    mysql_conn_close(&mariadb->conn);
    mariadb->state = MARIADB_FAILED;
    set_timer(mariadb, &mariadb->timer, 0.);
}

static void fail_with_log(struct mariadb *mariadb, const char *what, const char *why)
{
    char words[LAST_WORDS_BYTES];
    mariadb_last_words(mariadb, words, sizeof(words));
    err_set(&mariadb->failure, -ECHILD, "%s %s: %s; its last words in %s/log: %s", what,
            mariadb->state == MARIADB_INSTALLING ? "failed" : "ended before it answered", why,
            mariadb->dir, words);
    fail(mariadb);
}

/* ---- its states --------------------------------------------------------------------------------
 */

void mariadb_is_ready(struct mariadb *mariadb)
{
    bool first = mariadb->state == MARIADB_STARTING;
    stop_timers(mariadb);
    mariadb->state = MARIADB_RUNNING;
    if (first)
        mariadb->ready_at_ns = clock_now_ns();
    mariadb_work(mariadb);
    if (first)
        mariadb->config.on_ready(mariadb->config.context);
}

void mariadb_is_mute(struct mariadb *mariadb)
{
    if (mariadb->state == MARIADB_STARTING || mariadb->state == MARIADB_RUNNING)
        set_timer(mariadb, &mariadb->timer, ASK_S);
}

static void on_connection_lost(struct mysql_conn *conn)
{
    mariadb_is_mute(conn->owner);
}

static void free_mariadb(struct mariadb *mariadb)
{
    stop_timers(mariadb);
    forget_process(mariadb);
    mysql_conn_done(&mariadb->conn);
    mariadb_cancel_accounts(mariadb, false);
    if (mariadb->lock_fd >= 0)
        close(mariadb->lock_fd);
    free(mariadb->new_data);
    free(mariadb->socket);
    free(mariadb->user);
    free(mariadb->dir);
    explicit_bzero(mariadb->password, sizeof(mariadb->password));
    free(mariadb);
}

static void end_stop(struct mariadb *mariadb)
{
    void (*on_stopped)(void *context) = mariadb->on_stopped;
    void *context = mariadb->stop_context;
    mariadb_cancel_accounts(mariadb, true);
    free_mariadb(mariadb);
    if (on_stopped)
        on_stopped(context);
}

static void on_installed(struct mariadb *mariadb, const char *why)
{
    if (strcmp(why, "exit status 0") != 0) {
        fail_with_log(mariadb, "mariadb-install-db", why);
        return;
    }
    int code = mariadb_finish_install(mariadb);
    if (code != 0) {
        err_set_errno(&mariadb->failure, code, "cannot name %s %s/data", mariadb->new_data,
                      mariadb->dir);
        fail(mariadb);
        return;
    }
    begin(mariadb);
}

static void on_ended(struct mariadb *mariadb, const char *why)
{
    stop_timers(mariadb);
    mysql_conn_close(&mariadb->conn);
    mariadb->working = false;
    if (mariadb->state == MARIADB_RUNNING && clock_now_ns() - mariadb->ready_at_ns > LONG_LIFE_NS)
        mariadb->rest_s = FIRST_REST_S;
    mariadb->state = MARIADB_RESTING;
    set_timer(mariadb, &mariadb->timer, mariadb->rest_s);
    mariadb->rest_s = fmin(2 * mariadb->rest_s, LAST_REST_S);
    mariadb->config.on_exit(mariadb->config.context, why);
}

static void on_pidfd(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct mariadb *mariadb = watcher->data;
    char why[PROCESS_WHY_BYTES];
    (void)loop;
    (void)events;
    if (!process_reap(mariadb->pidfd, why))
        return;
    bool ours = mariadb->ours;
    forget_process(mariadb);
    switch (mariadb->state) {
    case MARIADB_INSTALLING:
        on_installed(mariadb, why);
        break;
    case MARIADB_STARTING:
        /* One that was taken over and never answered is not what we started. */
        if (mariadb->failure.code != 0)
            fail(mariadb);
        else if (ours && mariadb->ready_at_ns > 0 && strcmp(why, "killed by SIGKILL") == 0)
            on_ended(mariadb, why); /* once more: it is not to blame */
        else if (ours)
            fail_with_log(mariadb, "mariadbd", why);
        else
            begin(mariadb);
        break;
    case MARIADB_RUNNING:
        on_ended(mariadb, why);
        break;
    case MARIADB_STOPPING:
        end_stop(mariadb);
        break;
    case MARIADB_RESTING:
    case MARIADB_FAILED:
        break;
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct mariadb *mariadb = timer->data;
    (void)loop;
    (void)events;
    switch (mariadb->state) {
    case MARIADB_STARTING:
    case MARIADB_RUNNING:
        if (!mariadb->conn.mysql)
            mariadb_make_connection(mariadb);
        break;
    case MARIADB_RESTING:
        begin(mariadb);
        break;
    case MARIADB_FAILED:
        mariadb->config.on_failed(mariadb->config.context, &mariadb->failure);
        break;
    case MARIADB_STOPPING:
        if (mariadb->pidfd >= 0)
            send_signal(mariadb, SIGKILL);
        else
            end_stop(mariadb);
        break;
    case MARIADB_INSTALLING:
        break;
    }
}

/* It does not answer in time: killed, and then told of. One that was taken over gets a successor.
 */
static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct mariadb *mariadb = timer->data;
    (void)loop;
    (void)events;
    if (mariadb->ours)
        err_set(&mariadb->failure, -ETIMEDOUT, "mariadbd did not answer within %g s: %s",
                start_timeout_s(mariadb), mariadb->conn.reason);
    mysql_conn_close(&mariadb->conn);
    send_signal(mariadb, SIGKILL);
}

/* ---- beginning ---------------------------------------------------------------------------------
 */

static bool take_over(struct mariadb *mariadb)
{
    char reference[PROCESS_REFERENCE_BYTES];
    if (!mariadb_read_reference(mariadb, reference) ||
        process_find(reference, &mariadb->pid, &mariadb->pidfd) != 0)
        return false;
    mariadb->ours = false;
    watch_process(mariadb);
    await_answer(mariadb);
    return true;
}

/* Installs or starts, whichever comes next. */
static int launch(struct mariadb *mariadb, struct err *err)
{
    bool installed = mariadb_is_installed(mariadb);
    int rc = installed ? mariadb_launch(mariadb, err) : mariadb_launch_install(mariadb, err);
    if (rc != 0) {
        /* It may run, unknown to the next life: better not at all. */
        send_signal(mariadb, SIGKILL);
        forget_process(mariadb);
        return rc;
    }
    watch_process(mariadb);
    if (installed)
        await_answer(mariadb);
    else
        mariadb->state = MARIADB_INSTALLING;
    return 0;
}

static void begin(struct mariadb *mariadb)
{
    if (launch(mariadb, &mariadb->failure) != 0)
        fail(mariadb);
}

static int check_dir(const char *dir, struct err *err)
{
    if (dir[0] != '/' || strlen(dir) > MARIADB_DIR_MAX_BYTES || strpbrk(dir, ",\n"))
        return err_set(err, -EINVAL,
                       "%s: the private database wants an absolute path of at most %d bytes "
                       "without a comma, for a socket's path is short",
                       dir, MARIADB_DIR_MAX_BYTES);
    return 0;
}

static int prepare_dir(struct mariadb *mariadb, struct err *err)
{
    int rc = file_make_dirs(mariadb->dir, err);
    if (rc != 0)
        return rc;
    if (chmod(mariadb->dir, 0700) != 0)
        return err_set_errno(err, -errno, "cannot keep others out of %s", mariadb->dir);
    char *path = mem_printf("%s/lock", mariadb->dir);
    mariadb->lock_fd = file_lock(path, err);
    free(path);
    if (mariadb->lock_fd < 0) {
        rc = mariadb->lock_fd;
        err_prefix(err, "another LB keeps its database in %s", mariadb->dir);
        return rc;
    }
    const struct passwd *passwd = getpwuid(geteuid());
    if (!passwd)
        return err_set(err, -ENOENT, "user id %ld has no name, which the database needs",
                       (long)geteuid());
    mariadb->user = mem_strdup(passwd->pw_name);
    mariadb_clear_installs(mariadb);
    return 0;
}

int mariadb_start(const struct mariadb_config *config, struct mariadb **ret_mariadb,
                  struct err *err)
{
    int rc = check_dir(config->dir, err);
    if (rc == 0)
        rc = mariadb_find_programs(err);
    if (rc != 0)
        return rc;
    struct mariadb *mariadb = mem_zalloc(1, sizeof(*mariadb));
    mariadb->config = *config;
    mariadb->dir = mem_strdup(config->dir);
    mariadb->config.dir = mariadb->dir;
    mariadb->lock_fd = mariadb->pidfd = -1;
    mariadb->rest_s = FIRST_REST_S;
    mariadb->socket = mem_printf("%s/sock", mariadb->dir);
    STAILQ_INIT(&mariadb->accounts);
    ev_init(&mariadb->exit_watcher, on_pidfd);
    ev_init(&mariadb->timer, on_timer);
    ev_init(&mariadb->deadline, on_deadline);
    mariadb->exit_watcher.data = mariadb->timer.data = mariadb->deadline.data = mariadb;
    mysql_conn_init(&mariadb->conn, config->loop, &mariadb->address, on_connection_lost, mariadb);
    rc = prepare_dir(mariadb, err);
    mariadb->address =
        (struct mysql_address){.socket = mariadb->socket, .user = mariadb->user, .timeout_s = 10};
    if (rc == 0 && !take_over(mariadb))
        rc = launch(mariadb, err);
    if (rc != 0) {
        free_mariadb(mariadb);
        return rc;
    }
    *ret_mariadb = mariadb;
    return 0;
}

/* ---- what is asked of it -----------------------------------------------------------------------
 */

static void enqueue(struct mariadb *mariadb, bool remove, const char *name,
                    mariadb_on_added *on_added, void *context)
{
    struct mariadb_account *account = mem_zalloc(1, sizeof(*account));
    assert(name_valid(name));
    account->remove = remove;
    memcpy(account->name, name, strlen(name) + 1);
    account->on_added = on_added;
    account->context = context;
    STAILQ_INSERT_TAIL(&mariadb->accounts, account, link);
    mariadb_work(mariadb);
}

void mariadb_add_server(struct mariadb *mariadb, const char *name, mariadb_on_added *on_added,
                        void *context)
{
    enqueue(mariadb, false, name, on_added, context);
}

void mariadb_remove_server(struct mariadb *mariadb, const char *name)
{
    enqueue(mariadb, true, name, NULL, NULL);
}

long mariadb_pid(const struct mariadb *mariadb)
{
    return mariadb->state == MARIADB_INSTALLING ? 0 : mariadb->pid;
}

void mariadb_stop(struct mariadb *mariadb, uint64_t grace_ns, void (*on_stopped)(void *context),
                  void *context)
{
    assert(mariadb->state != MARIADB_STOPPING);
    bool installing = mariadb->state == MARIADB_INSTALLING;
    mariadb->on_stopped = on_stopped;
    mariadb->stop_context = context;
    mariadb->state = MARIADB_STOPPING;
    stop_timers(mariadb);
    mysql_conn_close(&mariadb->conn);
    if (installing) /* a script and what it started, all in the session that we gave it */
        kill(-mariadb->pid, SIGKILL);
    else
        send_signal(mariadb, SIGTERM);
    set_timer(mariadb, &mariadb->timer, mariadb->pidfd >= 0 ? (double)grace_ns / 1e9 : 0.);
}

void mariadb_close(struct mariadb *mariadb)
{
    if (mariadb)
        free_mariadb(mariadb);
}
