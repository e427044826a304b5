#include "experiments/ask.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/mem.h"

static size_t on_bytes(char *bytes, size_t size, size_t n, void *context)
{
    /* Another count than was given fails the call. */
    return buf_append(context, bytes, size * n) == 0 ? size * n : 0;
}

void asker_init(struct asker *asker)
{
    CURL *curl = curl_easy_init();
    assert(curl); /* only without memory */
    asker->curl = curl;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ASK_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
}

void asker_done(struct asker *asker)
{
    curl_easy_cleanup(asker->curl);
    asker->curl = NULL;
}

int asker_ask(struct asker *asker, const char *method, const char *address, const char *path,
              const char *body, long *ret_status, struct buf *ret_body, struct err *err)
{
    char *url = mem_printf("http://%s%s", address, path);
    buf_clear(ret_body);
    curl_easy_setopt(asker->curl, CURLOPT_URL, url);
    curl_easy_setopt(asker->curl, CURLOPT_WRITEDATA, ret_body);
    if (body)
        curl_easy_setopt(asker->curl, CURLOPT_COPYPOSTFIELDS, body);
    else
        curl_easy_setopt(asker->curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(asker->curl, CURLOPT_CUSTOMREQUEST, method);
    CURLcode code = curl_easy_perform(asker->curl);
    free(url);
    if (code != CURLE_OK)
        return err_set(err, code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO, "%s %s of %s: %s",
                       method, path, address, curl_easy_strerror(code));
    curl_easy_getinfo(asker->curl, CURLINFO_RESPONSE_CODE, ret_status);
    return 0;
}

cJSON *asker_ask_json(struct asker *asker, const char *method, const char *address,
                      const char *path, const char *body, struct err *err)
{
    struct buf text;
    long status = 0;
    cJSON *tree = NULL;
    buf_init(&text, ASK_MAX_BYTES);
    if (asker_ask(asker, method, address, path, body, &status, &text, err) == 0) {
        tree = json_parse(buf_head(&text), buf_len(&text), err);
        if (!tree || status != 200) {
            const char *message = tree ? json_get_string(tree, "message") : NULL;
            err_set(err, -EPROTO, "%s %s of %s was answered with %ld%s%s", method, path, address,
                    status, message ? ": " : "", message ? message : "");
            cJSON_Delete(tree);
            tree = NULL;
        }
    }
    buf_done(&text);
    return tree;
}
