#include "experiments/endpoints.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "experiments/ask.h"
#include "experiments/child.h"
#include "experiments/endpoints_calls.h"
#include "experiments/outcome.h"

#define NUMBER '#'
#define ANYTHING ENDPOINT_ANYTHING
/* Of an answer, in the result: /metrics and /cluster are long. */
#define SHOWN_BYTES 240
/* Of a text in a cell of the table. */
#define CELL_BYTES 110
#define WEB_SERVERS 3
#define DB_SERVERS 2

bool endpoints_match(const char *pattern, const char *text)
{
    size_t n = strlen(ANYTHING);
    for (;;) {
        if (!strncmp(pattern, ANYTHING, n)) {
            for (pattern += n;; text++) {
                if (endpoints_match(pattern, text))
                    return true;
                if (!*text)
                    return false;
            }
        }
        if (*pattern == NUMBER) {
            if (!isdigit((unsigned char)*text))
                return !strncmp(text, "#", 1) && endpoints_match(pattern + 1, text + 1);
            while (isdigit((unsigned char)*text))
                text++;
            pattern++;
            continue;
        }
        if (*pattern != *text)
            return false;
        if (!*pattern)
            return true;
        pattern++;
        text++;
    }
}

/* The address of the server, which serves; without a name of any. */
static int find_server(struct asker *asker, const char *lb, const char *name, char *address,
                       struct err *err)
{
    cJSON *cluster = asker_ask_json(asker, "GET", lb, "/cluster", NULL, err);
    if (!cluster)
        return -EPROTO;
    const char *text = NULL;
    const cJSON *server;
    cJSON_ArrayForEach (server, json_get(cluster, "servers")) {
        if (!strcmp(outcome_text(server, "state"), "serving") &&
            (!*name || !strcmp(outcome_text(server, "name"), name)))
            text = json_get_string(server, "address");
    }
    int status = text ? 0
                      : err_set(err, -EPROTO, "GET /cluster tells no address of a server%s%s",
                                *name ? " " : "", name);
    if (text)
        snprintf(address, ADDR_TEXT_BYTES, "%s", text);
    cJSON_Delete(cluster);
    return status;
}

