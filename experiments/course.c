#include "experiments/course.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/rng.h"
#include "experiments/ask.h"

#define KILLS (1u << EVENT_KILL | 1u << EVENT_STOP)
#define NEWS (KILLS | 1u << EVENT_ADD)

const struct course_step_info course_steps[COURSE_N_STEPS] = {
    [STEP_DETECTED] = {"detected", "the load balancer knows of the failure", KILLS,
                       ALWAYS_REQUIRED},
    [STEP_OUT] = {"out", "no worker routes to the server any more", KILLS, ALWAYS_REQUIRED},
    [STEP_DRAINED] = {"drained", "nothing is under way to the server", 1u << EVENT_RM,
                      ALWAYS_REQUIRED},
    [STEP_EXITED] = {"exited", "its process has ended", KILLS | 1u << EVENT_RM, NEVER_REQUIRED},
    [STEP_SPAWNED] = {"spawned", "a new server was asked for", NEWS, ALWAYS_REQUIRED},
    [STEP_LISTENS] = {"listens", "it listens", NEWS, NEVER_REQUIRED},
    [STEP_COPIED] = {"copied", "it has its shards' rows, checked", NEWS, DATABASE_REQUIRED},
    [STEP_SERVING] = {"serving", "it is in the placement", NEWS, ALWAYS_REQUIRED},
    [STEP_ANSWERED] = {"answered", "the call was answered", 1u << EVENT_RM | 1u << EVENT_ADD,
                       ALWAYS_REQUIRED},
};

struct course *course_new(void)
{
    return mem_zalloc(1, sizeof(struct course));
}

void course_free(struct course *course)
{
    if (!course)
        return;
    free(course->ok);
    free(course->failed);
    free(course->writes_ok);
    free(course->writes_failed);
    free(course->p50_ms);
    free(course->max_ms);
    free(course);
}

/* ——— doing ——— */

struct doing {
    const struct course_config *config;
    struct course *course;
    struct asker asker;
    struct rng rng;
    char stopped[NAME_MAX_BYTES + 1]; /* the server that was stopped last */
};

/* The load balancer's count of requests that another server got: those of Part 1, and reads. */
static int read_retries(struct doing *doing, double *ret_n, struct err *err)
{
    static const char *const names[] = {"\nquoit_lb_retries_total ",
                                        "\nquoit_lb_read_retries_total "};
    struct buf text;
    long status;
    double sum = 0;
    buf_init(&text, ASK_MAX_BYTES);
    int code = asker_ask(&doing->asker, "GET", doing->config->address, "/metrics", NULL, &status,
                         &text, err);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && code >= 0; i++) {
        const char *line = strstr(buf_str(&text), names[i]);
        if (line)
            sum += strtod(line + strlen(names[i]), NULL);
        else
            code = err_set(err, -EPROTO, "GET /metrics of %s: no %s", doing->config->address,
                           names[i] + 1);
    }
    if (code >= 0)
        *ret_n = sum;
    buf_done(&text);
    return code;
}

/* The server of the cluster that the event means; among those that serve when it is "random". */
static const cJSON *pick_server(struct doing *doing, const struct event *event,
                                const cJSON *cluster)
{
    bool random = !strcmp(event->target, "random");
    const char *name = !strcmp(event->target, "last") ? doing->stopped : event->target;
    const cJSON *server, *found = NULL;
    uint64_t n = 0;
    cJSON_ArrayForEach (server, json_get(cluster, "servers")) {
        const char *its_name = json_get_string(server, "name");
        const char *state = json_get_string(server, "state");
        if (random && state && !strcmp(state, "serving") && rng_below(&doing->rng, ++n) == 0)
            found = server;
        if (!random && its_name && !strcmp(its_name, name))
            found = server;
    }
    return found;
}

/* A container's process is no descendant of the LB, which told us of it once it had found it in the
 * very container that it started (backends/spawner/remote.c): it still is a server of that name
 * in one. */
static bool is_server_in_container(pid_t pid, const char *name)
{
    char path[64], text[4096] = "";
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        fclose(file);
    text[n] = '\0';
    if (!strstr(text, "docker"))
        return false;
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    file = fopen(path, "re");
    n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        fclose(file);
    text[n] = '\0';
    for (const char *word = text; word < text + n; word += strlen(word) + 1)
        if (!strcmp(word, "--name"))
            return !strcmp(word + strlen(word) + 1, name);
    return false;
}

