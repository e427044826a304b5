/* The `file` store under SIGKILL and loss of power, at random moments and before every single call
 * that it makes to the disk.
 *
 * A child lives through a story: changes drawn one after the other from a seed and from what the
 * rows are by then. After its end the parent opens the store, which must hold exactly what the
 * first p changes of the story make, where p is at least as many as were acknowledged. Then the
 * next child goes on from there in the same folder. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rng.h"
#include "tests/support/store_bed.h"
#include "tests/support/wal_faults.h"

#define N_SHARDS 2
#define N_KEYS 60
#define MAX_NAME 1500
#define WINDOW 6
#define PATIENCE_S 60

/* ---- the story ---- */

/* versions: 0 where there is no row, else the number of the change that made it. */
struct model {
    bool exists[N_SHARDS];
    uint64_t versions[N_SHARDS][N_KEYS];
};

struct change {
    enum store_op op;
    unsigned shard;
    unsigned low, last;  /* keys, as indexes */
    bool writes[N_KEYS]; /* rows of an insert, update, replace */
};

static const char *const shard_names[N_SHARDS] = {"sh1", "sh2"};

static int64_t key_of(unsigned i)
{
    return ((int64_t)i - N_KEYS / 2) * 10;
}

/* The text of a row, whose version decides what it says and how long it is. For free(). */
static char *text_of(unsigned shard, unsigned i, uint64_t version)
{
    size_t n = (size_t)(rng_mix64(version * N_KEYS + i) % MAX_NAME);
    char *name = mem_alloc(n + 1);
    memset(name, (int)('a' + version % 26), n);
    name[n] = '\0';
    char *text =
        mem_printf("{\"Stud_id\":%" PRId64 ",\"Stud_name\":\"%s\",\"Stud_marks\":%" PRIu64 "%u}",
                   key_of(i), name, version + 1, shard);
    free(name);
    return text;
}

static void pick_rows(struct change *change, const struct model *model, struct rng *rng)
{
    unsigned at = (unsigned)rng_below(rng, N_KEYS);
    bool is_there = model->versions[change->shard][at] != 0;
    uint64_t dice = rng_below(rng, 100);
    change->low = change->last = at;
    if (dice < 8) {
        change->op = STORE_REPLACE;
        change->last = at + (unsigned)rng_below(rng, N_KEYS - at);
        for (unsigned i = change->low; i <= change->last; i++)
            change->writes[i] = rng_below(rng, 2) == 0;
    } else if (is_there && dice < 50) {
        change->op = STORE_DELETE;
    } else if (is_there) {
        change->op = STORE_UPDATE;
        change->writes[at] = true;
    } else {
        change->op = STORE_INSERT;
        change->writes[at] = true;
        for (unsigned i = at; i < N_KEYS && i < at + 5; i++)
            if (model->versions[change->shard][i] == 0 && rng_below(rng, 2) == 0)
                change->writes[i] = true;
    }
}

/* The n-th change of the story, and the model after it. */
static struct change next_change(struct model *model, uint64_t seed, uint64_t n)
{
    struct change change = {0};
    struct rng rng;
    rng_seed(&rng, seed ^ rng_mix64(n));
    uint64_t dice = rng_below(&rng, 100);
    if (!model->exists[0] || (!model->exists[1] && dice < 20)) {
        change.op = STORE_CREATE;
        change.shard = model->exists[0] ? 1 : 0;
        model->exists[change.shard] = true;
        return change;
    }
    if (model->exists[1] && dice < 3) {
        change.op = STORE_DROP;
        change.shard = 1;
        model->exists[1] = false;
        memset(model->versions[1], 0, sizeof(model->versions[1]));
        return change;
    }
    change.shard = model->exists[1] && dice < 50 ? 1 : 0;
    pick_rows(&change, model, &rng);
    for (unsigned i = change.low; i <= change.last || (i < N_KEYS && change.writes[i]); i++)
        if (change.op == STORE_REPLACE || change.op == STORE_DELETE)
            model->versions[change.shard][i] = 0;
    for (unsigned i = 0; i < N_KEYS; i++)
        if (change.writes[i])
            model->versions[change.shard][i] = n;
    return change;
}

/* ---- the child ---- */

struct progress {
    uint64_t n_submitted, n_acked;
};

struct slot {
    struct store_call call; /* first member */
    uint64_t number;
    struct row rows[N_KEYS];
};

struct child {
    struct store_bed bed;
    struct progress *progress;
    struct slot slots[WINDOW];
};

