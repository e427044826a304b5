#include "lb/control.h"
#include "lb/upstream.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/ready.h"

#define STOP_GRACE_NS (2 * NS_PER_S)
/* Of a worker's client connections. */
#define MIN_CLIENTS 8u
#define MAX_CLIENTS 16384u
/* Kept back of the descriptors: for ourselves, and for servers that come by /add. */
#define RESERVED_DESCRIPTORS 32u
#define SPARE_SERVERS 2u
#define START_TIMEOUT_NS (10 * NS_PER_S)

void control_tell_workers(struct control *control, enum letter_type type)
{
    if (control->stopping && type == LETTER_TAKE)
        return;
    for (size_t i = 0; i < control->n_workers; i++)
        mailbox_post(worker_mailbox(control->workers[i]), &letter_new(type, 0)->letter);
}

void control_tell_writer(struct control *control, struct lb_letter *letter)
{
    mailbox_post(worker_mailbox(control->workers[0]), &letter->letter);
}

char *control_data_dir(const struct control *control, uint64_t data_id)
{
    if (data_id == 0)
        return NULL;
    return mem_printf("%s/servers/%llu", control->config->state_dir, (unsigned long long)data_id);
}

void control_remove_data(struct control *control, uint64_t data_id)
{
    struct spawner *spawner = control->spawner;
    state_remove_data(control->state_store, data_id);
    private_db_remove(control, data_id);
    if (spawner->ops->remove_data)
        spawner->ops->remove_data(spawner, data_id);
}

/* ---- fences -----------------------------------------------------------------------------------
 */

static void tell_fenced(struct control *control, const struct fence *fence)
{
    struct lb_letter *letter = fence->live ? &shard_letter_new(LETTER_DEMOTED, fence->live)->base
                                           : letter_new(LETTER_FENCED, 0);
    letter->uid = fence->uid;
    letter->code = fence->code;
    control_tell_writer(control, letter);
}

/* Tells the writer of every server and replica that no worker reads from any more, as the state
 * file says too. */
static void check_fences(struct control *control)
{
    uint64_t reached = publisher_reclaim(control->publisher);
    struct fence **link = &control->fences;
    while (*link) {
        struct fence *fence = *link;
        if (reached < fence->snapshot_version ||
            (control->state_store && control->saved_version < fence->state_version)) {
            link = &fence->next;
            continue;
        }
        tell_fenced(control, fence);
        *link = fence->next;
        free(fence);
    }
}

/* The writer is told once the map as it is now is everyone's. */
static void add_fence(struct control *control, uint64_t uid, struct shard_live *live, int code)
{
    const struct snapshot *current = atomic_load(&control->publisher->current);
    struct fence *fence = mem_zalloc(1, sizeof(*fence));
    fence->uid = uid;
    fence->live = live;
    fence->code = code;
    fence->snapshot_version = current->version;
    fence->state_version = control->state_version;
    fence->next = control->fences;
    control->fences = fence;
    check_fences(control);
}

/* A server failed a change that others did. If those have died since, it has a last replica, and
 * stays: then the change is lost, and its client hears that the outcome is unknown. While the LB
 * ends nothing is saved any more, so the writer is not told, and its client hears the same. */
static void on_fence(struct control *control, uint64_t uid)
{
    struct member *member = member_find(control, uid);
    if (control->stopping)
        return;
    if (database_has_last(&control->database, uid, NULL)) {
        add_fence(control, uid, NULL, -EBUSY);
        return;
    }
    metric_bump(&control->metrics.fenced);
    if (member && member->state != MEMBER_LEAVING)
        member_lost(member, "a change failed on it");
    add_fence(control, uid, NULL, 0);
}

