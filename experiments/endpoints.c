#include "experiments/endpoints.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "experiments/ask.h"
#include "experiments/child.h"
#include "experiments/outcome.h"

#define NUMBER '#'
#define ANYTHING "…"
/* Of an answer, in the result: /metrics and /cluster are long. */
#define SHOWN_BYTES 240

struct endpoint_call {
    bool server; /* asks a server itself, not the load balancer */
    const char *method, *path, *body;
    long status;
    const char *answer;
};

#define REP(n, names)                                                                              \
    "{\"message\":{\"N\":" n ",\"replicas\":[" names "]},\"status\":\"successful\"}"
#define REFUSAL(text) "{\"message\":\"<Error> " text "\",\"status\":\"failure\"}"
#define THREE "\"Server1\",\"Server2\",\"Server3\""

/* CONTRACT.md, Part 1, and what goes beyond the assignment. In this order: each finds the cluster
 * as those before left it. */
static const struct endpoint_call calls[] = {
    {false, "GET", "/rep", NULL, 200, REP("3", THREE)},
    {false, "GET", "/home", NULL, 200,
     "{\"message\":\"Hello from Server: #\",\"status\":\"successful\"}"},
    {false, "POST", "/add", "{\"n\":3,\"hostnames\":[\"S5\",\"S4\"]}", 200,
     REP("6", THREE ",\"S5\",\"S4\",\"Server#\"")},
    {false, "POST", "/add", "{\"n\":1,\"hostnames\":[\"S6\",\"S7\"]}", 400,
     REFUSAL("Length of hostname list is more than newly added instances")},
    {false, "DELETE", "/rm", "{\"n\":1,\"hostnames\":[\"S5\"]}", 200,
     REP("5", THREE ",\"S4\",\"Server#\"")},
    {false, "DELETE", "/rm", "{\"n\":2,\"hostnames\":[\"S4\"]}", 200,
     REP("3", "\"…\",\"…\",\"…\"")},
    {false, "DELETE", "/rm", "{\"n\":1,\"hostnames\":[\"Server1\",\"Server2\"]}", 400,
     REFUSAL("Length of hostname list is more than removable instances")},
    {false, "GET", "/other", NULL, 400,
     REFUSAL("'/other' endpoint does not exist in server replicas")},
    {false, "GET", "/healthz", NULL, 200, ANYTHING},
    {false, "GET", "/cluster", NULL, 200, "{\"…\"servers\":[…]…}"},
    {false, "GET", "/metrics", NULL, 200, "…\nquoit_lb_requests_total…"},
    {true, "GET", "/home", NULL, 200,
     "{\"message\":\"Hello from Server: #\",\"status\":\"successful\"}"},
    {true, "GET", "/heartbeat", NULL, 200, ""},
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

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

/* The address of a server that serves. */
static int find_server(struct asker *asker, const char *lb, char *address, struct err *err)
{
    cJSON *cluster = asker_ask_json(asker, "GET", lb, "/cluster", NULL, err);
    if (!cluster)
        return -EPROTO;
    const char *text = NULL;
    const cJSON *server;
    cJSON_ArrayForEach (server, json_get(cluster, "servers")) {
        if (!strcmp(outcome_text(server, "state"), "serving"))
            text = json_get_string(server, "address");
    }
    int status = text ? 0 : err_set(err, -EPROTO, "GET /cluster tells no address of a server");
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

int endpoints_ask(const struct sample_config *config, cJSON **ret_answers, struct err *err)
{
    struct testbed testbed;
    struct asker asker;
    char server[ADDR_TEXT_BYTES];
    struct experiment_cluster cluster = config->settings->cluster;
    cluster.servers = 3; /* as the answers above have it */
    const struct testbed_config testbed_config = {
        .program = config->program, .dir = config->dir, .settings = &cluster, .seed = config->seed};
    int status = testbed_start(&testbed, &testbed_config, err);
    if (status < 0)
        return status;
    asker_init(&asker);
    cJSON *answers = cJSON_CreateArray();
    status = find_server(&asker, testbed.address, server, err);
    for (size_t i = 0; i < N_CALLS && status >= 0; i++) {
        if (calls[i].server)
            status = find_server(&asker, testbed.address, server, err);
        if (status >= 0)
            status = ask_one(&asker, &calls[i], calls[i].server ? server : testbed.address, answers,
                             err);
        if (interrupt_came())
            status = -EINTR;
    }
    asker_done(&asker);
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
        char shown[120];
        int n = (int)strlen(text);
        if (n > 110)
            for (n = 110; n && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
                ;
        snprintf(shown, sizeof(shown), "%.*s%s", n, text, text[n] ? ANYTHING : "");
        grid_add(grid, "%s%s", outcome_text(answer, "request"), server ? " (a server’s own)" : "");
        grid_add(grid, "%.0f", outcome_number(answer, "status"));
        grid_add(grid, "%s", *shown ? shown : "(empty)");
        grid_add(grid, "%s", cJSON_IsTrue(json_get(answer, "good")) ? "yes" : "NO");
    }
}