static void free_texts(struct slot *slot)
{
    for (size_t i = 0; i < slot->call.request.n_rows_in; i++)
        free((char *)slot->rows[i].text);
}

static void on_done(struct store_bed *bed, struct store_call *call)
{
    struct child *child = (struct child *)bed;
    struct slot *slot = (struct slot *)call;
    if (call->request.code != 0 || slot->number != child->progress->n_acked + 1)
        _exit(3);
    child->progress->n_acked = slot->number;
}

static void submit(struct child *child, const struct change *change, uint64_t n)
{
    struct slot *slot = &child->slots[n % WINDOW];
    free_texts(slot);
    memset(slot, 0, sizeof(*slot));
    slot->number = n;
    size_t n_rows = 0;
    for (unsigned i = 0; i < N_KEYS; i++) {
        if (!change->writes[i])
            continue;
        char *text = text_of(change->shard, i, n);
        slot->rows[n_rows++] =
            (struct row){.key = key_of(i), .text = text, .n_bytes = (uint32_t)strlen(text)};
    }
    const char *name = shard_names[change->shard];
    slot->call.request = (struct store_request){
        .op = change->op,
        .shard = store_find(child->bed.store, name, strlen(name)),
        .name = name,
        .schema = store_bed_schema(),
        .low = key_of(change->low),
        .last = key_of(change->last),
        .rows = slot->rows,
        .n_rows_in = n_rows,
    };
    slot->call.on_done = on_done;
    child->progress->n_submitted = n;
    store_bed_submit(&child->bed, &slot->call);
    /* Each of these changes takes a record: none is done at once. */
    if (!slot->call.pending)
        _exit(4);
}

