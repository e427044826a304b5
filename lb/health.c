/* Health: a member that is hung, or deaf, or somebody else.
 *
 * A death is known at once from the spawner (the process ended) or from a worker (its connection
 * broke: LETTER_SUSPECT, checked here at once). Heartbeats find the rest: a server that is there
 * and does not answer. The connection of heartbeats is the control loop's own, so that data cannot
 * hold them up. */
#include <errno.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/metrics.h"
#include "lb/control.h"

/* So many times the misses that others are allowed. */
#define LAST_PATIENCE 10u

/* What fails for want of our own descriptors, ports or memory says nothing of the server. */
static bool is_our_own_want(int code)
{
    return code == -EMFILE || code == -ENFILE || code == -EADDRNOTAVAIL || code == -ENOBUFS ||
           code == -ENOMEM;
}

static bool is_watched(const struct member *member)
{
    return member->state == MEMBER_CHECKING || member->state == MEMBER_FILLING ||
           member->state == MEMBER_SERVING || member->state == MEMBER_PARTING;
}

static void probe_failed(struct member *member, int code)
{
    char cause[TIMELINE_DETAIL_BYTES];
    if (!is_watched(member))
        return;
    if (is_our_own_want(code))
        return; /* asked again in the next round */
    if (code == -ECONNREFUSED || member->probed_again) {
        snprintf(cause, sizeof(cause), "heartbeat: %s", err_errno_text(code));
        member_lost(member, cause);
        return;
    }
    /* One broken connection is no death: a new one tells. */
    member->probed_again = true;
    health_probe(member);
}

static struct member *member_of(struct httpc_request *call)
{
    return (struct member *)((char *)call - offsetof(struct member, probe_call));
}

static void on_answer(struct httpc_request *call, const struct http_message *answer)
{
    struct member *member = member_of(call);
    member->probing = false;
    if (!is_watched(member))
        return;
    if (answer->status != 200 ||
        !http_view_equal(http_find_header(answer, "X-Quoit-Server"), member->name)) {
        member_lost(member, "heartbeat: answered by something else");
        return;
    }
    member->misses = 0;
    member->probed_again = false;
    if (member->state == MEMBER_CHECKING && !member->ready)
        member_ready(member);
}

static void on_failure(struct httpc_request *call, int code, bool sent)
{
    (void)sent;
    struct member *member = member_of(call);
    member->probing = false;
    if (code != -ECANCELED)
        probe_failed(member, code);
}

void health_probe(struct member *member)
{
    struct control *control = member->control;
    static const char request[] = "GET /heartbeat HTTP/1.1\r\nHost: quoit\r\n\r\n";
    if (member->probing)
        return;
    if (!member->probe)
        member->probe = httpc_new(&(struct httpc_config){.loop = control->loop,
                                                         .flusher = &control->flusher,
                                                         .addr = member->addr,
                                                         .max_body_bytes = 4096});
    member->probe_call = (struct httpc_request){.on_answer = on_answer, .on_failure = on_failure};
    member->probing = true;
    metric_bump(&control->metrics.probes);
    int rc = httpc_send(member->probe, &member->probe_call, request, sizeof(request) - 1);
    if (rc != 0) {
        member->probing = false;
        probe_failed(member, rc);
    }
}

/* One that holds the last replica of a shard in memory is waited for longer: to give it up is to
 * lose the rows for good, and servers that all fall silent at once are not dead as a rule. */
static unsigned allowed_misses(const struct member *member)
{
    const struct control *control = member->control;
    bool loses_rows =
        !control->database.durable && database_has_last(&control->database, member->uid, NULL);
    return control->config->fall * (loses_rows ? LAST_PATIENCE : 1);
}

/* The one that did not answer the last round owes it. */
static void check_member(struct member *member, bool on_time)
{
    struct control *control = member->control;
    if (!member->probing) {
        health_probe(member);
        return;
    }
    if (!on_time)
        return;
    metric_bump(&control->metrics.missed_probes);
    if (++member->misses < allowed_misses(member))
        return;
    char cause[TIMELINE_DETAIL_BYTES];
    snprintf(cause, sizeof(cause), "%u heartbeats of %llu ms missed", member->misses,
             (unsigned long long)(control->config->heartbeat_ns / NS_PER_MS));
    member_lost(member, cause);
}

void health_round(struct control *control)
{
    uint64_t now_ns = clock_now_ns();
    /* If this loop itself was late (the machine slept, the LB was stopped), the silence is ours. */
    bool on_time = now_ns - control->last_heartbeat_ns < 2 * control->config->heartbeat_ns;
    control->last_heartbeat_ns = now_ns;
    for (struct member *member = control->members, *next; member; member = next) {
        next = member->next; /* nothing is freed within a round, but a replacement may be added */
        if (member->state == MEMBER_DRAINING && now_ns > member->drain_deadline_ns)
            member_drained(member);
        else if (is_watched(member))
            check_member(member, on_time);
    }
}
