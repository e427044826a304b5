#include "experiments/datadir.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/build_info.h"
#include "core/mem.h"

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *datadir_program(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    return mem_strndup(path, n > 0 ? (size_t)n : 0);
}

char *datadir_find(const char *name, struct err *err)
{
    char *dir = datadir_program();
    char *slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    char *candidates[] = {
        mem_strdup(name),
        mem_printf("%s/../../%s", dir, name), /* build/MODE/quoit */
        mem_printf("%s/../share/quoit/%s", dir, name),
        mem_printf("%s/share/quoit/%s", build_info.prefix, name),
    };
    char *found = NULL;
    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        if (!found && is_folder(candidates[i]))
            found = candidates[i];
        else
            free(candidates[i]);
    }
    if (!found)
        err_set(err, -ENOENT,
                "there is no folder '%s' here, in %s/../.. or in %s/share/quoit: run it from the "
                "source tree or name the folder",
                name, dir, build_info.prefix);
    free(dir);
    return found;
}
