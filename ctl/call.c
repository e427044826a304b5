#include "ctl/call.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"

#define REFUSAL_PREFIX "<Error> "

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    const struct caller *caller = context;
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return caller->interrupted && *caller->interrupted;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *context)
{
    /* Another count than was given fails the call. */
    return buf_append(context, bytes, size * n) == 0 ? size * n : 0;
}

void caller_init(struct caller *caller, const struct addr *lb, uint64_t timeout_ns,
                 const volatile sig_atomic_t *interrupted)
{
    CURL *curl = curl_easy_init();
    assert(curl); /* only without memory */
    *caller = (struct caller){.curl = curl, .timeout_ns = timeout_ns, .interrupted = interrupted};
    addr_format(lb, caller->address);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
}

void caller_done(struct caller *caller)
{
    curl_easy_cleanup(caller->curl);
    caller->curl = NULL;
}

static int explain(const struct caller *caller, CURLcode code, uint64_t timeout_ns, struct err *err)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return err_set(err, -ECONNREFUSED,
                       "nothing listens at %s; is `quoit lb` running? (--lb HOST:PORT names "
                       "another address)",
                       caller->address);
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, -ETIMEDOUT, "%s did not answer within %.3g s (--timeout sets how long)",
                       caller->address, (double)timeout_ns / (double)NS_PER_S);
    case CURLE_ABORTED_BY_CALLBACK:
        return err_set(err, -EINTR, "interrupted");
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: what came did not begin with a status line */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_GOT_NOTHING:
        return err_set(err, -EPROTO,
                       "something listens at %s, but it does not answer in HTTP: no quoit load "
                       "balancer",
                       caller->address);
    case CURLE_WRITE_ERROR:
        return err_set(err, -EIO, "the answer of %s is larger than %u MiB", caller->address,
                       CALL_MAX_ANSWER_BYTES >> 20);
    default:
        return err_set(err, -EIO, "asking %s failed: %s", caller->address,
                       curl_easy_strerror(code));
    }
}

int caller_ask(struct caller *caller, const char *method, const char *path, const char *body,
               long *ret_status, struct buf *ret_body, struct err *err)
{
    char url[ADDR_TEXT_BYTES + 64];
    struct curl_slist *headers = NULL;
    uint64_t timeout_ns = caller->timeout_ns;
    if (timeout_ns == 0)
        timeout_ns = strcmp(method, "GET") == 0 ? CALL_READ_TIMEOUT_NS : CALL_CHANGE_TIMEOUT_NS;
    snprintf(url, sizeof(url), "http://%s%s", caller->address, path);
    curl_easy_setopt(caller->curl, CURLOPT_URL, url);
    curl_easy_setopt(caller->curl, CURLOPT_TIMEOUT_MS, (long)(timeout_ns / NS_PER_MS) + 1);
    curl_easy_setopt(caller->curl, CURLOPT_XFERINFODATA, caller);
    curl_easy_setopt(caller->curl, CURLOPT_WRITEDATA, ret_body);
    if (body) {
        headers = curl_slist_append(NULL, "Content-Type: application/json");
        curl_easy_setopt(caller->curl, CURLOPT_COPYPOSTFIELDS, body);
    } else {
        curl_easy_setopt(caller->curl, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(caller->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(caller->curl, CURLOPT_CUSTOMREQUEST, method);
    CURLcode code = curl_easy_perform(caller->curl);
    curl_easy_setopt(caller->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return explain(caller, code, timeout_ns, err);
    curl_easy_getinfo(caller->curl, CURLINFO_RESPONSE_CODE, ret_status);
    return 0;
}

const char *caller_refusal(const cJSON *tree)
{
    const char *message = json_get_string(tree, "message");
    const char *status = json_get_string(tree, "status");
    if (!message || !status || strcmp(status, "failure") != 0)
        return NULL;
    size_t n = strlen(REFUSAL_PREFIX);
    return strncmp(message, REFUSAL_PREFIX, n) == 0 ? message + n : message;
}

int caller_ask_json(struct caller *caller, const char *method, const char *path, const char *body,
                    cJSON **ret_tree, struct err *err)
{
    struct buf text;
    long status = 0;
    buf_init(&text, CALL_MAX_ANSWER_BYTES);
    int rc = caller_ask(caller, method, path, body, &status, &text, err);
    cJSON *tree = rc == 0 ? json_parse(buf_head(&text), buf_len(&text), NULL) : NULL;
    const char *refusal = tree ? caller_refusal(tree) : NULL;
    if (rc == 0 && status == 200 && tree) {
        *ret_tree = tree;
        tree = NULL;
    } else if (rc == 0 && refusal && status != 404 && status != 405) {
        rc = err_set(err, -EREMOTEIO, "the load balancer at %s refuses: %s", caller->address,
                     refusal);
    } else if (rc == 0) {
        rc = err_set(err, -EPROTO,
                     "%s answers, but it is no quoit load balancer (%s %s: status %ld)",
                     caller->address, method, path, status);
    }
    cJSON_Delete(tree);
    buf_done(&text);
    return rc;
}
