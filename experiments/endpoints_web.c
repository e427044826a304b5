#include "experiments/endpoints_calls.h"

#define REP(n, names)                                                                              \
    "{\"message\":{\"N\":" n ",\"replicas\":[" names "]},\"status\":\"successful\"}"
#define REFUSAL ENDPOINT_REFUSAL
#define THREE "\"Server1\",\"Server2\",\"Server3\""

static const struct endpoint_call calls[] = {
    {NULL, "GET", "/rep", NULL, 200, REP("3", THREE)},
    {NULL, "GET", "/home", NULL, 200,
     "{\"message\":\"Hello from Server: #\",\"status\":\"successful\"}"},
    {NULL, "POST", "/add", "{\"n\":3,\"hostnames\":[\"S5\",\"S4\"]}", 200,
     REP("6", THREE ",\"S5\",\"S4\",\"Server#\"")},
    {NULL, "POST", "/add", "{\"n\":1,\"hostnames\":[\"S6\",\"S7\"]}", 400,
     REFUSAL("Length of hostname list is more than newly added instances")},
    {NULL, "DELETE", "/rm", "{\"n\":1,\"hostnames\":[\"S5\"]}", 200,
     REP("5", THREE ",\"S4\",\"Server#\"")},
    {NULL, "DELETE", "/rm", "{\"n\":2,\"hostnames\":[\"S4\"]}", 200, REP("3", "\"…\",\"…\",\"…\"")},
    {NULL, "DELETE", "/rm", "{\"n\":1,\"hostnames\":[\"Server1\",\"Server2\"]}", 400,
     REFUSAL("Length of hostname list is more than removable instances")},
    {NULL, "GET", "/other", NULL, 400,
     REFUSAL("'/other' endpoint does not exist in server replicas")},
    {NULL, "GET", "/healthz", NULL, 200, ENDPOINT_ANYTHING},
    {NULL, "GET", "/cluster", NULL, 200, "{\"…\"servers\":[…]…}"},
    {NULL, "GET", "/metrics", NULL, 200, "…\nquoit_lb_requests_total…"},
    {ENDPOINT_ANY_SERVER, "GET", "/home", NULL, 200,
     "{\"message\":\"Hello from Server: #\",\"status\":\"successful\"}"},
    {ENDPOINT_ANY_SERVER, "GET", "/heartbeat", NULL, 200, ""},
};

const struct endpoint_list endpoints_web = {calls, sizeof(calls) / sizeof(calls[0])};