/* The same of one replica: its server has the last replica of another shard, and serves on. */
static void on_demote(struct control *control, const struct shard_letter *letter)
{
    if (control->stopping)
        return;
    if (database_has_last(&control->database, letter->base.uid, letter->live)) {
        add_fence(control, letter->base.uid, letter->live, -EBUSY);
        return;
    }
    metric_bump(&control->metrics.demoted);
    if (database_demote(&control->database, letter->live, letter->base.uid)) {
        log_warn("lb", "a replica missed a change, and is made equal again");
        copy_replica_demoted(control, letter->live, letter->base.uid);
        control_publish(control);
    }
    add_fence(control, letter->base.uid, letter->live, 0);
    copy_schedule(control);
}

/* ---- letters ----------------------------------------------------------------------------------
 */

static void on_admin_call(struct control *control, struct admin_call *call)
{
    switch (call->endpoint) {
    case ADMIN_STATUS:
        answer_status(control, call);
        return;
    case ADMIN_REP:
        answer_rep(control, call);
        return;
    case ADMIN_CLUSTER:
        answer_cluster(control, call);
        return;
    case ADMIN_DIGEST:
        digest_begin(control, call);
        return;
    case ADMIN_HEALTHZ:
        answer_healthz(control, call);
        return;
    case ADMIN_METRICS:
        if (control->stopping) /* a worker that has ended counts no more */
            answer_refuse(control, call, 503, "the load balancer is ending");
        else
            answer_metrics(control, call);
        return;
    case ADMIN_KILL:
        answer_kill(control, call);
        return;
    case ADMIN_INIT:
    case ADMIN_ADD:
    case ADMIN_RM:
        operation_submit(control, call);
        return;
    }
    assert(false && "an endpoint nobody answers");
}

static void on_suspect(struct control *control, uint64_t uid)
{
    struct member *member = member_find(control, uid);
    if (member && !control->stopping &&
        (member->state == MEMBER_FILLING || member->state == MEMBER_SERVING ||
         member->state == MEMBER_PARTING))
        health_probe(member);
}

static void on_drained(struct control *control, uint64_t uid)
{
    struct member *member = member_find(control, uid);
    if (member && member->state == MEMBER_DRAINING && ++member->n_drained == control->n_workers)
        member_drained(member);
}

/* Who is told that the LB serves may kill it the moment after: its servers are on disk by then. */
static int tell_ready(struct control *control, struct err *err)
{
    const struct lb_config *config = control->config;
    char text[ADDR_TEXT_BYTES];
    control->ready_version = 0;
    log_info("lb", "serves at %s, %zu servers, placement %s, hash %s",
             addr_format(&control->bound, text), member_count(control, MEMBER_SERVING),
             config->placement.text, config->hashes.request.text);
    int rc = ready_tell(config->ready_fd, &control->bound);
    if (rc != 0)
        return err_set_errno(err, rc, "cannot tell the parent the address on descriptor %d",
                             config->ready_fd);
    return 0;
}

static void tell_ready_if_saved(struct control *control)
{
    struct err err = {0};
    if (control->ready_version == 0 || control->saved_version < control->ready_version ||
        control->stopping)
        return;
    int rc = tell_ready(control, &err);
    if (rc == 0)
        return;
    if (control->err)
        *control->err = err;
    control_stop(control, true, rc);
}

static void on_saved(struct control *control, uint64_t version, int code)
{
    if (code != 0) {
        metric_bump(&control->metrics.failed_saves);
        log_error("lb", "the state could not be saved in %s: %s", control->config->state_dir,
                  err_errno_text(code));
    }
    control->saved_version = version; /* what waits for it goes on: a full disk stops no service */
    check_fences(control);
    operation_check(control);
    tell_ready_if_saved(control);
}

/* A start that failed stops what it has started, and no server of an earlier life: these serve on,
 * and the state file goes on naming them. */
static void stop_members(struct control *control, uint64_t grace_ns)
{
    for (struct member *member = control->members; member; member = member->next) {
        if (control->exit_code != 0 && member->adopted) {
            member_spare(member);
            control->keeps_state = control->spares = true;
        } else {
            member_stop(member, grace_ns);
        }
    }
}