/* The first bytes of an answer in one line, whole characters only. */
static void append_shown(struct buf *out, const char *text)
{
    size_t n = strlen(text);
    bool cut = n > SHOWN_BYTES;
    if (cut)
        for (n = SHOWN_BYTES; n && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
            ;
    for (size_t i = 0; i < n; i++)
        buf_append(out, (unsigned char)text[i] < ' ' ? " " : &text[i], 1);
    if (cut)
        buf_append_str(out, ANYTHING);
}

static int ask_one(struct asker *asker, const struct endpoint_call *call, const char *address,
                   cJSON *answers, struct err *err)
{
    struct buf body, text;
    long status = 0;
    buf_init(&body, ASK_MAX_BYTES);
    int code = asker_ask(asker, call->method, address, call->path, call->body, &status, &body, err);
    if (code >= 0) {
        cJSON *tree = cJSON_CreateObject();
        cJSON_AddItemToArray(answers, tree);
        cJSON_AddStringToObject(tree, "to", call->server ? "server" : "load balancer");
        buf_init(&text, 0);
        buf_appendf(&text, "%s %s%s%s", call->method, call->path, call->body ? " " : "",
                    call->body ? call->body : "");
        cJSON_AddStringToObject(tree, "request", buf_str(&text));
        json_add_double(tree, "status", (double)status);
        buf_clear(&text);
        append_shown(&text, buf_str(&body));
        cJSON_AddStringToObject(tree, "answer", buf_str(&text));
        buf_clear(&text);
        buf_appendf(&text, "%ld %s", call->status, call->answer);
        cJSON_AddStringToObject(tree, "expected", buf_str(&text));
        cJSON_AddBoolToObject(
            tree, "good", status == call->status && endpoints_match(call->answer, buf_str(&body)));
        buf_done(&text);
    }
    buf_done(&body);
    return code;
}

/* Asks one after the other; what was said goes to the answers. 0 or a negative errno. */
static int ask_all(const struct endpoint_list *list, const char *lb, cJSON *answers,
                   struct err *err)
{
    struct asker asker;
    int status = 0;
    asker_init(&asker);
    for (size_t i = 0; i < list->n_calls && status >= 0; i++) {
        const struct endpoint_call *call = &list->calls[i];
        char server[ADDR_TEXT_BYTES];
        if (call->server)
            status = find_server(&asker, lb, call->server, server, err);
        if (status >= 0)
            status = ask_one(&asker, call, call->server ? server : lb, answers, err);
        if (interrupt_came())
            status = -EINTR;
    }
    asker_done(&asker);
    return status < 0 ? status : 0;
}

int endpoints_ask(const struct sample_config *config, cJSON **ret_answers, struct err *err)
{
    struct testbed testbed;
    struct experiment_cluster cluster = config->settings->cluster;
    const struct endpoint_list *list = cluster.shards ? &endpoints_db : &endpoints_web;
    cluster.servers = cluster.shards ? DB_SERVERS : WEB_SERVERS; /* as the lists have it */
    const struct testbed_config testbed_config = {.program = config->program,
                                                  .dir = config->dir,
                                                  .settings = &cluster,
                                                  .seed = config->seed,
                                                  .bare = true};
    int status = testbed_start(&testbed, &testbed_config, err);
    if (status < 0)
        return status;
    cJSON *answers = cJSON_CreateArray();
    status = ask_all(list, testbed.address, answers, err);
    int stopped = testbed_stop(&testbed, status < 0 ? NULL : err);
    if (status >= 0)
        status = stopped;
    if (status < 0)
        cJSON_Delete(answers);
    else
        *ret_answers = answers;
    return status;
}

void endpoints_judge(const cJSON *answers, cJSON *reasons)
{
    const cJSON *answer;
    cJSON_ArrayForEach (answer, answers) {
        struct buf text;
        if (cJSON_IsTrue(json_get(answer, "good")))
            continue;
        buf_init(&text, 0);
        buf_appendf(&text, "%s: the %s answered %.0f %s, not %s", outcome_text(answer, "request"),
                    outcome_text(answer, "to"), outcome_number(answer, "status"),
                    outcome_text(answer, "answer"), outcome_text(answer, "expected"));
        cJSON_AddItemToArray(reasons, cJSON_CreateString(buf_str(&text)));
        buf_done(&text);
    }
}

/* The first byte of a character, at or before text[at]. */
static size_t character_at(const char *text, size_t at)
{
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    return at;
}

/* At most CELL_BYTES of a text, of which the last tail_bytes are its end. */
static void add_cut(struct grid *grid, const char *text, size_t tail_bytes, const char *after)
{
    size_t n = strlen(text);
    if (n <= CELL_BYTES) {
        grid_add(grid, "%s%s", text, after);
        return;
    }
    int head = (int)character_at(text, CELL_BYTES - tail_bytes);
    grid_add(grid, "%.*s%s%s%s", head, text, ANYTHING, text + character_at(text, n - tail_bytes),
             after);
}

void endpoints_make_table(const cJSON *answers, struct grid *grid)
{
    const cJSON *answer;
    grid_add_column(grid, "request", false);
    grid_add_column(grid, "status", true);
    grid_add_column(grid, "answer", false);
    grid_add_column(grid, "as in CONTRACT.md", false);
    cJSON_ArrayForEach (answer, answers) {
        bool server = !strcmp(outcome_text(answer, "to"), "server");
        const char *text = outcome_text(answer, "answer");
        /* What sets an /init apart is at its end. */
        add_cut(grid, outcome_text(answer, "request"), CELL_BYTES / 2,
                server ? " (a server’s own)" : "");
        grid_add(grid, "%.0f", outcome_number(answer, "status"));
        add_cut(grid, *text ? text : "(empty)", 0, "");
        grid_add(grid, "%s", cJSON_IsTrue(json_get(answer, "good")) ? "yes" : "NO");
    }
}
