#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/process.h"
#include "core/rng.h"
#include "lb/mariadb_private.h"

#define NEW_DATA "data.new-"
#define LOG_TAIL_BYTES 8192
#define MAX_WORDS 32

static const char *const server_paths[] = {"/usr/sbin/mariadbd",      "/usr/bin/mariadbd",
                                           "/usr/libexec/mariadbd",   "/usr/local/sbin/mariadbd",
                                           "/usr/local/bin/mariadbd", NULL};
static const char *const install_paths[] = {"/usr/bin/mariadb-install-db",
                                            "/usr/local/bin/mariadb-install-db", NULL};

static const char *find_program(const char *const *paths)
{
    while (*paths && access(*paths, X_OK) != 0)
        paths++;
    return *paths;
}

int mariadb_find_programs(struct err *err)
{
    if (!find_program(server_paths))
        return err_set(err, -ENOENT,
                       "mariadbd is not installed (Debian: mariadb-server); name a server with "
                       "--store mysql:socket=PATH,… or host=ADDRESS,…");
    if (!find_program(install_paths))
        return err_set(err, -ENOENT, "mariadb-install-db is not installed");
    return 0;
}

/* ---- spawning ----------------------------------------------------------------------------------
 */

/* Nothing to read, its words into the log, no descriptor of ours. Returns a positive errno. */
static int set_descriptors(posix_spawn_file_actions_t *actions, const char *log_path)
{
    int code = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!code)
        code = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, log_path,
                                                O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (!code)
        code = posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, STDERR_FILENO);
    if (!code)
        code = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    return code;
}

/* Ctrl-C does not reach it: the LB then stops it in order. 0 or a negative errno. */
static int spawn(const char *const *words, const char *log_path, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    char *argv[MAX_WORDS + 1];
    size_t n = 0;
    for (; words[n]; n++)
        argv[n] = (char *)(uintptr_t)words[n];
    argv[n] = NULL;
    int code = -posix_spawn_file_actions_init(&actions);
    if (code)
        return code;
    code = -set_descriptors(&actions, log_path);
    if (!code)
        code = process_spawn(argv[0], argv, &actions, ret_pid);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

static int launch(struct mariadb *mariadb, const char *const *words, struct err *err)
{
    pid_t pid = 0;
    char *log_path = mem_printf("%s/log", mariadb->dir);
    int code = spawn(words, log_path, &pid);
    free(log_path);
    if (code)
        return err_set_errno(err, code, "cannot start %s", words[0]);
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        code = -errno;
        /* Safe by number: nobody has reaped it. */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return err_set_errno(err, code, "cannot watch %s", words[0]);
    }
    mariadb->pid = pid;
    mariadb->pidfd = pidfd;
    mariadb->ours = true;
    return 0;
}

/* Its own: whoever starts in a folder removes the temporary tables there, other servers' among
 * them.
 */
static char *temporary_folder(const struct mariadb *mariadb)
{
    return mem_printf("--tmpdir=%s", mariadb->dir);
}

int mariadb_launch_install(struct mariadb *mariadb, struct err *err)
{
    free(mariadb->new_data);
    mariadb->new_data =
        mem_printf("%s/" NEW_DATA "%016llx", mariadb->dir, (unsigned long long)rng_entropy());
    char *data = mem_printf("--datadir=%s", mariadb->new_data);
    char *user = mem_printf("--user=%s", mariadb->user);
    char *owner = mem_printf("--auth-root-socket-user=%s", mariadb->user);
    char *tmp = temporary_folder(mariadb);
    const char *words[] = {find_program(install_paths),
                           "--no-defaults",
                           data,
                           tmp,
                           owner,
                           "--auth-root-authentication-method=socket",
                           "--skip-name-resolve",
                           "--force", /* a host that nobody can look up is no reason not to */
                           "--skip-test-db",
                           geteuid() == 0 ? user : NULL,
                           NULL};
    int rc = launch(mariadb, words, err);
    free(data);
    free(user);
    free(owner);
    free(tmp);
    return rc;
}

/* Which process it is, for the next life of the LB. Written in place: half of it names none. */
static int write_reference(const struct mariadb *mariadb)
{
    char reference[PROCESS_REFERENCE_BYTES];
    int rc = process_reference(mariadb->pid, reference);
    if (rc != 0)
        return rc;
    char *path = mem_printf("%s/mariadbd", mariadb->dir);
    FILE *file = fopen(path, "we");
    free(path);
    if (!file)
        return -errno;
    fprintf(file, "%s\n", reference);
    return fclose(file) == 0 ? 0 : -errno;
}