/* Lives through the changes first … last; as many wait at once as there are slots. */
static void live(const char *spec, const char *dir, struct model model, uint64_t seed,
                 uint64_t first, uint64_t last, struct progress *progress)
{
    static struct child child;
    struct err err = {0};
    /* cmocka catches these to go on with its next test, which a child must not. */
    signal(SIGABRT, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    alarm(PATIENCE_S);
    child.progress = progress;
    if (store_bed_open_in(&child.bed, spec, dir, &err) != 0) {
        fprintf(stderr, "the child cannot open its store: %s\n", err.message);
        _exit(2);
    }
    for (uint64_t n = first; n <= last; n++) {
        struct change change = next_change(&model, seed, n);
        if (change.op == STORE_DROP)
            store_bed_wait_all(&child.bed);
        if (n >= first + WINDOW)
            store_bed_wait(&child.bed, &child.slots[n % WINDOW].call);
        submit(&child, &change, n);
        /* Before that the shard is not known. */
        if (change.op == STORE_CREATE)
            store_bed_wait_all(&child.bed);
        if (n % 3 == 0)
            store_bed_turn(&child.bed);
    }
    store_bed_wait_all(&child.bed);
    _exit(0);
}

/* ---- the parent ---- */

static uint64_t model_checksum(const struct model *model, unsigned shard, uint64_t *ret_n)
{
    uint64_t checksum = 0;
    *ret_n = 0;
    for (unsigned i = 0; i < N_KEYS; i++) {
        if (model->versions[shard][i] == 0)
            continue;
        char *text = text_of(shard, i, model->versions[shard][i]);
        checksum += row_checksum(text, strlen(text));
        free(text);
        ++*ret_n;
    }
    return checksum;
}

static bool holds(struct store_bed *bed, const struct model *model)
{
    for (unsigned s = 0; s < N_SHARDS; s++) {
        struct store_shard *shard = store_find(bed->store, shard_names[s], 3);
        if ((shard != NULL) != model->exists[s])
            return false;
        if (!shard)
            continue;
        uint64_t n, checksum, wanted = model_checksum(model, s, &n);
        if (store_bed_digest(bed, shard, INT64_MIN, INT64_MAX, &checksum) != n ||
            checksum != wanted)
            return false;
        /* Kept up and counted anew are the same. */
        if (store_bed_digest(bed, shard, INT64_MIN, INT64_MAX - 1, &checksum) != n ||
            checksum != wanted)
            return false;
    }
    return true;
}

struct saga {
    const char *spec;
    char dir[STORE_BED_PATH_BYTES];
    uint64_t seed;
    struct model model; /* of what is known to be in the folder */
    uint64_t n;         /* so many changes made it */
    struct progress *progress;
};

static void saga_begin(struct saga *saga, const char *spec, uint64_t seed)
{
    memset(saga, 0, sizeof(*saga));
    saga->spec = spec;
    saga->seed = seed;
    store_bed_make_dir(saga->dir);
    saga->progress = mmap(NULL, sizeof(*saga->progress), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(saga->progress != MAP_FAILED);
}

static void saga_end(struct saga *saga)
{
    munmap(saga->progress, sizeof(*saga->progress));
    store_bed_remove_dir(saga->dir);
}

/* Opens what is left and finds the place in the story. loses_acked: loss of power without sync may
 * take what was acknowledged, but no change without those after it. */
static void find_place(struct saga *saga, bool loses_acked)
{
    struct store_bed bed;
    struct err err = {0};
    uint64_t first = loses_acked ? saga->n : saga->progress->n_acked;
    uint64_t last = saga->progress->n_submitted;
    if (store_bed_open_in(&bed, saga->spec, saga->dir, &err) != 0)
        fail_msg("seed %" PRIu64 ", after change %" PRIu64 ": %s", saga->seed, last, err.message);
    struct model model = saga->model;
    uint64_t p = saga->n;
    while (p < first)
        next_change(&model, saga->seed, ++p);
    while (!holds(&bed, &model) && p < last)
        next_change(&model, saga->seed, ++p);
    if (!holds(&bed, &model))
        fail_msg("seed %" PRIu64 ": the rows are those of no change from %" PRIu64 " to %" PRIu64,
                 saga->seed, first, last);
    saga->model = model;
    saga->n = p;
    store_bed_close(&bed);
}

/* A child that ends by its fault, by the parent's signal after delay_us (0: none), or when
 * n_changes are done. Returns whether it was killed. */
static bool saga_round(struct saga *saga, uint64_t n_changes, uint64_t die_at, bool loses_power,
                       useconds_t delay_us, uint64_t seed)
{
    saga->progress->n_acked = saga->progress->n_submitted = saga->n;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        wal_faults_install();
        if (die_at > 0)
            wal_faults_die(die_at, loses_power, seed);
        live(saga->spec, saga->dir, saga->model, saga->seed, saga->n + 1, saga->n + n_changes,
             saga->progress);
    }
    if (delay_us > 0) {
        usleep(delay_us);
        kill(pid, SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!is_killed && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        fail_msg("the child ended with status %#x (change %" PRIu64 " of %" PRIu64 ")", status,
                 saga->progress->n_acked, saga->progress->n_submitted);
    find_place(saga, loses_power && !strstr(saga->spec, "sync=always"));
    return is_killed;
}

static const char *const specs[] = {
    "file:segment=64k,snapshot=64k,sync=always",
    "file:segment=64k,snapshot=64k,sync=interval,interval=2ms",
    "file:segment=64k,snapshot=64k,sync=none",
};

static void loses_nothing_when_it_is_killed_at_any_moment(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof(specs) / sizeof(*specs); s++) {
        struct saga saga;
        struct rng rng;
        rng_seed(&rng, 11 + s);
        saga_begin(&saga, specs[s], 100 + s);
        for (int round = 0; round < 25; round++)
            saga_round(&saga, UINT32_MAX, 0, false, 500 + (useconds_t)rng_below(&rng, 25000), 0);
        assert_true(saga.n > 100);
        saga_end(&saga);
    }
}

/* Mid-write, between creating a segment and using it, between renaming a snapshot and removing what
 * it replaces, and within the recovery from the death before. */
static void loses_nothing_when_it_is_killed_before_any_call(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof(specs) / sizeof(*specs); s++) {
        struct saga saga;
        bool is_killed = true;
        saga_begin(&saga, specs[s], 200 + s);
        for (uint64_t n = 1; is_killed && n < 250; n++) {
            is_killed = saga_round(&saga, 150, n, false, 0, n);
            if (n % 3 == 0)
                saga_round(&saga, 150, 1 + n % 7, false, 0, n);
        }
        assert_true(saga.n > 100);
        saga_end(&saga);
    }
}

static void loses_nothing_synced_with_the_machines_power(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof(specs) / sizeof(*specs); s++) {
        struct rng rng;
        rng_seed(&rng, 31 + s);
        for (uint64_t seed = 1; seed <= 4; seed++) {
            struct saga saga;
            saga_begin(&saga, specs[s], seed);
            for (int round = 0; round < 20; round++)
                saga_round(&saga, 400, 1 + rng_below(&rng, 120), true, 0, rng_next(&rng));
            saga_end(&saga);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loses_nothing_when_it_is_killed_at_any_moment),
        cmocka_unit_test(loses_nothing_when_it_is_killed_before_any_call),
        cmocka_unit_test(loses_nothing_synced_with_the_machines_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