/* Sends the signal to the server's process: through a descriptor, so that the process which was
 * looked at gets it and no later one of the same number. */
static int signal_server(struct doing *doing, pid_t pid, int signal, struct course_event *ran,
                         struct err *err)
{
    int status = 0;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0u);
    if (fd < 0)
        return err_set_errno(err, -errno, "process %d of %s", (int)pid, ran->server);
    ran->monotonic_ns = clock_now_ns();
    if (!child_has_descendant(doing->config->lb, pid) && !is_server_in_container(pid, ran->server))
        status = err_set(err, -EPERM, "process %d of %s is no child of our load balancer", (int)pid,
                         ran->server);
    else if (ran->monotonic_ns = clock_now_ns(),
             syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0u) < 0)
        status = err_set_errno(err, -errno, "signal to %s", ran->server);
    close(fd);
    return status;
}

static int do_signal(struct doing *doing, const struct event *event, struct course_event *ran,
                     struct err *err)
{
    static const int signals[] = {
        [EVENT_KILL] = SIGKILL, [EVENT_STOP] = SIGSTOP, [EVENT_CONT] = SIGCONT};
    int64_t pid = 0, uid = 0;
    cJSON *cluster =
        asker_ask_json(&doing->asker, "GET", doing->config->address, "/cluster", NULL, err);
    if (!cluster)
        return -EIO;
    int status;
    const cJSON *server = pick_server(doing, event, cluster);
    if (!server || json_get_int64(server, "pid", &pid) < 0 || pid <= 1 ||
        json_get_int64(server, "uid", &uid) < 0) {
        status =
            err_set(err, -ESRCH, "the cluster has no server '%s' with a process", event->target);
    } else {
        snprintf(ran->server, sizeof(ran->server), "%s",
                 json_get_string(server, "name") ? json_get_string(server, "name") : "");
        ran->uid = (uint64_t)uid;
        status = signal_server(doing, (pid_t)pid, signals[event->action], ran, err);
    }
    if (event->action == EVENT_STOP)
        memcpy(doing->stopped, ran->server, sizeof(doing->stopped));
    cJSON_Delete(cluster);
    return status;
}

static int do_call(struct doing *doing, const struct event *event, struct course_event *ran,
                   struct err *err)
{
    bool add = event->action == EVENT_ADD;
    char body[NAME_MAX_BYTES + 64];
    if (event->target)
        snprintf(body, sizeof(body), "{\"n\":1,\"hostnames\":[\"%s\"]}", event->target);
    else
        snprintf(body, sizeof(body), "{\"n\":%" PRIu64 "}", event->n);
    ran->monotonic_ns = clock_now_ns();
    cJSON *answer = asker_ask_json(&doing->asker, add ? "POST" : "DELETE", doing->config->address,
                                   add ? "/add" : "/rm", body, err);
    ran->answered_ns = clock_now_ns();
    cJSON_Delete(answer);
    return answer ? 0 : -EPROTO;
}

static int do_event(struct doing *doing, const struct event *event, struct err *err)
{
    struct course_event *ran = &doing->course->events[doing->course->n_events++];
    int status = read_retries(doing, &ran->n_retried, err);
    if (status < 0)
        return status;
    if (event->action <= EVENT_CONT)
        status = do_signal(doing, event, ran, err);
    else
        status = do_call(doing, event, ran, err);
    return status < 0 ? err_prefix(err, "event '%s' at %.3g s", event->label,
                                   (double)event->at_ns / (double)NS_PER_S)
                      : 0;
}

/* What the load balancer has to say once the load has ended. */
static int course_close(struct doing *doing, struct err *err)
{
    struct course *course = doing->course;
    double end = 0;
    int status = read_retries(doing, &end, err);
    if (status < 0)
        return status;
    course->n_retried = end;
    /* Until here an event holds the count at its time. */
    for (size_t i = course->n_events; i-- > 0;) {
        double at = course->events[i].n_retried;
        course->events[i].n_retried = end - at;
        end = at;
    }
    cJSON *cluster =
        asker_ask_json(&doing->asker, "GET", doing->config->address, "/cluster", NULL, err);
    if (!cluster)
        return -EIO;
    status = course_merge(course, doing->config->events, json_get(cluster, "events"), err);
    cJSON_Delete(cluster);
    return status;
}

