#include "tests/support/wal_faults.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/store/wal_io.h"
#include "core/mem.h"
#include "core/rng.h"

#define SECTOR_BYTES 512u

/* What a write did away with, until its file is synced. */
struct unsynced {
    struct unsynced *next; /* newest first */
    ino_t inode;
    int fd; /* a duplicate */
    uint64_t offset;
    size_t n;
    char *old;
    size_t n_old; /* the file ended there */
};

struct renamed {
    struct renamed *next;
    char *from, *to;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    int codes[WAL_N_CALLS];
    uint64_t n_good[WAL_N_CALLS];
    const char *where[WAL_N_CALLS];
    uint64_t n_calls[WAL_N_CALLS];
    uint64_t n_to_death; /* 0: it does not die */
    bool loses_power;
    struct rng rng;
    struct unsynced *unsynced;
    struct renamed *renamed;
} faults;

static void path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = '\0';
}

static ino_t inode_of(int fd)
{
    struct stat status;
    assert(fstat(fd, &status) == 0);
    return status.st_ino;
}

/* ---- the end ---- */

/* Newest first, so that a sector that was written twice may be on the disk as of either. */
static void lose_writes(void)
{
    for (const struct unsynced *one = faults.unsynced; one; one = one->next) {
        for (size_t at = 0; at < one->n;) {
            size_t n = SECTOR_BYTES - (size_t)((one->offset + at) % SECTOR_BYTES);
            if (n > one->n - at)
                n = one->n - at;
            if (rng_below(&faults.rng, 2) == 0)
                assert(pwrite(one->fd, one->old + at, n, (off_t)(one->offset + at)) == (ssize_t)n);
            at += n;
        }
    }
    for (const struct renamed *one = faults.renamed; one; one = one->next)
        if (rng_below(&faults.rng, 2) == 0)
            rename(one->to, one->from);
}

