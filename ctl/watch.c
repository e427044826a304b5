/* watch: a table that is drawn again and again, in place on a terminal. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/json.h"
#include "ctl/ctl.h"
#include "ctl/rates.h"
#include "ctl/table.h"
#include "ctl/words.h"

/* Cursor hidden and long lines cut, and back. */
#define TERMINAL_BEGIN "\033[?25l\033[?7l"
#define TERMINAL_END "\033[?7h\033[?25h"

struct watch {
    struct ctl *ctl;
    bool in_place, keys; /* keys: a key ends it */
    struct termios saved;
    unsigned n_drawn; /* lines to go back over */
    struct glance before;
    bool has_before;
};

/* ---- the terminal -----------------------------------------------------------------------------
 */

static void terminal_begin(struct watch *watch)
{
    struct termios raw;
    watch->in_place = watch->ctl->style.is_terminal && !watch->ctl->json;
    if (!watch->in_place)
        return;
    fputs(TERMINAL_BEGIN, stdout);
    fflush(stdout);
    /* From the background nothing is read, and setting the terminal would stop us. */
    if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
        tcgetattr(STDIN_FILENO, &watch->saved) != 0)
        return;
    raw = watch->saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* signals stay */
    watch->keys = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void terminal_end(struct watch *watch)
{
    if (watch->keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &watch->saved);
    if (watch->in_place)
        fputs(TERMINAL_END, stdout);
    fflush(stdout);
}

/* Until the time has come: 0; a key asked for the end: 1; a signal: -EINTR. */
static int wait_until(const struct watch *watch, uint64_t until_ns)
{
    for (;;) {
        uint64_t now_ns = clock_now_ns();
        struct pollfd key = {.fd = watch->keys ? STDIN_FILENO : -1, .events = POLLIN};
        char byte = 0;
        if (ctl_interrupted())
            return -EINTR;
        if (now_ns >= until_ns)
            return 0;
        /* An hour at most, so that the milliseconds fit; then round again. */
        uint64_t ms = (until_ns - now_ns) / NS_PER_MS + 1;
        if (poll(&key, 1, ms < 3600000 ? (int)ms : 3600000) <= 0)
            continue;
        if (read(STDIN_FILENO, &byte, 1) != 1 || byte == 'q' || byte == 'Q' || byte == 4)
            return 1;
    }
}

/* Shows text in the place of what was shown before, as far as the terminal is high. */
static void show(struct watch *watch, struct buf *text)
{
    struct buf out;
    unsigned n = 0, most = UINT32_MAX;
    buf_init(&out, 0);
    if (watch->in_place) {
        style_init(&watch->ctl->style, stdout); /* it may have another size now */
        most = watch->ctl->style.rows > 2 ? watch->ctl->style.rows - 1 : 1;
        if (watch->n_drawn > most)
            watch->n_drawn = most;
        if (watch->n_drawn > 0)
            buf_appendf(&out, "\033[%uA", watch->n_drawn);
        buf_append_str(&out, "\r\033[J");
    }
    const char *line = buf_str(text);
    while (*line && n < most) {
        size_t n_bytes = strcspn(line, "\n") + 1;
        buf_append(&out, line, n_bytes);
        line += n_bytes;
        n++;
    }
    watch->n_drawn = n;
    ctl_print(&out);
    fflush(stdout);
    buf_done(&out);
}

/* ---- what is shown ----------------------------------------------------------------------------
 */

static const char *latency_text(double s, char *text)
{
    if (isnan(s))
        return "";
    return words_latency((uint64_t)(s * (double)NS_PER_S), text);
}

static void add_latencies(struct table *table, const struct quantiles *latency)
{
    char text[WORDS_BYTES];
    table_add(table, STYLE_PLAIN, "%s", latency_text(latency->p50_s, text));
    table_add(table, STYLE_PLAIN, "%s", latency_text(latency->p99_s, text));
}

static void print_table(const struct style *style, const struct rates *rates, struct buf *out)
{
    static const char *const heads[] = {"SERVER", "STATE", ">REQ/S", ">SHARE",
                                        ">P50",   ">P99",  ">FAIL/S"};
    struct table table;
    char text[WORDS_BYTES];
    table_init(&table, heads, sizeof(heads) / sizeof(heads[0]));
    for (size_t i = 0; i < rates->n_servers; i++) {
        const struct server_rates *row = &rates->servers[i];
        table_add(&table, STYLE_PLAIN, "%s", row->server->name);
        table_add(&table, row->server->serving ? STYLE_GREEN : STYLE_YELLOW, "%s",
                  row->server->state);
        table_add(&table, STYLE_PLAIN, "%.0f", row->requests);
        table_add(&table, STYLE_PLAIN, "%s", words_share(row->share, text));
        add_latencies(&table, &row->latency);
        table_add(&table, row->failures > 0 ? STYLE_RED : STYLE_PLAIN, "%.0f", ceil(row->failures));
    }
    table_add(&table, STYLE_BOLD, "all");
    table_add(&table, STYLE_PLAIN, "%s", "");
    table_add(&table, STYLE_BOLD, "%.0f", rates->requests);
    table_add(&table, STYLE_PLAIN, "%s", "");
    add_latencies(&table, &rates->latency);
    table_add(&table, rates->failures > 0 ? STYLE_RED : STYLE_PLAIN, "%.0f", ceil(rates->failures));
    table_print(&table, style, out);
    table_done(&table);
}

static void print_rate(const struct style *style, const char *what, double rate, struct buf *out)
{
    bool bad = rate > 0;
    buf_appendf(out, "%s%s %.0f/s%s", style_begin(style, bad ? STYLE_RED : STYLE_PLAIN), what,
                ceil(rate), style_end(style));
}

