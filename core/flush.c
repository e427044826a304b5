#include "core/flush.h"

void flusher_run(struct flusher *flusher)
{
    while (flusher->first) {
        struct flush_item *item = flusher->first;
        flusher_remove(flusher, item);
        item->flush(item);
    }
}

static void on_prepare(struct ev_loop *loop, struct ev_prepare *prepare, int events)
{
    (void)loop;
    (void)events;
    flusher_run(prepare->data);
}

void flusher_init(struct flusher *flusher, struct ev_loop *loop)
{
    flusher->loop = loop;
    flusher->first = NULL;
    flusher->last = &flusher->first;
    ev_prepare_init(&flusher->prepare, on_prepare);
    flusher->prepare.data = flusher;
    ev_prepare_start(loop, &flusher->prepare);
    ev_unref(loop);
}

void flusher_done(struct flusher *flusher)
{
    ev_ref(flusher->loop);
    ev_prepare_stop(flusher->loop, &flusher->prepare);
    while (flusher->first)
        flusher_remove(flusher, flusher->first);
}

void flusher_add(struct flusher *flusher, struct flush_item *item)
{
    if (item->link)
        return;
    item->next = NULL;
    item->link = flusher->last;
    *flusher->last = item;
    flusher->last = &item->next;
}

void flusher_remove(struct flusher *flusher, struct flush_item *item)
{
    if (!item->link)
        return;
    *item->link = item->next;
    if (item->next)
        item->next->link = item->link;
    else
        flusher->last = item->link;
    item->link = NULL;
}
