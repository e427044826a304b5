/* The spawners whose servers a `quoit spawner` process makes, as containers or as services: all
 * that they have in common, which is all but their names. For their files alone. */
#ifndef QUOIT_BACKENDS_SPAWNER_REMOTE_H
#define QUOIT_BACKENDS_SPAWNER_REMOTE_H

#include "backends/spawner.h"

struct remote_params {
    const char *socket;
    uint64_t wait_ns;
    uint64_t start_timeout_ns;
};

extern const struct option_def remote_options[];

/* makes: "containers" or "services", as the process says of itself. The rest as struct spawner_ops
 * has it; params are remote_params. */
int remote_open(const struct spawner_ops *ops, const char *makes, const void *params,
                const struct spawner_config *config, const struct spawner_handler *handler,
                void *context, struct spawner **ret_spawner, struct err *err);
void remote_close(struct spawner *spawner);
int remote_start(struct spawner *spawner, const struct spawner_request *request, struct err *err);
void remote_stop(struct spawner *spawner, uint64_t uid, uint64_t grace_ns);
int remote_adopt(struct spawner *spawner, const struct spawner_server *found, struct err *err);
void remote_remove_data(struct spawner *spawner, uint64_t data_id);

/* The whole of a member. */
#define REMOTE_SPAWNER(member, part_name, part_summary, made)                                      \
    static int open_##member(const void *params, const struct spawner_config *config,              \
                             const struct spawner_handler *handler, void *context,                 \
                             struct spawner **ret_spawner, struct err *err);                       \
    static const struct spawner_ops member##_ops = {                                               \
        .part = {.name = (part_name),                                                              \
                 .summary = (part_summary),                                                        \
                 .source = "Docker Engine API 1.41",                                               \
                 .options = remote_options,                                                        \
                 .params_size = sizeof(struct remote_params)},                                     \
        .open = open_##member,                                                                     \
        .close = remote_close,                                                                     \
        .start = remote_start,                                                                     \
        .stop = remote_stop,                                                                       \
        .adopt = remote_adopt,                                                                     \
        .remove_data = remote_remove_data,                                                         \
    };                                                                                             \
    static int open_##member(const void *params, const struct spawner_config *config,              \
                             const struct spawner_handler *handler, void *context,                 \
                             struct spawner **ret_spawner, struct err *err)                        \
    {                                                                                              \
        return remote_open(&member##_ops, made, params, config, handler, context, ret_spawner,     \
                           err);                                                                   \
    }                                                                                              \
    SPAWNER_REGISTER(member##_ops)

#endif
