#include "core/mailbox.h"

#include <stddef.h>

static void deliver(struct mailbox *mailbox)
{
    struct letter *newest = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    struct letter *oldest = NULL;
    while (newest) {
        struct letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct letter *next = oldest->next;
        mailbox->on_letter(mailbox->context, oldest);
        oldest = next;
    }
}

static void on_wake(struct ev_loop *loop, struct ev_async *wake, int events)
{
    (void)loop;
    (void)events;
    deliver(wake->data);
}

void mailbox_open(struct mailbox *mailbox, struct ev_loop *loop,
                  void (*on_letter)(void *context, struct letter *letter), void *context)
{
    atomic_init(&mailbox->newest, NULL);
    mailbox->loop = loop;
    mailbox->on_letter = on_letter;
    mailbox->context = context;
    ev_async_init(&mailbox->wake, on_wake);
    mailbox->wake.data = mailbox;
    ev_async_start(loop, &mailbox->wake);
    ev_unref(loop);
}

void mailbox_close(struct mailbox *mailbox)
{
    deliver(mailbox);
    ev_ref(mailbox->loop);
    ev_async_stop(mailbox->loop, &mailbox->wake);
}

void mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
    struct letter *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do
        letter->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &newest, letter,
                                                  memory_order_release, memory_order_relaxed));
    /* Whoever finds the box empty wakes the receiver; the others ride along. */
    if (!newest)
        ev_async_send(mailbox->loop, &mailbox->wake);
}
