#include "ctl/ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "core/clock.h"
#include "core/json.h"

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void ctl_init(struct ctl *ctl, const struct addr *lb, uint64_t timeout_ns, bool json)
{
    /* Without SA_RESTART: a sleep ends at once. */
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    ctl->json = json;
    style_init(&ctl->style, stdout);
    caller_init(&ctl->caller, lb, timeout_ns, &interrupted);
}

void ctl_done(struct ctl *ctl)
{
    caller_done(&ctl->caller);
}

bool ctl_interrupted(void)
{
    return interrupted != 0;
}

int ctl_sleep(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    while (!interrupted && nanosleep(&time, &time) != 0 && errno == EINTR)
        ;
    return interrupted ? -EINTR : 0;
}

void ctl_print(struct buf *text)
{
    fwrite(buf_head(text), 1, buf_len(text), stdout);
    buf_clear(text);
}

void ctl_print_json(cJSON *tree)
{
    struct buf text;
    buf_init(&text, 0);
    json_print(&text, tree, true);
    ctl_print(&text);
    buf_done(&text);
    cJSON_Delete(tree);
}