/* The workers have gone: the servers they used can be stopped. */
static void on_worker_stopped(struct control *control)
{
    if (++control->n_workers_stopped < control->n_workers)
        return;
    stop_members(control, STOP_GRACE_NS);
    member_reap_all(control, UINT64_MAX);
}

static void on_letter(void *context, struct letter *raw)
{
    struct control *control = context;
    struct lb_letter *letter = (struct lb_letter *)raw;
    switch (letter->type) {
    case LETTER_ADMIN:
        on_admin_call(control, (struct admin_call *)letter);
        return; /* the call goes back as its own answer */
    case LETTER_SUSPECT:
        on_suspect(control, letter->uid);
        break;
    case LETTER_DRAINED:
        on_drained(control, letter->uid);
        break;
    case LETTER_TOOK:
        member_part_all(control, publisher_reclaim(control->publisher));
        member_reap_all(control, publisher_reclaim(control->publisher));
        check_fences(control);
        operation_check(control);
        break;
    case LETTER_FENCE:
        on_fence(control, letter->uid);
        break;
    case LETTER_DEMOTE:
        on_demote(control, (struct shard_letter *)letter);
        shard_letter_free((struct shard_letter *)letter);
        return;
    case LETTER_DIRTY:
        copy_on_dirty(control, (struct shard_letter *)letter);
        shard_letter_free((struct shard_letter *)letter);
        return;
    case LETTER_HELD:
        digest_on_held(control, (struct shard_letter *)letter);
        shard_letter_free((struct shard_letter *)letter);
        return;
    case LETTER_SAVED:
        on_saved(control, letter->version, letter->code);
        break;
    case LETTER_STOPPED:
        on_worker_stopped(control);
        break;
    default:
        assert(false && "a letter that the control loop does not take");
    }
    free(letter);
}

/* ---- life -------------------------------------------------------------------------------------
 */

/* What is left of the descriptors for each worker's clients, so that they cannot keep the cluster
 * from healing: a server takes a heartbeat's, a pidfd, a pipe while it starts, the writer's and a
 * worker's channels. */
static size_t max_clients(const struct control *control)
{
    size_t n_threads = control->config->n_threads;
    size_t n_servers = control->n_target + SPARE_SERVERS;
    size_t reserved = RESERVED_DESCRIPTORS + n_servers * (4 + N_CHANNELS * n_threads);
    size_t left = control->n_descriptors > reserved ? control->n_descriptors - reserved : 0;
    size_t each = left / n_threads;
    return each < MIN_CLIENTS ? MIN_CLIENTS : each < MAX_CLIENTS ? each : MAX_CLIENTS;
}

int control_go_live(struct control *control, struct err *err)
{
    const struct lb_config *config = control->config;
    control_publish_first(control);
    for (size_t i = 0; i < config->n_threads; i++) {
        struct worker_config worker = {.index = i,
                                       .listen_fd = control->listen_fds[i],
                                       .publisher = control->publisher,
                                       .control = &control->mailbox,
                                       .state_dir = config->state_dir,
                                       .store_durable = config->store_durable,
                                       .writer = i > 0 ? worker_mailbox(control->workers[0]) : NULL,
                                       .key_source = config->key_source,
                                       .answer_timeout_ns = config->answer_timeout_ns,
                                       .seed = rng_mix64(config->seed + i),
                                       .max_connections = max_clients(control)};
        control->listen_fds[i] = -1;
        int rc = worker_start(&worker, &control->workers[i], err);
        if (rc != 0)
            return rc;
        control->n_workers++;
    }
    control->live = true;
    control->ready_version = control->state_version;
    int rc = control->state_store ? 0 : tell_ready(control, err);
    if (rc != 0)
        return rc;
    member_heal(control);
    copy_schedule(control);
    return 0;
}

/* Whether the state file stays: a start that failed, or did not get as far as to read it, forgets
 * nothing of an earlier life; a database stays where its rows outlive their servers; without one,
 * the servers come again under their names, once they have all served. */
