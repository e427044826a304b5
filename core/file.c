#include "core/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/rng.h"

#define READ_STEP ((size_t)64 * 1024)
#define TEMP_ATTEMPTS 16

/* Reads on to the end of the file. The buffer at its maximum, one more byte tells whether the file
 * fits exactly. */
static int file_read_all(int fd, struct buf *text)
{
    for (;;) {
        size_t want = READ_STEP;
        char beyond, *place;
        ssize_t n;

        if (text->max_bytes != 0 && text->max_bytes - buf_len(text) < want)
            want = text->max_bytes - buf_len(text);
        place = want > 0 ? buf_reserve(text, want) : &beyond;
        n = read(fd, place, want > 0 ? want : 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        if (want == 0)
            return -EMSGSIZE;
        buf_commit(text, (size_t)n);
    }
}

int file_read(const char *path, struct buf *ret_text, struct err *err)
{
    size_t n_before = buf_len(ret_text);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result;

    if (fd < 0)
        return err_set_errno(err, -errno, "cannot open %s", path);
    result = file_read_all(fd, ret_text);
    close(fd);
    if (result < 0)
        ret_text->end = ret_text->start + n_before;
    if (result == -EMSGSIZE)
        return err_set(err, result, "%s is larger than %zu bytes", path,
                       ret_text->max_bytes - n_before);
    if (result < 0)
        return err_set_errno(err, result, "cannot read %s", path);
    return 0;
}

bool file_read_line(const char *path, char *text, size_t bytes)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool got = fgets(text, (int)bytes, file) != NULL;
    fclose(file);
    if (got)
        text[strcspn(text, "\n")] = '\0';
    return got;
}

static int file_write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, bytes, n);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        bytes += written;
        n -= (size_t)written;
    }
    return 0;
}

/* Creates a file beside path under a name nobody has. O_EXCL: what lies there already, a planted
 * symbolic link too, is never opened. ret_name is for free(). */
static int file_make_temp(const char *path, char **ret_name)
{
    int fd = -EEXIST;

    for (int i = 0; i < TEMP_ATTEMPTS && fd == -EEXIST; i++) {
        char *name = mem_printf("%s.tmp-%016llx", path, (unsigned long long)rng_entropy());

        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd >= 0) {
            *ret_name = name;
            return fd;
        }
        fd = -errno;
        free(name);
    }
    return fd;
}

/* Makes the renaming itself durable. File systems that cannot sync a folder say EINVAL. */
static int file_sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL   ? mem_strdup(".")
                   : slash == path ? mem_strdup("/")
                                   : mem_strndup(path, (size_t)(slash - path));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -errno : 0;

    if (fd >= 0 && fsync(fd) < 0 && errno != EINVAL)
        result = -errno;
    if (fd >= 0)
        close(fd);
    free(folder);
    return result;
}

int file_write_atomic(const char *path, const void *bytes, size_t n, struct err *err)
{
    const char *doing = "create a file beside";
    char *temp = NULL;
    struct stat old;
    int fd = file_make_temp(path, &temp);
    int result = fd < 0 ? fd : 0;

    if (result < 0)
        goto out;
    assert(temp != NULL);
    doing = "write";
    /* A file that was kept from others' eyes stays so. */
    if (lstat(path, &old) == 0 && S_ISREG(old.st_mode) && fchmod(fd, old.st_mode & 07777) < 0)
        result = -errno;
    if (result == 0)
        result = file_write_all(fd, bytes, n);
    if (result == 0 && fsync(fd) < 0)
        result = -errno;
    /* Some file systems tell of a full disk only here. */
    if (close(fd) < 0 && result == 0)
        result = -errno;
    if (result == 0 && rename(temp, path) < 0) {
        doing = "replace";
        result = -errno;
    }
    if (result < 0) {
        unlink(temp);
        goto out;
    }
    doing = "sync the folder of";
    result = file_sync_folder_of(path);
out:
    free(temp);
    if (result < 0)
        return err_set_errno(err, result, "cannot %s %s", doing, path);
    return 0;
}

int file_make_dirs(const char *path, struct err *err)
{
    char *copy = mem_strdup(path);
    size_t n = strlen(copy);
    struct stat status;
    int result = path[0] == '\0' ? -ENOENT : 0;

    for (size_t i = 1; i <= n && result == 0; i++) {
        char end = copy[i];

        if (end != '/' && end != '\0')
            continue;
        copy[i] = '\0';
        /* EEXIST may hide a file; any error may be one of a folder that is there already, on a
         * read-only file system for instance. */
        if (mkdir(copy, 0777) < 0) {
            int mkdir_errno = errno;

            if (stat(copy, &status) < 0)
                result = -mkdir_errno;
            else if (!S_ISDIR(status.st_mode))
                result = -ENOTDIR;
        }
        if (result < 0)
            err_set_errno(err, result, "cannot make the folder %s", copy);
        copy[i] = end;
    }
    if (path[0] == '\0')
        err_set(err, result, "cannot make a folder without a name");
    free(copy);
    return result;
}

int file_lock(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    int result;

    if (fd < 0)
        return err_set_errno(err, -errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    result = -errno;
    close(fd);
    if (result == -EWOULDBLOCK)
        return err_set(err, result, "%s is locked by another process", path);
    return err_set_errno(err, result, "cannot lock %s", path);
}