static void die(void)
{
    if (faults.loses_power)
        lose_writes();
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Counts the call; 0, or the errno it fails with. Dies, unless the caller does: a write. */
static int begin(enum wal_call call, const char *path, bool *ret_dies)
{
    bool dies = faults.n_to_death > 0 && --faults.n_to_death == 0;
    faults.n_calls[call]++;
    if (ret_dies)
        *ret_dies = dies;
    else if (dies)
        die();
    if (faults.codes[call] == 0 || (faults.where[call] && !strstr(path, faults.where[call])))
        return 0;
    if (faults.n_good[call] > 0) {
        faults.n_good[call]--;
        return 0;
    }
    return faults.codes[call];
}

/* ---- the calls ---- */

static int begin_locked(enum wal_call call, const char *path)
{
    pthread_mutex_lock(&mutex);
    int rc = begin(call, path, NULL);
    pthread_mutex_unlock(&mutex);
    return rc;
}

static int faulty_create(const char *path)
{
    int rc = begin_locked(WAL_CALL_CREATE, path);
    return rc != 0 ? rc : wal_io_system.create(path);
}

static int faulty_allocate(int fd, uint64_t n)
{
    char path[PATH_MAX];
    path_of(fd, path);
    int rc = begin_locked(WAL_CALL_ALLOCATE, path);
    return rc != 0 ? rc : wal_io_system.allocate(fd, n);
}

static void remember(int fd, uint64_t offset, size_t n)
{
    struct unsynced *one = mem_zalloc(1, sizeof(*one));
    one->inode = inode_of(fd);
    one->fd = dup(fd);
    one->offset = offset;
    one->n = n;
    one->old = mem_zalloc(n + 1, 1);
    assert(one->fd >= 0 && pread(fd, one->old, n, (off_t)offset) >= 0);
    one->next = faults.unsynced;
    faults.unsynced = one;
}

static ssize_t faulty_write(int fd, const struct iovec *pieces, int n_pieces, uint64_t offset)
{
    char path[PATH_MAX];
    bool dies = false;
    size_t n = 0;
    for (int i = 0; i < n_pieces; i++)
        n += pieces[i].iov_len;
    path_of(fd, path);
    pthread_mutex_lock(&mutex);
    ssize_t rc = begin(WAL_CALL_WRITE, path, &dies);
    if (rc == 0 && faults.loses_power)
        remember(fd, offset, n);
    if (dies && n > 0) {
        size_t n_torn = (size_t)rng_below(&faults.rng, n);
        for (int i = 0; i < n_pieces && n_torn > 0; i++) {
            size_t n_piece = pieces[i].iov_len < n_torn ? pieces[i].iov_len : n_torn;
            assert(pwrite(fd, pieces[i].iov_base, n_piece, (off_t)offset) == (ssize_t)n_piece);
            offset += n_piece;
            n_torn -= n_piece;
        }
    }
    if (dies)
        die();
    /* While it is locked: whoever dies in another thread must find it done, or not begun. */
    if (rc == 0)
        rc = wal_io_system.write(fd, pieces, n_pieces, offset);
    pthread_mutex_unlock(&mutex);
    return rc;
}

static void forget_writes(ino_t inode, bool all)
{
    struct unsynced **link = &faults.unsynced;
    while (*link) {
        struct unsynced *one = *link;
        if (!all && one->inode != inode) {
            link = &one->next;
            continue;
        }
        *link = one->next;
        close(one->fd);
        free(one->old);
        free(one);
    }
}

static void forget_renames(void)
{
    while (faults.renamed) {
        struct renamed *one = faults.renamed;
        faults.renamed = one->next;
        free(one->from);
        free(one->to);
        free(one);
    }
}

static int faulty_sync(int fd)
{
    char path[PATH_MAX];
    path_of(fd, path);
    int rc = begin_locked(WAL_CALL_SYNC, path);
    if (rc != 0)
        return rc;
    rc = wal_io_system.sync(fd);
    pthread_mutex_lock(&mutex);
    if (rc == 0)
        forget_writes(inode_of(fd), false);
    pthread_mutex_unlock(&mutex);
    return rc;
}

static int faulty_rename(const char *from, const char *to)
{
    pthread_mutex_lock(&mutex);
    int rc = begin(WAL_CALL_RENAME, from, NULL);
    if (rc == 0)
        rc = wal_io_system.rename(from, to);
    if (rc == 0 && faults.loses_power) {
        struct renamed *one = mem_zalloc(1, sizeof(*one));
        one->from = mem_strdup(from);
        one->to = mem_strdup(to);
        one->next = faults.renamed;
        faults.renamed = one;
    }
    pthread_mutex_unlock(&mutex);
    return rc;
}

static int faulty_remove(const char *path)
{
    int rc = begin_locked(WAL_CALL_REMOVE, path);
    return rc != 0 ? rc : wal_io_system.remove(path);
}

static int faulty_sync_folder(const char *path)
{
    int rc = begin_locked(WAL_CALL_SYNC_FOLDER, path);
    if (rc != 0)
        return rc;
    rc = wal_io_system.sync_folder(path);
    pthread_mutex_lock(&mutex);
    forget_renames();
    pthread_mutex_unlock(&mutex);
    return rc;
}

static const struct wal_io faulty = {
    .create = faulty_create,
    .allocate = faulty_allocate,
    .write = faulty_write,
    .sync = faulty_sync,
    .rename = faulty_rename,
    .remove = faulty_remove,
    .sync_folder = faulty_sync_folder,
};

void wal_faults_install(void)
{
    wal_faults_remove();
    wal_io = &faulty;
}

void wal_faults_remove(void)
{
    wal_io = &wal_io_system;
    pthread_mutex_lock(&mutex);
    forget_writes(0, true);
    forget_renames();
    memset(&faults, 0, sizeof(faults));
    pthread_mutex_unlock(&mutex);
}

void wal_faults_fail(enum wal_call call, int code, uint64_t n_good, const char *where)
{
    pthread_mutex_lock(&mutex);
    faults.codes[call] = code;
    faults.n_good[call] = n_good;
    faults.where[call] = where;
    pthread_mutex_unlock(&mutex);
}

void wal_faults_die(uint64_t n, bool loses_power, uint64_t seed)
{
    pthread_mutex_lock(&mutex);
    faults.n_to_death = n;
    faults.loses_power = loses_power;
    rng_seed(&faults.rng, seed);
    pthread_mutex_unlock(&mutex);
}

uint64_t wal_faults_count(enum wal_call call)
{
    pthread_mutex_lock(&mutex);
    uint64_t n = faults.n_calls[call];
    pthread_mutex_unlock(&mutex);
    return n;
}