static bool keeps_state(const struct control *control, int code)
{
    if (control->resumed && (code != 0 || !control->booted))
        return true;
    if (control->database.configured)
        return control->database.durable;
    return code == 0 && (control->live || control->resumed) && control->n_target > 0;
}

void control_stop(struct control *control, bool kill, int code)
{
    if (control->stopping) {
        if (kill) {
            stop_members(control, 0);
            control_tell_workers(control,
                                 LETTER_STOP); /* the second one: they wait for no client */
        }
        return;
    }
    control->keeps_state = keeps_state(control, code);
    if (control->keeps_state && code == 0 && control->booted && !control->database.configured)
        control_save_end(control);
    control->stopping = true;
    control->exit_code = code;
    ev_timer_stop(control->loop, &control->heartbeat);
    ev_timer_stop(control->loop, &control->round);
    ev_timer_stop(control->loop, &control->heal_timer);
    copy_stop_all(control);
    digest_stop_all(control);
    operation_refuse_all(control, "the load balancer is ending");
    control_tell_workers(control, LETTER_STOP);
    if (control->n_workers == 0) {
        stop_members(control, kill ? 0 : STOP_GRACE_NS);
        /* Never break the loop from within a caller that still looks at a member: at its next turn.
         */
        ev_feed_event(control->loop, &control->heal_timer, EV_TIMER);
    }
}

/* Not yet: the loop may have been held up for longer than the answers took, and these may lie
 * unread. They are read in the turn that comes, before the round begins. */
static void on_heartbeat_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    struct control *control = timer->data;
    ev_timer_again(loop, timer); /* libev would make up for the time at once: no round on a round */
    ev_timer_start(loop, &control->round);
}

static void on_round_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    health_round(timer->data);
}

static void on_heal_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct control *control = timer->data;
    if (control->stopping)
        member_reap_all(control, UINT64_MAX);
    else
        member_heal(control);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    struct control *control = watcher->data;
    log_info("lb", control->stopping ? "told again: killing the servers"
                                     : "told to end: finishing what is under way");
    control_stop(control, control->stopping, 0);
}

static void watch_signal(struct control *control, struct ev_signal *watcher, int number)
{
    ev_signal_init(watcher, on_signal, number);
    watcher->data = control;
    ev_signal_start(control->loop, watcher);
}

static void start_timers(struct control *control)
{
    double interval_s = (double)control->config->heartbeat_ns * 1e-9;
    ev_timer_init(&control->heartbeat, on_heartbeat_timer, interval_s, interval_s);
    ev_timer_init(&control->round, on_round_timer, 0., 0.);
    ev_set_priority(&control->round, EV_MINPRI); /* behind what is read in the same turn */
    ev_init(&control->heal_timer, on_heal_timer);
    control->heartbeat.data = control->round.data = control->heal_timer.data = control;
    ev_timer_start(control->loop, &control->heartbeat);
    control->last_heartbeat_ns = clock_now_ns();
    watch_signal(control, &control->on_term, SIGTERM);
    watch_signal(control, &control->on_int, SIGINT);
}

static void init(struct control *control, const struct lb_config *config,
                 struct publisher *publisher, struct err *err)
{
    control->config = config;
    control->publisher = publisher;
    control->err = err;
    control->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    control->last_member = &control->members;
    control->next_uid = 1;
    for (size_t i = 0; i < LB_MAX_THREADS; i++)
        control->listen_fds[i] = -1;
    rng_seed(&control->rng, rng_mix64(config->seed ^ UINT64_C(0x6c62)));
    database_init(&control->database, config->store_durable);
    publisher_init(publisher, config->n_threads);
    flusher_init(&control->flusher, control->loop);
    mailbox_open(&control->mailbox, control->loop, on_letter, control);
    start_timers(control);
}

