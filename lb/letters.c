#include "lb/letters.h"

#include <stdlib.h>

#include "core/mem.h"

struct lb_letter *letter_new(enum letter_type type, size_t worker)
{
    struct lb_letter *letter = mem_zalloc(1, sizeof(*letter));
    letter->type = type;
    letter->worker = worker;
    return letter;
}

struct shard_letter *shard_letter_new(enum letter_type type, struct shard_live *live)
{
    struct shard_letter *letter = mem_zalloc(1, sizeof(*letter));
    letter->base.type = type;
    letter->live = live;
    return letter;
}

void shard_letter_free(struct shard_letter *letter)
{
    free(letter->keys);
    free(letter);
}

void admin_call_free(struct admin_call *call)
{
    buf_done(&call->body);
    buf_done(&call->answer);
    free(call);
}