/* What the load reads before it begins is not part of the course. */
static int await_begin(struct child *load, int ready_fd, uint64_t timeout_ns, struct err *err)
{
    int status = ready_fd < 0 ? 1 : child_wait(load, timeout_ns, ready_fd);
    if (status == 0)
        status = child_fail(load, -EPROTO, "ended before it began", err);
    else if (status < 0)
        err_set_errno(err, status, "waiting for quoit load to begin");
    return status < 0 ? status : 0;
}

int course_run(struct course *course, const struct course_config *config, struct child *load,
               uint64_t timeout_ns, struct err *err)
{
    const struct event_list *events = config->events;
    struct doing doing = {.config = config, .course = course};
    int status = await_begin(load, config->ready_fd, timeout_ns, err);
    if (status < 0)
        return status;
    uint64_t begin_ns = clock_now_ns();
    status = -ETIMEDOUT;
    asker_init(&doing.asker);
    rng_seed(&doing.rng, config->seed);
    for (size_t i = 0; i < events->n && status == -ETIMEDOUT; i++) {
        uint64_t at_ns = begin_ns + events->at[i].at_ns, now_ns = clock_now_ns();
        status = child_wait(load, at_ns > now_ns ? at_ns - now_ns : 0, -1);
        if (status == 0) {
            char what[160];
            snprintf(what, sizeof(what), "ended before the event '%s' at %.3g s",
                     events->at[i].label, (double)events->at[i].at_ns / (double)NS_PER_S);
            status = child_fail(load, -EPROTO, what, err);
        } else if (status == -ETIMEDOUT) {
            int done = do_event(&doing, &events->at[i], err);
            status = done < 0 ? done : status;
        } else {
            err_set_errno(err, status, "waiting for quoit load");
        }
    }
    if (status == -ETIMEDOUT) {
        status = child_wait(load, timeout_ns, -1);
        if (status < 0)
            err_set_errno(err, status, "waiting for quoit load");
        else
            status = course_close(&doing, err);
    }
    asker_done(&doing.asker);
    return status;
}

/* ——— merging ——— */

struct line {
    const char *step;
    uint64_t ns, uid;
    const cJSON *node; /* (ref) */
};

/* The n-th entry of that step since from_ns, of that uid (0: of any); NULL when there are fewer. */
static const struct line *find_line(const struct line *lines, size_t n_lines, const char *step,
                                    uint64_t from_ns, uint64_t uid, uint64_t n)
{
    for (size_t i = 0; i < n_lines; i++)
        if (lines[i].ns >= from_ns && !strcmp(lines[i].step, step) &&
            (!uid || lines[i].uid == uid) && --n == 0)
            return &lines[i];
    return NULL;
}

static double since(const struct course_event *ran, const struct line *line)
{
    return line ? (double)(line->ns - ran->monotonic_ns) / (double)NS_PER_MS : NAN;
}

/* Adds the line's rows to the event's. */
static void merge_rows(struct course_event *ran, const struct line *line)
{
    const struct {
        const char *key;
        double *into;
    } numbers[] = {{"rows", &ran->n_rows},
                   {"copied_rows", &ran->n_copied_rows},
                   {"copied_bytes", &ran->n_copied_bytes}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const cJSON *number = json_get(line->node, numbers[i].key);
        *numbers[i].into = cJSON_IsNumber(number) ? number->valuedouble : NAN;
    }
}

