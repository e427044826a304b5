#include "tests/support/mariadb.h"

#include <mariadb/mysql.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"

#define PATIENCE_S 30
#define POLL_NS (20 * 1000 * 1000)

static const char *who_we_are(void)
{
    const struct passwd *passwd = getpwuid(geteuid());
    assert_non_null(passwd);
    return passwd->pw_name;
}

static const char *find_program(const char *const *paths)
{
    while (*paths && access(*paths, X_OK) != 0)
        paths++;
    return *paths;
}

/* MySQL's mysqld, to be tested in place of MariaDB; NULL: MariaDB. */
static const char *mysqld_path(void)
{
    return getenv("QUOIT_TEST_MYSQLD");
}

static const char *server_path(void)
{
    static const char *const paths[] = {"/usr/sbin/mariadbd", "/usr/local/sbin/mariadbd",
                                        "/usr/local/bin/mariadbd", NULL};
    return mysqld_path() ? mysqld_path() : find_program(paths);
}

static const char *install_path(void)
{
    static const char *const paths[] = {"/usr/bin/mariadb-install-db",
                                        "/usr/local/bin/mariadb-install-db", NULL};
    return find_program(paths);
}

bool mariadb_bed_is_possible(void)
{
    return mysqld_path() || (server_path() && install_path());
}

/* In the child: its output goes to the folder's log, and it dies with us. */
static _Noreturn void execute(const struct mariadb_bed *bed, char *const *argv)
{
    char path[MARIADB_BED_PATH_BYTES + 16];
    snprintf(path, sizeof(path), "%s/log", bed->dir);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "r", stdin) || !freopen(path, "a", stdout) ||
        !freopen(path, "a", stderr))
        _exit(126);
    execv(argv[0], argv);
    _exit(127);
}

static void show_log(const struct mariadb_bed *bed)
{
    char path[MARIADB_BED_PATH_BYTES + 16], line[512];
    snprintf(path, sizeof(path), "%s/log", bed->dir);
    FILE *log = fopen(path, "r");
    while (log && fgets(line, sizeof(line), log))
        print_error("database: %s", line);
    if (log)
        fclose(log);
}

