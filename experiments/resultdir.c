#include "experiments/resultdir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/build_info.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"

#define COMMIT_DIGITS 10

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    remove(path);
    return 0;
}

void resultdir_remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int resultdir_open(struct resultdir *dir, const char *results, const char *name,
                   uint64_t started_ns, struct err *err)
{
    char stamp[CLOCK_COMPACT_BYTES];
    *dir = (struct resultdir){0};
    clock_format_compact(started_ns, stamp);
    dir->parent = mem_printf("%s/%s", results, name);
    dir->final = mem_printf("%s/%s-%.*s%s", dir->parent, stamp, COMMIT_DIGITS, build_info.commit,
                            build_info.dirty ? "-dirty" : "");
    int status = file_make_dirs(dir->parent, err);
    if (status >= 0) {
        dir->work = mem_printf("%s/.%s-XXXXXX", dir->parent, stamp);
        if (!mkdtemp(dir->work)) {
            status = err_set_errno(err, -errno, "cannot make a folder in %s", dir->parent);
            free(dir->work);
            dir->work = NULL;
        }
    }
    if (status >= 0 && dir->work && chmod(dir->work, 0755) < 0)
        status = err_set_errno(err, -errno, "%s", dir->work);
    if (status < 0)
        resultdir_done(dir);
    return status;
}

int resultdir_write(struct resultdir *dir, const char *name, const void *bytes, size_t n,
                    struct err *err)
{
    char *path = mem_printf("%s/%s", dir->work, name);
    int status = file_write_atomic(path, bytes, n, err);
    free(path);
    return status;
}

int resultdir_finish(struct resultdir *dir, struct err *err)
{
    /* Two runs within a second: the later one gets a number behind its name. */
    for (int attempt = 1; attempt < 100; attempt++) {
        char *name =
            attempt == 1 ? mem_strdup(dir->final) : mem_printf("%s.%d", dir->final, attempt);
        if (rename(dir->work, name) == 0) {
            free(dir->work);
            free(dir->final);
            dir->work = NULL;
            dir->final = name;
            return 0;
        }
        int code = errno;
        free(name);
        if (code != EEXIST && code != ENOTEMPTY)
            return err_set_errno(err, -code, "cannot rename %s to %s", dir->work, dir->final);
    }
    return err_set(err, -EEXIST, "%s is there already", dir->final);
}

void resultdir_done(struct resultdir *dir)
{
    if (dir->work) {
        resultdir_remove_tree(dir->work);
        rmdir(dir->parent);
    }
    free(dir->parent);
    free(dir->work);
    free(dir->final);
    *dir = (struct resultdir){0};
}
