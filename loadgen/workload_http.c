/* One request over and over, with a key or a line of a trace filled in. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "loadgen/workload.h"

/* A text with places for the key. */
struct form {
    const char *text; /* NULL: none */
    size_t n_bytes;
    size_t n_places;
};

enum text_part { TARGET, HEADERS, BODY, N_PARTS };

/* The texts of a slot's request; grown as they need it. */
struct slot_texts {
    char *texts[N_PARTS];
    size_t capacities[N_PARTS];
};

struct http {
    struct workload workload;
    struct client_request request; /* what does not vary */
    struct form forms[N_PARTS];
    bool any_place;
    struct keys *keys;
    struct trace_cursor cursor; /* with a trace */
    struct slot_texts *slots;   /* made when first asked for */
    uint32_t n_slots;
};

static struct form make_form(const char *text)
{
    struct form form = {.text = text};

    if (!text)
        return form;
    form.n_bytes = strlen(text);
    for (const char *at = text; (at = strstr(at, WORKLOAD_KEY)); at += strlen(WORKLOAD_KEY))
        form.n_places++;
    return form;
}

static struct slot_texts *texts_of(struct http *self, uint32_t slot)
{
    if (slot >= self->n_slots) {
        uint32_t n = (slot + 1) * 2;
        self->slots = mem_realloc(self->slots, n, sizeof(*self->slots));
        memset(self->slots + self->n_slots, 0, (n - self->n_slots) * sizeof(*self->slots));
        self->n_slots = n;
    }
    return &self->slots[slot];
}

static char *room(struct slot_texts *texts, enum text_part part, size_t n)
{
    if (n > texts->capacities[part]) {
        texts->texts[part] = mem_realloc(texts->texts[part], n, 1);
        texts->capacities[part] = n;
    }
    return texts->texts[part];
}

/* The form with the key in its places; the form's own text when it has none. */
static const char *fill(const struct form *form, struct slot_texts *texts, enum text_part part,
                        const char *key, size_t n_key, size_t *ret_n)
{
    const char *from = form->text, *place;
    char *text, *to;

    *ret_n = form->n_bytes;
    if (form->n_places == 0)
        return form->text;
    text = to = room(texts, part, form->n_bytes + form->n_places * KEYS_TEXT_BYTES + 1);
    while ((place = strstr(from, WORKLOAD_KEY))) {
        memcpy(to, from, (size_t)(place - from));
        to += place - from;
        memcpy(to, key, n_key);
        to += n_key;
        from = place + strlen(WORKLOAD_KEY);
    }
    *ret_n = (size_t)(to - text) + strlen(from);
    memcpy(to, from, strlen(from) + 1);
    return text;
}

static void fill_all(struct http *self, uint32_t slot, const char *key, size_t n_key,
                     struct client_request *request)
{
    struct slot_texts *texts = texts_of(self, slot);
    size_t n;

    request->target = fill(&self->forms[TARGET], texts, TARGET, key, n_key, &n);
    request->headers = fill(&self->forms[HEADERS], texts, HEADERS, key, n_key, &n);
    request->body = fill(&self->forms[BODY], texts, BODY, key, n_key, &request->body_bytes);
}

static bool home_next(struct workload *workload, struct rng *rng, uint32_t slot,
                      struct client_request *ret_request)
{
    (void)rng, (void)slot;
    *ret_request = ((const struct http *)workload)->request;
    return true;
}

static bool keys_next_request(struct workload *workload, struct rng *rng, uint32_t slot,
                              struct client_request *ret_request)
{
    struct http *self = (struct http *)workload;
    char key[KEYS_TEXT_BYTES];
    int n = snprintf(key, sizeof(key), "%llu", (unsigned long long)keys_next(self->keys, rng));

    *ret_request = self->request;
    fill_all(self, slot, key, (size_t)n, ret_request);
    return true;
}

static bool trace_next_request(struct workload *workload, struct rng *rng, uint32_t slot,
                               struct client_request *ret_request)
{
    struct http *self = (struct http *)workload;
    const char *line;
    char *target;
    size_t n;

    (void)rng;
    *ret_request = self->request;
    line = trace_next(&self->cursor, &n);
    if (line[0] != '/') {
        fill_all(self, slot, line, n, ret_request);
        return true;
    }
    target = room(texts_of(self, slot), TARGET, n + 1);
    memcpy(target, line, n);
    target[n] = '\0';
    ret_request->target = target;
    return true;
}

static void http_free(struct workload *workload)
{
    struct http *self = (struct http *)workload;

    for (uint32_t i = 0; i < self->n_slots; i++)
        for (int part = 0; part < N_PARTS; part++)
            free(self->slots[i].texts[part]);
    free(self->slots);
    keys_close(self->keys);
    free(self);
}

static const struct workload_ops home_ops = {.name = "home", .next = home_next, .free = http_free};
static const struct workload_ops keys_ops = {
    .name = "keys", .next = keys_next_request, .free = http_free};
static const struct workload_ops trace_ops = {
    .name = "trace", .next = trace_next_request, .free = http_free};

static int check(const struct workload_http *config, const struct http *self, struct err *err)
{
    const struct trace *trace = config->trace;

    if (trace && config->keys)
        return err_set(err, -EINVAL, "a trace names its own keys: no --keys beside --trace");
    if (trace && trace->first_id_line && !self->any_place)
        return err_set(err, -EINVAL,
                       "line %llu of the trace is an id, and goes nowhere: put {key} in the URL, "
                       "or name a --key-header",
                       (unsigned long long)trace->first_id_line);
    if (trace && trace->first_path_line && strcmp(config->target, "/") != 0 && !self->any_place)
        return err_set(
            err, -EINVAL,
            "line %llu of the trace is a path, and so is '%s' in the URL; leave that out",
            (unsigned long long)trace->first_path_line, config->target);
    if (trace && trace->first_path_line && self->any_place)
        return err_set(err, -EINVAL, "line %llu of the trace is a path, and names no key for {key}",
                       (unsigned long long)trace->first_path_line);
    if (config->keys && !self->any_place)
        return err_set(err, -EINVAL,
                       "the keys go nowhere: put {key} in the URL, or name a --key-header");
    return 0;
}

int workload_http_new(const struct workload_http *config, struct workload **ret_workload,
                      struct err *err)
{
    struct http *self = mem_zalloc(1, sizeof(*self));
    int rc;

    self->request = (struct client_request){.target = config->target,
                                            .method = config->method,
                                            .headers = config->headers,
                                            .body = config->body,
                                            .body_bytes = config->body ? strlen(config->body) : 0};
    self->forms[TARGET] = make_form(config->target);
    self->forms[HEADERS] = make_form(config->headers);
    self->forms[BODY] = make_form(config->body);
    for (int part = 0; part < N_PARTS; part++)
        self->any_place |= self->forms[part].n_places > 0;
    self->workload.ops = config->trace ? &trace_ops : config->keys ? &keys_ops : &home_ops;
    rc = check(config, self, err);
    if (rc == 0 && config->keys)
        rc = keys_open(config->keys, &config->place, &self->keys, err);
    if (rc < 0) {
        http_free(&self->workload);
        return rc;
    }
    if (config->trace)
        trace_cursor_init(&self->cursor, config->trace, config->place.thread,
                          config->place.n_threads);
    *ret_workload = &self->workload;
    return 0;
}