static void print_people(const struct watch *watch, const struct glance *now,
                         const struct rates *rates, struct buf *out)
{
    const struct style *style = &watch->ctl->style;
    const struct cluster *cluster = &now->cluster;
    char iso[CLOCK_ISO_BYTES], text[WORDS_BYTES];
    clock_format_iso(clock_wall_ns(), iso);
    buf_appendf(out, "%s  %s: %s%" PRIu64 " of %" PRIu64 " servers serve%s, %s\n\n",
                words_time(iso, clock_wall_ns(), text), watch->ctl->caller.address,
                style_begin(style, cluster->n == cluster->target ? STYLE_GREEN : STYLE_RED),
                cluster->n, cluster->target, style_end(style), cluster->placement);
    print_table(style, rates, out);
    buf_append_str(out, "\n");
    print_rate(style, "retries", rates->retries, out);
    buf_append_str(out, "   ");
    print_rate(style, "answers 4xx", rates->answers_4xx, out);
    buf_append_str(out, "   ");
    print_rate(style, "5xx", rates->answers_5xx, out);
    buf_append_str(out, watch->keys ? "   (q ends)\n" : "\n");
    if (!watch->in_place)
        buf_append_str(out, "\n");
}

static void add_json_latency(cJSON *object, const struct quantiles *latency)
{
    json_add_double(object, "p50_ms", latency->p50_s * 1e3); /* NaN becomes null */
    json_add_double(object, "p99_ms", latency->p99_s * 1e3);
}

/* One line: a stream of objects. */
static void print_json(const struct glance *now, const struct rates *rates, struct buf *out)
{
    char iso[CLOCK_ISO_BYTES];
    cJSON *tree = cJSON_CreateObject();
    clock_format_iso(clock_wall_ns(), iso);
    cJSON_AddStringToObject(tree, "at", iso);
    json_add_double(tree, "interval_s", rates->interval_s);
    json_add_uint64(tree, "N", now->cluster.n);
    json_add_uint64(tree, "target", now->cluster.target);
    json_add_double(tree, "requests_per_s", rates->requests);
    json_add_double(tree, "retries_per_s", rates->retries);
    json_add_double(tree, "failures_per_s", rates->failures);
    json_add_double(tree, "answers_4xx_per_s", rates->answers_4xx);
    json_add_double(tree, "answers_5xx_per_s", rates->answers_5xx);
    add_json_latency(tree, &rates->latency);
    cJSON *servers = cJSON_AddArrayToObject(tree, "servers");
    for (size_t i = 0; i < rates->n_servers; i++) {
        const struct server_rates *row = &rates->servers[i];
        cJSON *server = cJSON_CreateObject();
        cJSON_AddStringToObject(server, "name", row->server->name);
        json_add_uint64(server, "id", row->server->id);
        cJSON_AddStringToObject(server, "state", row->server->state);
        json_add_double(server, "requests_per_s", row->requests);
        json_add_double(server, "share", row->share);
        json_add_double(server, "failures_per_s", row->failures);
        add_json_latency(server, &row->latency);
        cJSON_AddItemToArray(servers, server);
    }
    json_print(out, tree, false);
    buf_append_str(out, "\n");
    cJSON_Delete(tree);
}

/* ---- rounds -----------------------------------------------------------------------------------
 */

/* One look, shown against the one before it. An LB that does not answer is shown as such: it may
 * come back. -EINTR is not shown. */
static int look(struct watch *watch, struct err *err)
{
    struct glance now;
    struct buf out;
    int rc = glance_take(&watch->ctl->caller, &now, err);
    if (rc == -EINTR)
        return rc;
    buf_init(&out, 0);
    if (rc == 0 && watch->has_before) {
        struct rates rates;
        rates_make(&watch->before, &now, &rates);
        if (watch->ctl->json)
            print_json(&now, &rates, &out);
        else
            print_people(watch, &now, &rates, &out);
        rates_done(&rates);
    } else if (rc != 0 && watch->in_place) {
        buf_appendf(&out, "%s%s%s\n", style_begin(&watch->ctl->style, STYLE_RED), err->message,
                    style_end(&watch->ctl->style));
    } else if (rc != 0) {
        fprintf(stderr, "quoit ctl: %s\n", err->message);
    }
    if (buf_len(&out) > 0)
        show(watch, &out);
    glance_done(&watch->before);
    watch->has_before = rc == 0;
    if (rc == 0)
        watch->before = now;
    buf_done(&out);
    return rc;
}

int ctl_watch(struct ctl *ctl, uint64_t interval_ns, uint64_t n_rounds, struct err *err)
{
    struct watch watch = {.ctl = ctl};
    uint64_t next_ns = clock_now_ns();
    int rc = glance_take(&ctl->caller, &watch.before, err);
    if (rc != 0)
        return rc;
    watch.has_before = true;
    terminal_begin(&watch);
    for (uint64_t round = 0; n_rounds == 0 || round < n_rounds; round++) {
        next_ns += interval_ns;
        if (next_ns < clock_now_ns()) /* it takes longer than the interval: no burst to catch up */
            next_ns = clock_now_ns();
        rc = wait_until(&watch, next_ns);
        if (rc != 0)
            break;
        rc = look(&watch, err);
        if (rc == -EINTR)
            break;
    }
    terminal_end(&watch);
    glance_done(&watch.before);
    if (rc == -EINTR)
        return err_set(err, rc, "interrupted");
    return rc > 0 ? 0 : rc;
}