static void install(const struct mariadb_bed *bed)
{
    char defaults[MARIADB_BED_PATH_BYTES + 64], owner[128];
    snprintf(defaults, sizeof(defaults), "--defaults-file=%s/my.cnf", bed->dir);
    snprintf(owner, sizeof(owner), "--auth-root-socket-user=%s", who_we_are());
    char *argv[] = {(char *)(uintptr_t)install_path(),
                    defaults,
                    owner,
                    "--auth-root-authentication-method=socket",
                    "--skip-test-db",
                    "--skip-name-resolve",
                    "--force", /* this host's name need not be known to anybody */
                    NULL};
    char *mysqld_argv[] = {(char *)(uintptr_t)mysqld_path(), defaults, "--initialize-insecure",
                           NULL};
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        execute(bed, mysqld_path() ? mysqld_argv : argv);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        show_log(bed);
    assert_int_equal(status, 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Small, so that it is installed and started in a moment; durable as the defaults are. */
static void write_config(const struct mariadb_bed *bed)
{
    char path[MARIADB_BED_PATH_BYTES + 16], text[1024];
    snprintf(path, sizeof(path), "%s/my.cnf", bed->dir);
    snprintf(text, sizeof(text),
             "[mysqld]\nuser=%s\ndatadir=%s/data\ntmpdir=%s\nsocket=%s\npid-file=%s/"
             "pid\nskip-networking\n"
             "skip-name-resolve\ninnodb-buffer-pool-size=64M\ninnodb-log-file-size=32M\n"
             "performance-schema=OFF\nmax-connections=200\n%s",
             who_we_are(), bed->dir, bed->dir, bed->socket, bed->dir,
             mysqld_path() ? "mysqlx=OFF\nsecure-file-priv=NULL\n" : "");
    write_file(path, text);
}

static MYSQL *connect_as_owner(const struct mariadb_bed *bed)
{
    MYSQL *mysql = mysql_init(NULL);
    assert_non_null(mysql);
    const char *owner = mysqld_path() ? "root" : who_we_are();
    if (mysql_real_connect(mysql, NULL, owner, NULL, NULL, 0, bed->socket, 0))
        return mysql;
    mysql_close(mysql);
    return NULL;
}

static void wait_until_it_answers(struct mariadb_bed *bed)
{
    for (int i = 0; i < PATIENCE_S * 1000 / 20; i++) {
        MYSQL *mysql = connect_as_owner(bed);
        if (mysql) {
            mysql_close(mysql);
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
    show_log(bed);
    fail_msg("%s does not answer", server_path());
}

void mariadb_bed_start(struct mariadb_bed *bed, bool wait)
{
    char defaults[MARIADB_BED_PATH_BYTES + 64];
    snprintf(defaults, sizeof(defaults), "--defaults-file=%s/my.cnf", bed->dir);
    char *argv[] = {(char *)(uintptr_t)server_path(), defaults, NULL};
    assert_int_equal(bed->pid, 0);
    bed->pid = fork();
    assert_true(bed->pid >= 0);
    if (bed->pid == 0)
        execute(bed, argv);
    if (wait)
        wait_until_it_answers(bed);
}

void mariadb_bed_kill(struct mariadb_bed *bed)
{
    int status;
    if (bed->pid == 0)
        return;
    assert_int_equal(kill(bed->pid, SIGKILL), 0);
    assert_int_equal(waitpid(bed->pid, &status, 0), bed->pid);
    bed->pid = 0;
}

void mariadb_bed_freeze(struct mariadb_bed *bed)
{
    int status;
    assert_int_equal(kill(bed->pid, SIGSTOP), 0);
    assert_int_equal(waitpid(bed->pid, &status, WUNTRACED), bed->pid);
}

void mariadb_bed_thaw(struct mariadb_bed *bed)
{
    assert_int_equal(kill(bed->pid, SIGCONT), 0);
}

long long mariadb_bed_sql(struct mariadb_bed *bed, const char *sql)
{
    long long number = 0;
    MYSQL *mysql = connect_as_owner(bed);
    assert_non_null(mysql);
    if (mysql_query(mysql, sql) != 0)
        fail_msg("%s: %s", sql, mysql_error(mysql));
    MYSQL_RES *result = mysql_store_result(mysql);
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    if (row && row[0])
        number = strtoll(row[0], NULL, 10);
    mysql_free_result(result);
    mysql_close(mysql);
    return number;
}

void mariadb_bed_open(struct mariadb_bed *bed)
{
    const char *under = getenv("TMPDIR");
    memset(bed, 0, sizeof(*bed));
    int n = snprintf(bed->dir, sizeof(bed->dir), "%s/quoit-mariadb-XXXXXX", under ? under : "/tmp");
    /* A socket's path is short. */
    assert_true(n > 0 && n < 100);
    assert_non_null(mkdtemp(bed->dir));
    snprintf(bed->socket, sizeof(bed->socket), "%s/s", bed->dir);
    snprintf(bed->password_file, sizeof(bed->password_file), "%s/password", bed->dir);
    write_file(bed->password_file, MARIADB_BED_PASSWORD "\n");
    write_config(bed);
    install(bed);
    mariadb_bed_start(bed, true);
    mariadb_bed_sql(bed, "CREATE USER " MARIADB_BED_USER
                         "@localhost IDENTIFIED BY '" MARIADB_BED_PASSWORD "'");
    mariadb_bed_sql(bed, "GRANT SELECT,INSERT,UPDATE,DELETE,CREATE,DROP ON `quoit\\_test\\_%`.* "
                         "TO " MARIADB_BED_USER "@localhost");
    mariadb_bed_new_database(bed);
}

const char *mariadb_bed_new_database(struct mariadb_bed *bed)
{
    char sql[128];
    unsigned n = ++bed->n_databases;
    snprintf(sql, sizeof(sql), "CREATE DATABASE quoit_test_%u", n);
    mariadb_bed_sql(bed, sql);
    snprintf(bed->spec, sizeof(bed->spec),
             "mysql:socket=%s,user=" MARIADB_BED_USER ",database=quoit_test_%u,password-file=%s",
             bed->socket, n, bed->password_file);
    return bed->spec;
}

void mariadb_bed_close(struct mariadb_bed *bed)
{
    char command[MARIADB_BED_PATH_BYTES + 32];
    mariadb_bed_kill(bed);
    snprintf(command, sizeof(command), "rm -rf -- '%s'", bed->dir);
    assert_int_equal(system(command), 0);
}

void mariadb_bed_open_store(struct mariadb_bed *bed, struct store_bed *store,
                            const char *more_options)
{
    char *spec = mem_printf("%s%s", mariadb_bed_new_database(bed), more_options);
    store_bed_open(store, spec);
    free(spec);
}

static struct mariadb_bed *the_bed; /* of the tests that run */

static int set_up(void **state)
{
    (void)state;
    mariadb_bed_open(the_bed);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mariadb_bed_close(the_bed);
    return 0;
}

int mariadb_bed_run_tests(struct mariadb_bed *bed, const char *name, const struct CMUnitTest *tests,
                          size_t n_tests)
{
    if (!mariadb_bed_is_possible()) {
        print_message("mariadb-server is not installed: nothing tested\n");
        return 0;
    }
    the_bed = bed;
    return _cmocka_run_group_tests(name, tests, n_tests, set_up, tear_down);
}