static void merge_event(struct course_event *ran, const struct event *event,
                        const struct line *lines, size_t n_lines)
{
    uint64_t from_ns = ran->monotonic_ns;
    uint64_t newest = 0;
    ran->n_rows = ran->n_copied_rows = ran->n_copied_bytes = NAN;
    for (int step = 0; step < COURSE_N_STEPS; step++) {
        bool of_new = step >= STEP_SPAWNED && step <= STEP_SERVING; /* STEP_COPIED among them */
        uint64_t uid = of_new ? newest : ran->uid;
        ran->step_ms[step] = NAN;
        if (!course_step_follows((enum course_step)step, event->action))
            continue;
        if (step == STEP_ANSWERED) {
            ran->step_ms[step] = (double)(ran->answered_ns - from_ns) / (double)NS_PER_MS;
            continue;
        }
        /* Of several servers the last one counts. */
        const struct line *line =
            find_line(lines, n_lines, course_steps[step].name, from_ns, uid, uid ? 1 : event->n);
        ran->step_ms[step] = since(ran, line);
        if (line && step == STEP_COPIED)
            merge_rows(ran, line);
        if (line && step == STEP_DETECTED)
            from_ns = line->ns; /* what is spawned earlier replaces another */
        if (line && step == STEP_SPAWNED && event->n == 1)
            newest = line->uid;
    }
}

int course_merge(struct course *course, const struct event_list *events, const cJSON *timeline,
                 struct err *err)
{
    const cJSON *node;
    size_t n_lines = 0;
    if (!cJSON_IsArray(timeline))
        return err_set(err, -EINVAL, "GET /cluster has no events");
    struct line *lines = mem_zalloc((size_t)cJSON_GetArraySize(timeline) + 1, sizeof(*lines));
    int status = 0;
    cJSON_ArrayForEach (node, timeline) {
        int64_t ns, uid;
        const char *step = json_get_string(node, "step");
        if (!step || json_get_int64(node, "monotonic_ns", &ns) < 0 || ns < 0 ||
            json_get_int64(node, "uid", &uid) < 0 || uid < 0) {
            status = err_set(err, -EINVAL, "GET /cluster: event %zu has no step, time or uid",
                             n_lines + 1);
            break;
        }
        lines[n_lines++] = (struct line){step, (uint64_t)ns, (uint64_t)uid, node};
    }
    for (size_t i = 0; i < course->n_events && !status; i++)
        merge_event(&course->events[i], &events->at[i], lines, n_lines);
    free(lines);
    return status;
}

/* ——— buckets ——— */

#define MAX_COLUMNS 128

/* Cuts a line at its tabs, in place. */
static size_t cut_fields(char *line, char **fields)
{
    size_t n = 0;
    for (char *at = line; at && n < MAX_COLUMNS; n++) {
        fields[n] = at;
        at = strchr(at, '\t');
        if (at)
            *at++ = '\0';
    }
    return n;
}

struct columns {
    size_t t, ns, ok, failed, p50, max; /* which field */
    size_t writes_ok, writes_failed;    /* MAX_COLUMNS: there is none */
};

static int find_columns(char *const *fields, size_t n, struct columns *columns, struct err *err)
{
    const struct {
        const char *name;
        size_t *into;
        bool optional;
    } wanted[] = {{"t_s", &columns->t, false},
                  {"monotonic_ns", &columns->ns, false},
                  {"ok", &columns->ok, false},
                  {"failed", &columns->failed, false},
                  {"p50_ms", &columns->p50, false},
                  {"max_ms", &columns->max, false},
                  {"writes_ok", &columns->writes_ok, true},
                  {"writes_failed", &columns->writes_failed, true}};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        size_t at = 0;
        while (at < n && strcmp(fields[at], wanted[i].name))
            at++;
        if (at == n && !wanted[i].optional)
            return err_set(err, -EINVAL, "no column '%s'", wanted[i].name);
        *wanted[i].into = at < n ? at : MAX_COLUMNS;
    }
    return 0;
}

static bool field_number(const char *text, uint64_t *ret_value)
{
    char *end;
    errno = 0;
    *ret_value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno;
}

/* Room for so many buckets, the new ones empty. */
static void grow_buckets(struct course *course, size_t n_buckets)
{
    double **const counts[] = {&course->ok, &course->failed, &course->writes_ok,
                               &course->writes_failed};
    double **const latencies[] = {&course->p50_ms, &course->max_ms};
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        *counts[c] = mem_realloc(*counts[c], n_buckets, sizeof(double));
        for (size_t i = course->n_buckets; i < n_buckets; i++)
            (*counts[c])[i] = 0;
    }
    for (size_t l = 0; l < sizeof(latencies) / sizeof(latencies[0]); l++) {
        *latencies[l] = mem_realloc(*latencies[l], n_buckets, sizeof(double));
        for (size_t i = course->n_buckets; i < n_buckets; i++)
            (*latencies[l])[i] = NAN;
    }
    course->n_buckets = n_buckets;
}