static int listen_all(struct control *control, struct err *err)
{
    const struct lb_config *config = control->config;
    bool shared = config->n_threads > 1;
    for (size_t i = 0; i < config->n_threads; i++) {
        int fd = i == 0 ? net_listen(&config->listen, shared, &control->bound, err)
                        : net_listen_again(&control->bound, err);
        if (fd < 0)
            return fd;
        control->listen_fds[i] = fd;
    }
    return 0;
}

static int open_spawner(struct control *control, struct err *err)
{
    struct spawner_config spawner = {.loop = control->loop,
                                     .program = control->config->program,
                                     .orphan_after_ns = control->config->orphan_after_ns,
                                     .start_timeout_ns = START_TIMEOUT_NS,
                                     .server_args = control->config->server_args};
    return spawner_open(&control->config->spawner, &spawner, &member_spawner_handler, control,
                        &control->spawner, err);
}

/* Rows are where they are: a cluster goes on with the store it began with. Whose state it is not
 * lets go of it before anything could be written. */
static int check_store(struct control *control, const struct state *state, struct err *err)
{
    const struct lb_config *config = control->config;
    const char *store = config->store_name ? config->store_name : "memory";
    if (!state->store || strcmp(state->store, store) == 0)
        return 0;
    state_close(control->state_store, false);
    control->state_store = NULL;
    return err_set(err, -EINVAL,
                   "%s knows a database in store %s, not %s: start with --store %s, or with "
                   "another --state",
                   config->state_dir, state->store, store, state->store);
}

/* Everything that must be there before the first server is started; then starts them. */
static int boot(struct control *control, struct err *err)
{
    struct arena arena;
    struct state state = {.next_uid = 1};
    int found = 0;
    arena_init(&arena);
    int rc = listen_all(control, err);
    if (rc == 0)
        rc = open_spawner(control, err);
    if (rc == 0 && control->config->state_dir)
        rc = state_open(control->config->state_dir, &control->mailbox, &arena, &state, &found,
                        &control->state_store, err);
    control->resumed = rc == 0 && found;
    if (rc == 0)
        rc = check_store(control, &state, err);
    if (rc == 0 && control->config->store_private)
        return private_db_start(control, &arena, &state, found, err);
    if (rc == 0)
        rc = operation_boot(control, &state, found, err);
    arena_done(&arena);
    return rc;
}

static void done(struct control *control)
{
    bool all_gone = control->members == NULL;
    for (size_t i = 0; i < control->n_workers; i++)
        worker_join(control->workers[i]);
    state_close(control->state_store, all_gone && !control->keeps_state);
    mailbox_close(&control->mailbox);
    spawner_close(control->spawner);
    member_free_all(control);
    copy_free_dead(control);
    digest_free_dead(control);
    while (control->fences) {
        struct fence *fence = control->fences;
        control->fences = fence->next;
        free(fence);
    }
    for (size_t i = 0; i < LB_MAX_THREADS; i++)
        if (control->listen_fds[i] >= 0)
            close(control->listen_fds[i]);
    ev_signal_stop(control->loop, &control->on_term); /* or they stay this loop's for ever */
    ev_signal_stop(control->loop, &control->on_int);
    flusher_done(&control->flusher);
    publisher_done(control->publisher);
    database_done(&control->database);
    private_db_done(control);
    ev_loop_destroy(control->loop);
}

int lb_run(const struct lb_config *config, struct err *err)
{
    signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more ends no service */
    struct control *control = mem_zalloc(1, sizeof(*control));
    control->n_descriptors = net_raise_fd_limit();
    struct publisher *publisher =
        mem_aligned_zalloc(_Alignof(struct publisher), sizeof(*publisher));
    init(control, config, publisher, err);
    int rc = boot(control, err);
    if (rc != 0)
        control_stop(control, true, rc); /* lets go of what was started */
    ev_run(control->loop, 0);
    rc = control->exit_code;
    done(control);
    free(control);
    free(publisher);
    return rc;
}
