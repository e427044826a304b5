/* From an answered heartbeat to a server that serves: it is told its shards, gets their rows
 * (lb/copy.h), and enters the placement once it has them all. */
#include <errno.h>
#include <stdio.h>

#include "core/log.h"
#include "lb/control.h"

#define MAX_ANSWER_BYTES (1u << 20)

/* ---- /config ----------------------------------------------------------------------------------
 */

/* Its shards, those that its operation makes among them. */
static size_t print_config(const struct member *member, struct buf *out)
{
    const struct database *database = &member->control->database;
    const struct operation *operation = member->operation;
    bool init = operation && operation->type == OPERATION_INIT;
    size_t n = 0;
    buf_append_str(out, "{\"schema\":");
    schema_print(init ? &operation->schema : &database->schema, out);
    buf_append_str(out, ",\"shards\":[");
    for (size_t i = 0; i < database->n_shards; i++)
        if (database_find_replica(database->shards[i], member->uid))
            buf_appendf(out, "%s\"%s\"", n++ > 0 ? "," : "", database->shards[i]->range.name);
    buf_append_str(out, "]}");
    return n;
}

static void close_desk(struct member *member)
{
    struct httpc *desk = member->desk;
    member->desk = NULL;
    httpc_free(desk);
}

/* It knows its shards, or has none. */
static void configured(struct member *member)
{
    member->state = MEMBER_FILLING;
    control_save(member->control);
    if (member->operation) {
        operation_member_ready(member->operation, member);
        return;
    }
    filling_check(member);
    copy_schedule(member->control);
}

static struct member *member_of(struct httpc_request *call)
{
    return (struct member *)((char *)call - offsetof(struct member, config_call));
}

static void on_answer(struct httpc_request *call, const struct http_message *answer)
{
    struct member *member = member_of(call);
    char cause[TIMELINE_DETAIL_BYTES];
    if (member->state != MEMBER_CHECKING)
        return;
    if (answer->status == 200) {
        close_desk(member);
        configured(member);
        return;
    }
    snprintf(cause, sizeof(cause), "/config: %u %.*s", answer->status,
             (int)(answer->body.len < 70 ? answer->body.len : 70), answer->body.at);
    member_lost(member, cause);
}

static void on_failure(struct httpc_request *call, int code, bool sent)
{
    struct member *member = member_of(call);
    char cause[TIMELINE_DETAIL_BYTES];
    (void)sent;
    if (code == -ECANCELED || member->state != MEMBER_CHECKING)
        return;
    snprintf(cause, sizeof(cause), "/config: %s", err_errno_text(code));
    member_lost(member, cause);
}

static int send_config(struct member *member, struct buf *body)
{
    struct control *control = member->control;
    struct buf text;
    buf_init(&text, 0);
    buf_appendf(&text,
                "POST /config HTTP/1.1\r\nHost: quoit\r\nContent-Type: application/json\r\n"
                "Content-Length: %zu\r\n\r\n",
                buf_len(body));
    buf_append(&text, buf_head(body), buf_len(body));
    member->desk = httpc_new(&(struct httpc_config){.loop = control->loop,
                                                    .flusher = &control->flusher,
                                                    .addr = member->addr,
                                                    .max_body_bytes = MAX_ANSWER_BYTES});
    member->config_call = (struct httpc_request){.on_answer = on_answer, .on_failure = on_failure};
    int rc = httpc_send(member->desk, &member->config_call, buf_head(&text), buf_len(&text));
    buf_done(&text);
    return rc;
}

void filling_begin(struct member *member)
{
    struct buf body;
    int rc = 0;
    buf_init(&body, 0);
    if (print_config(member, &body) > 0)
        rc = send_config(member, &body);
    else
        configured(member);
    buf_done(&body);
    if (rc != 0) {
        char cause[TIMELINE_DETAIL_BYTES];
        snprintf(cause, sizeof(cause), "/config: %s", err_errno_text(rc));
        member_lost(member, cause);
    }
}

/* ---- rows -------------------------------------------------------------------------------------
 */

void filling_note_shard(struct control *control, const struct table_shard *shard,
                        const struct replica *replica)
{
    const struct member *member = member_find(control, replica->uid);
    char detail[TIMELINE_DETAIL_BYTES];
    /* At the start every replica of every server would have a line. */
    if (!member || (member->operation && member->operation->type == OPERATION_BOOT))
        return;
    snprintf(detail, sizeof(detail), "%s: %llu rows, %llu copied", shard->range.name,
             (unsigned long long)replica->filled.held, (unsigned long long)replica->filled.copied);
    timeline_add_rows(&control->timeline, TIMELINE_FILLED, member->uid, member->name, detail,
                      &replica->filled);
}

static void note_copied(struct member *member)
{
    struct control *control = member->control;
    const struct database *database = &control->database;
    char detail[TIMELINE_DETAIL_BYTES];
    struct timeline_rows rows = {0};
    size_t n = 0;
    for (size_t i = 0; i < database->n_shards; i++) {
        const struct replica *replica = database_find_replica(database->shards[i], member->uid);
        if (!replica)
            continue;
        n++;
        rows.held += replica->filled.held;
        rows.copied += replica->filled.copied;
        rows.copied_bytes += replica->filled.copied_bytes;
    }
    if (n == 0)
        return;
    snprintf(detail, sizeof(detail), "%zu shards, %llu rows, %llu copied", n,
             (unsigned long long)rows.held, (unsigned long long)rows.copied);
    timeline_add_rows(&control->timeline, TIMELINE_COPIED, member->uid, member->name, detail,
                      &rows);
}

void filling_check(struct member *member)
{
    struct control *control = member->control;
    if (member->state != MEMBER_FILLING || member->operation ||
        !database_is_filled(&control->database, member->uid))
        return;
    note_copied(member);
    member_set_serving(member);
    control_publish(control);
    member_heal(control);
}

void filling_replica_ready(struct control *control, uint64_t uid)
{
    struct member *member = member_find(control, uid);
    if (member && member->operation && member->operation->type != OPERATION_BOOT &&
        database_is_filled(&control->database, uid))
        note_copied(member);
    if (member)
        filling_check(member);
    copy_schedule(control);
    operation_filled(control);
}
