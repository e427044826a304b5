#include "tests/support/ring_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/placement_fixture.h"

static void must(int rc, const char *what, const struct err *err)
{
    if (rc == 0)
        return;
    fprintf(stderr, "ring_fixture: %s: %s\n", what, err->message);
    abort();
}

void ring_fixture_open(struct ring_fixture *fixture, const char *placement, const char *hash,
                       const char *ids, enum ring_over over, uint64_t n_sampled)
{
    struct ring_members members;
    struct err err = {0};
    memset(fixture, 0, sizeof(*fixture));
    must(ring_setup_parse(&fixture->setup, placement, hash ? hash : "splitmix64", &err), placement,
         &err);
    if (!hash)
        fixture->setup.pair.request = fixture->setup.pair.server =
            (struct hash){.ops = &identity_hash};
    must(ring_members_parse(&members, "ids", ids, &err), ids, &err);
    must(ring_state_build(&fixture->setup, &members, &fixture->state, &err), placement, &err);
    ring_members_done(&members);
    ring_keys_init(&fixture->keys, over, n_sampled, 1);
}

void ring_fixture_close(struct ring_fixture *fixture)
{
    ring_keys_done(&fixture->keys);
    ring_state_done(&fixture->state);
    ring_setup_done(&fixture->setup);
}