/* 0 where there is no such column. */
static bool writes_of(char *const *fields, size_t n, size_t column, uint64_t *ret_n)
{
    *ret_n = 0;
    return column == MAX_COLUMNS || (column < n && field_number(fields[column], ret_n));
}

static int add_bucket(struct course *course, char *const *fields, size_t n,
                      const struct columns *columns, struct err *err)
{
    uint64_t ns, ok, failed, writes_ok, writes_failed;
    if (n <= columns->t || n <= columns->ns || n <= columns->ok || n <= columns->failed ||
        n <= columns->p50 || n <= columns->max || !field_number(fields[columns->ns], &ns) ||
        !field_number(fields[columns->ok], &ok) ||
        !field_number(fields[columns->failed], &failed) ||
        !writes_of(fields, n, columns->writes_ok, &writes_ok) ||
        !writes_of(fields, n, columns->writes_failed, &writes_failed))
        return err_set(err, -EINVAL, "not a row of numbers");
    if (!course->n_buckets) {
        double t = strtod(fields[columns->t], NULL);
        if (!(t > -3600 && t < 3600))
            return err_set(err, -EINVAL, "the load cannot have begun %s s before",
                           fields[columns->t]);
        course->begin_ns = ns;
        course->started_ns = (uint64_t)((int64_t)ns - (int64_t)(t * (double)NS_PER_S));
    }
    /* A bucket in which nothing ended may have no row. */
    const uint64_t bucket_ns = COURSE_BUCKET_MS * NS_PER_MS;
    uint64_t index =
        ns < course->begin_ns ? 0 : (ns - course->begin_ns + bucket_ns / 2) / bucket_ns;
    if (ns < course->begin_ns || index >= COURSE_MAX_BUCKETS || index + 1 < course->n_buckets)
        return err_set(err, -EINVAL, "a time that is out of order or too far off");
    if (index >= course->n_buckets)
        grow_buckets(course, (size_t)index + 1);
    course->ok[index] += (double)ok;
    course->failed[index] += (double)failed;
    course->writes_ok[index] += (double)writes_ok;
    course->writes_failed[index] += (double)writes_failed;
    course->has_writes = columns->writes_ok < MAX_COLUMNS && columns->writes_failed < MAX_COLUMNS;
    if (ok) {
        course->p50_ms[index] = strtod(fields[columns->p50], NULL);
        course->max_ms[index] = fmax(strtod(fields[columns->max], NULL), course->max_ms[index]);
    }
    return 0;
}

/* Which requests failed between an event and the next. */
static void count_failed(struct course *course)
{
    for (size_t i = 0; i < course->n_events; i++)
        course->events[i].n_failed = course->events[i].n_failed_writes = 0;
    for (size_t b = 0; b < course->n_buckets; b++) {
        uint64_t end_ns = course->begin_ns + (b + 1) * COURSE_BUCKET_MS * NS_PER_MS;
        size_t i = course->n_events;
        while (i > 0 && course->events[i - 1].monotonic_ns >= end_ns)
            i--;
        if (i > 0) {
            course->events[i - 1].n_failed += course->failed[b];
            course->events[i - 1].n_failed_writes += course->writes_failed[b];
        }
    }
}

int course_parse_buckets(struct course *course, const char *text, size_t n, struct err *err)
{
    struct columns columns = {0};
    char *copy = mem_strndup(text, n);
    int status = 0, n_line = 0;
    bool heading = true;
    for (char *line = copy, *next; line && *line && !status; line = next) {
        char *fields[MAX_COLUMNS];
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        n_line++;
        if (*line == '#' || !*line)
            continue;
        size_t n_fields = cut_fields(line, fields);
        status = heading ? find_columns(fields, n_fields, &columns, err)
                         : add_bucket(course, fields, n_fields, &columns, err);
        heading = false;
        if (status < 0)
            err_prefix(err, "line %d", n_line);
    }
    if (!status && course->n_buckets < 2)
        status = err_set(err, -EINVAL, "there are fewer than two buckets");
    free(copy);
    count_failed(course);
    return status < 0 ? err_prefix(err, "the timeline of quoit load") : 0;
}
