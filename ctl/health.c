#include <errno.h>
#include <stdio.h>

#include "core/json.h"
#include "ctl/ctl.h"

int ctl_health(struct ctl *ctl, bool verbose, struct err *err)
{
    struct buf text;
    long status = 0;
    buf_init(&text, CALL_MAX_ANSWER_BYTES);
    int rc = caller_ask(&ctl->caller, "GET", "/healthz", NULL, &status, &text, err);
    cJSON *tree = rc == 0 ? json_parse(buf_head(&text), buf_len(&text), NULL) : NULL;
    const char *message =
        caller_refusal(tree) ? caller_refusal(tree) : json_get_string(tree, "message");
    if (rc == 0 && status != 200)
        rc = err_set(err, -EREMOTEIO, "%s is not healthy: %s (status %ld)", ctl->caller.address,
                     message ? message : "no reason given", status);
    if (ctl->json && rc != -EINTR) {
        cJSON *said = cJSON_CreateObject();
        cJSON_AddStringToObject(said, "lb", ctl->caller.address);
        cJSON_AddBoolToObject(said, "healthy", rc == 0);
        if (status != 0)
            json_add_int64(said, "status", status);
        else
            cJSON_AddNullToObject(said, "status"); /* nobody answered */
        cJSON_AddStringToObject(said, "message",
                                status == 0 && err ? err->message
                                : message          ? message
                                                   : "");
        ctl_print_json(said);
    } else if (verbose && rc == 0) {
        printf("%s is healthy: %s\n", ctl->caller.address, message ? message : "");
    }
    cJSON_Delete(tree);
    buf_done(&text);
    return rc;
}
