#include "lb/timeline.h"

#include <stdbool.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/json.h"

static const char *const step_names[] = {
    [TIMELINE_COPIED] = "copied",   [TIMELINE_SPAWNED] = "spawned",
    [TIMELINE_LISTENS] = "listens", [TIMELINE_SERVING] = "serving",
    [TIMELINE_KILLED] = "killed",   [TIMELINE_DETECTED] = "detected",
    [TIMELINE_OUT] = "out",         [TIMELINE_DRAINING] = "draining",
    [TIMELINE_DRAINED] = "drained", [TIMELINE_EXITED] = "exited",
    [TIMELINE_FAILED] = "failed",   [TIMELINE_FILLED] = "filled",
};

static bool has_rows(enum timeline_step step)
{
    return step == TIMELINE_FILLED || step == TIMELINE_COPIED;
}

void timeline_add(struct timeline *timeline, enum timeline_step step, uint64_t uid,
                  const char *server, const char *detail)
{
    timeline_add_rows(timeline, step, uid, server, detail, &(struct timeline_rows){0});
}

void timeline_add_rows(struct timeline *timeline, enum timeline_step step, uint64_t uid,
                       const char *server, const char *detail, const struct timeline_rows *rows)
{
    struct timeline_event *event = &timeline->events[timeline->n++ % TIMELINE_EVENTS];
    event->step = step;
    event->wall_ns = clock_wall_ns();
    event->monotonic_ns = clock_now_ns();
    event->uid = uid;
    event->rows = *rows;
    snprintf(event->server, sizeof(event->server), "%s", server);
    snprintf(event->detail, sizeof(event->detail), "%s", detail ? detail : "");
}

cJSON *timeline_json(const struct timeline *timeline)
{
    cJSON *array = cJSON_CreateArray();
    uint64_t first = timeline->n > TIMELINE_EVENTS ? timeline->n - TIMELINE_EVENTS : 0;
    for (uint64_t i = first; i < timeline->n; i++) {
        const struct timeline_event *event = &timeline->events[i % TIMELINE_EVENTS];
        char at[CLOCK_ISO_BYTES];
        clock_format_iso(event->wall_ns, at);
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "at", at);
        json_add_uint64(object, "monotonic_ns", event->monotonic_ns);
        cJSON_AddStringToObject(object, "step", step_names[event->step]);
        cJSON_AddStringToObject(object, "server", event->server);
        json_add_uint64(object, "uid", event->uid);
        if (event->detail[0])
            cJSON_AddStringToObject(object, "detail", event->detail);
        if (has_rows(event->step)) {
            json_add_uint64(object, "rows", event->rows.held);
            json_add_uint64(object, "copied_rows", event->rows.copied);
            json_add_uint64(object, "copied_bytes", event->rows.copied_bytes);
        }
        cJSON_AddItemToArray(array, object);
    }
    return array;
}
