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

void admin_call_free(struct admin_call *call)
{
    buf_done(&call->body);
    buf_done(&call->answer);
    free(call);
}