int mariadb_launch(struct mariadb *mariadb, struct err *err)
{
    char *data = mem_printf("--datadir=%s/data", mariadb->dir);
    char *listen = mem_printf("--socket=%s", mariadb->socket);
    char *pid_file = mem_printf("--pid-file=%s/pid", mariadb->dir);
    char *user = mem_printf("--user=%s", mariadb->user);
    char *tmp = temporary_folder(mariadb);
    const char *words[] = {find_program(server_paths), "--no-defaults", data, tmp, listen, pid_file,
                           "--skip-networking", "--skip-name-resolve", "--skip-log-bin",
                           "--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin",
                           "--performance-schema=OFF",
                           /* Every shard's write is its own commit: the log wants room, the rows
                            * of a cluster on one machine do not. */
                           "--innodb-buffer-pool-size=128M", "--innodb-log-file-size=128M",
                           "--innodb-flush-log-at-trx-commit=1",
                           /* A few of each server, and statements prepared on each. */
                           "--max-connections=1000", "--max-prepared-stmt-count=262144",
                           geteuid() == 0 ? user : NULL, NULL};
    int rc = launch(mariadb, words, err);
    if (rc == 0) {
        rc = write_reference(mariadb);
        if (rc != 0)
            err_set_errno(err, rc, "cannot write %s/mariadbd", mariadb->dir);
    }
    free(data);
    free(listen);
    free(pid_file);
    free(user);
    free(tmp);
    return rc;
}

bool mariadb_read_reference(const struct mariadb *mariadb, char *text)
{
    char *path = mem_printf("%s/mariadbd", mariadb->dir);
    FILE *file = fopen(path, "re");
    free(path);
    bool read = file && fgets(text, PROCESS_REFERENCE_BYTES, file) && strchr(text, '\n');
    if (file)
        fclose(file);
    if (read)
        text[strcspn(text, "\n")] = '\0';
    return read;
}

/* ---- files -------------------------------------------------------------------------------------
 */

bool mariadb_is_installed(const struct mariadb *mariadb)
{
    char *path = mem_printf("%s/data", mariadb->dir);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

int mariadb_finish_install(struct mariadb *mariadb)
{
    char *path = mem_printf("%s/data", mariadb->dir);
    int code = rename(mariadb->new_data, path) == 0 ? 0 : -errno;
    free(path);
    return code;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *at)
{
    (void)stat;
    (void)kind;
    (void)at;
    remove(path);
    return 0;
}

void mariadb_clear_installs(const struct mariadb *mariadb)
{
    DIR *dir = opendir(mariadb->dir);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, NEW_DATA, strlen(NEW_DATA)) != 0)
            continue;
        char *path = mem_printf("%s/%s", mariadb->dir, entry->d_name);
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        free(path);
    }
    if (dir)
        closedir(dir);
}

/* From the last line back to the first one that says ERROR; else the last line. text is cut up. */
static const char *pick_line(char *text)
{
    const char *last = "";
    char *end = text + strlen(text);
    while (end > text) {
        while (end > text && (end[-1] == '\n' || end[-1] == ' '))
            *--end = '\0';
        char *line = end;
        while (line > text && line[-1] != '\n')
            line--;
        if ((strstr(line, "[ERROR]") && !strstr(line, "Aborting")) ||
            strncmp(line, "ERROR:", strlen("ERROR:")) == 0)
            return line;
        if (*last == '\0')
            last = line;
        end = line;
        if (line > text)
            line[-1] = '\0';
    }
    return last;
}

void mariadb_last_words(const struct mariadb *mariadb, char *text, size_t bytes)
{
    char tail[LOG_TAIL_BYTES + 1] = "";
    char *path = mem_printf("%s/log", mariadb->dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    text[0] = '\0';
    if (fd < 0)
        return;
    if (lseek(fd, -LOG_TAIL_BYTES, SEEK_END) < 0)
        lseek(fd, 0, SEEK_SET);
    ssize_t n = read(fd, tail, LOG_TAIL_BYTES);
    close(fd);
    tail[n > 0 ? n : 0] = '\0';
    snprintf(text, bytes, "%s", pick_line(tail));
}
