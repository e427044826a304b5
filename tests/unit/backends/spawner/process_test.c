/* The process spawner against real processes: this very program, started as a server that behaves
 * or does not (tests/support/ready_child.h). */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/support/ready_child.h"
#include "tests/support/spawner_probe.h"

#define LONG_NS (60 * NS_PER_S)
#define SHORT_NS (60 * NS_PER_MS)
#define UNPRIVILEGED_UID 65534 /* nobody */

static struct spec spec;
static struct spawner_config config;
static struct probe *probe;

static int set_up(void **state)
{
    (void)state;
    config = (struct spawner_config){
        .program = ready_child_program(),
        .orphan_after_ns = 30 * NS_PER_S,
        .start_timeout_ns = 15 * NS_PER_S,
    };
    if (spec_parse(&spawner_family, "process", &spec, NULL))
        return -1;
    probe = probe_new();
    probe_open(probe, &spec, &config);
    return 0;
}

/* Opens it again with what the test has changed in config. */
static void reopen(void)
{
    probe_close(probe);
    probe_open(probe, &spec, &config);
}

/* Everything that a test started is dead and reaped after it. */
static int tear_down(void **state)
{
    (void)state;
    probe_free(probe, &spec, &config);
    spec_done(&spec);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    return 0;
}

/* Not even a zombie. */
static void assert_no_children(void)
{
    siginfo_t info;

    assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
    assert_int_equal(errno, ECHILD);
}

/* Starts it, waits for on_failed, and sees that nothing is left of it. */
static const struct probe_event *fail_to_start(uint64_t uid, const char *name)
{
    size_t n = probe->n_events;

    assert_int_equal(probe_start(probe, uid, name, NULL), 0);
    probe_wait(probe, n + 1);
    assert_int_equal(probe->events[n].kind, PROBE_FAILED);
    assert_int_equal(probe->events[n].uid, uid);
    assert_no_children();
    probe_run_for(probe, 0.02);
    assert_int_equal(probe->n_events, n + 1);
    return &probe->events[n];
}

/* ---- starting ----------------------------------------------------------------------------- */

static void tells_the_address_that_the_child_listens_at(void **state)
{
    (void)state;
    const struct probe_event *started = probe_start_and_wait(probe, 1, "Server1");
    int fd = socket(started->addr.storage.ss_family, SOCK_STREAM, 0);

    assert_int_equal(
        connect(fd, (const struct sockaddr *)&started->addr.storage, started->addr.len), 0);
    close(fd);
    assert_int_equal(kill((pid_t)started->pid, 0), 0);
    assert_int_equal(atol(started->reference), started->pid);
}

static void reads_an_address_that_comes_in_pieces(void **state)
{
    (void)state;
    assert_int_not_equal(addr_port(&probe_start_and_wait(probe, 1, "halves")->addr), 0);
}

/* The child itself looks: a status other than 0 is the number of a claim in ready_child.c. */
static void gives_the_child_a_clean_environment(void **state)
{
    static const char *const more[] = {"--more", "words", NULL};
    sigset_t some, old;
    int low = open("/dev/zero", O_RDONLY);
    int high = fcntl(low, F_DUPFD, 500);

    (void)state;
    config.server_args = more;
    config.orphan_after_ns = 1500 * NS_PER_MS;
    reopen();
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, &old);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    probe_start_and_wait(probe, UINT64_MAX, "inspects");
    probe_wait(probe, 2);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    close(low);
    close(high);
    assert_string_equal(probe->events[1].text, "exit status 0");
}

static void tells_a_start_and_an_end_in_one_turn_in_their_order(void **state)
{
    (void)state;
    for (uint64_t uid = 0; uid < 5; uid++) {
        size_t n = 2 * uid;
        assert_int_equal(probe_start(probe, uid, "brief", NULL), 0);
        usleep(30000); /* it has come and gone before the loop looks */
        probe_wait(probe, n + 2);
        assert_int_equal(probe->events[n].kind, PROBE_STARTED);
        assert_int_equal(probe->events[n + 1].kind, PROBE_EXITED);
        assert_string_equal(probe->events[n + 1].text, "exit status 7");
    }
    assert_no_children();
}

static void leaves_a_server_alone_once_it_listens(void **state)
{
    (void)state;
    config.start_timeout_ns = 2 * NS_PER_S;
    reopen();
    uint64_t begin_ns = clock_now_ns();
    probe_start_and_wait(probe, 1, "Server1");
    probe_run_for(probe, 2.1 - (double)(clock_now_ns() - begin_ns) / 1e9);
    assert_int_equal(probe->n_events, 1);
}

static void starts_and_stops_fifty_at_once(void **state)
{
    enum { N = 50 };

    (void)state;
    for (uint64_t uid = 0; uid < N; uid++)
        assert_int_equal(probe_start(probe, uid, uid % 5 ? "Server1" : "fails", NULL), 0);
    probe_wait(probe, N);
    assert_int_equal(probe_count(probe, PROBE_STARTED), N - N / 5);
    assert_int_equal(probe_count(probe, PROBE_FAILED), N / 5);
    for (uint64_t uid = 0; uid < N; uid++)
        probe_stop(probe, uid, uid % 2 ? 0 : LONG_NS);
    probe_wait(probe, N + N - N / 5);
    for (uint64_t uid = 0; uid < N; uid++)
        assert_true(!probe_find(probe, PROBE_EXITED, uid) == !(uid % 5));
    assert_no_children();
}

/* ---- starting in vain --------------------------------------------------------------------- */

static void says_how_a_child_ended_that_never_listened(void **state)
{
    (void)state;
    const struct probe_event *failed = fail_to_start(1, "fails.1");

    assert_int_equal(failed->code, -ECHILD);
    assert_string_equal(failed->text, "server fails.1 ended before it listened: exit status 3");
}

static void kills_a_child_that_does_not_listen_in_time(void **state)
{
    static const char *const names[] = {"mute.1", "deaf.1"};

    (void)state;
    config.start_timeout_ns = SHORT_NS;
    reopen();
    for (size_t i = 0; i < 2; i++) {
        uint64_t begin_ns = clock_now_ns();
        const struct probe_event *failed = fail_to_start(i, names[i]);
        assert_int_equal(failed->code, -ETIMEDOUT);
        assert_non_null(strstr(failed->text, names[i]));
        assert_non_null(strstr(failed->text, "0.06 s"));
        assert_true(failed->at_ns - begin_ns >= SHORT_NS);
    }
}

static void kills_a_child_that_closes_its_ready_pipe_and_lives_on(void **state)
{
    (void)state;
    const struct probe_event *failed = fail_to_start(1, "closes.1");

    assert_int_equal(failed->code, -ECHILD);
    assert_string_equal(failed->text, "server closes.1 closed its ready pipe without an address");
}

static void kills_a_child_that_tells_no_address(void **state)
{
    (void)state;
    const struct probe_event *failed = fail_to_start(1, "garbles");

    assert_int_equal(failed->code, -EPROTO);
    assert_non_null(strstr(failed->text, "quoit.example:80"));
    assert_int_equal(fail_to_start(2, "babbles")->code, -EPROTO);
}

static void stops_a_child_that_is_still_starting(void **state)
{
    static const struct {
        const char *name;
        uint64_t grace_ns;
    } cases[] = {{"mute", 0}, {"mute", LONG_NS}, {"deaf", SHORT_NS}, {"Server1", LONG_NS}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(probe_start(probe, i, cases[i].name, NULL), 0);
        if (i < 3)
            usleep(20000); /* it may be what it will be by now */
        probe_stop(probe, i, cases[i].grace_ns);
        probe_wait(probe, i + 1);
        assert_int_equal(probe->events[i].kind, PROBE_FAILED);
        assert_int_equal(probe->events[i].code, -ECANCELED);
        assert_no_children();
    }
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 4);
}

/* ---- starts that are refused -------------------------------------------------------------- */

/* Every refusal leaves the descriptors, the children and the loop as they were. */
static void refuses_a_program_that_cannot_run_and_leaks_nothing(void **state)
{
    char path[] = "/tmp/quoit-process-test-XXXXXX";
    int fd = mkstemp(path);
    const struct {
        const char *program;
        int code;
    } cases[] = {{"/nonexistent/quoit", -ENOENT}, {path, -EACCES}, {"/", -EACCES}};

    (void)state;
    fchmod(fd, 0644);
    close(fd);
    probe_run_for(probe, 0.001);
    for (size_t i = 0; i < 3; i++) {
        config.program = cases[i].program;
        reopen();
        unsigned n_before = probe_count_descriptors();
        for (uint64_t uid = 0; uid < 200; uid++) {
            struct err err = {0};
            assert_int_equal(probe_start(probe, uid, "Server1", &err), cases[i].code);
            assert_int_equal(err.code, cases[i].code);
            assert_non_null(strstr(err.message, cases[i].program));
            assert_non_null(strstr(err.message, "Server1"));
        }
        assert_int_equal(probe_count_descriptors(), n_before);
        assert_no_children();
    }
    unlink(path);
    assert_true(probe_loop_is_idle(probe));
    assert_int_equal(probe->n_events, 0);
}

static void leaks_nothing_over_200_failed_starts(void **state)
{
    unsigned n_before = 0;

    (void)state;
    config.program = "/bin/false";
    reopen();
    for (uint64_t uid = 0; uid < 200; uid++) {
        assert_int_equal(probe_start(probe, uid, "Server1", NULL), 0);
        probe_wait(probe, uid + 1);
        assert_int_equal(probe->events[uid].kind, PROBE_FAILED);
        if (uid == 0)
            n_before = probe_count_descriptors();
    }
    assert_int_equal(probe_count_descriptors(), n_before);
    assert_no_children();
}

/* With k descriptors free for every small k: refused, or started and fully watched. */
static void refuses_when_descriptors_run_out_and_leaves_nothing(void **state)
{
    struct rlimit old, tight;
    unsigned n_refused = 0, n_started = 0;

    (void)state;
    probe_start_and_wait(probe, 100, "Server1"); /* the loop has its own by now */
    probe_stop(probe, 100, 0);
    probe_wait(probe, 2);
    unsigned n_before = probe_count_descriptors();
    int first_free = dup(0); /* the limit is on the number, not on how many there are */
    close(first_free);
    getrlimit(RLIMIT_NOFILE, &old);
    tight = old;
    for (unsigned n_free = 0; n_free < 6; n_free++) {
        size_t n = probe->n_events;
        struct err err = {0};
        tight.rlim_cur = (rlim_t)first_free + n_free;
        setrlimit(RLIMIT_NOFILE, &tight);
        int code = probe_start(probe, n_free, "Server1", &err);
        setrlimit(RLIMIT_NOFILE, &old);
        if (code) {
            n_refused++;
            assert_int_equal(code, -EMFILE);
            assert_non_null(strstr(err.message, "Server1"));
            probe_run_for(probe, 0.02);
            assert_int_equal(probe->n_events, n);
        } else {
            n_started++;
            probe_stop(probe, n_free, 0);
            probe_wait(probe, n + 1);
        }
        assert_no_children();
        assert_int_equal(probe_count_descriptors(), n_before);
    }
    assert_true(n_refused >= 3);
    assert_true(n_started >= 1);
}

/* In a process of its own, which gives up what would exempt it from the limit. */
static void refuses_when_there_may_be_no_more_processes(void **state)
{
    const struct rlimit none = {0, 0};
    int status;

    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        if (geteuid() == 0 && setresuid(UNPRIVILEGED_UID, UNPRIVILEGED_UID, UNPRIVILEGED_UID))
            _exit(2);
        if (setrlimit(RLIMIT_NPROC, &none))
            _exit(3);
        unsigned n_before = probe_count_descriptors();
        if (probe_start(probe, 1, "Server1", &err) != -EAGAIN || !strstr(err.message, "Server1"))
            _exit(4);
        _exit(probe_count_descriptors() == n_before ? 0 : 5);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- ends --------------------------------------------------------------------------------- */

static void tells_how_a_server_ended(void **state)
{
    (void)state;
    pid_t pid = (pid_t)probe_start_and_wait(probe, 1, "Server1")->pid;
    kill(pid, SIGKILL);
    probe_wait(probe, 2);
    assert_string_equal(probe->events[1].text, "killed by SIGKILL");

    pid = (pid_t)probe_start_and_wait(probe, 2, "Server1")->pid;
    kill(pid, SIGRTMIN + 1);
    probe_wait(probe, 4);
    assert_non_null(strstr(probe->events[3].text, "killed by signal "));

    probe_start_and_wait(probe, 3, "Server1");
    probe_stop(probe, 3, LONG_NS);
    probe_wait(probe, 6);
    assert_string_equal(probe->events[5].text, "exit status 0");
    assert_no_children();
}

/* The loop sleeps while nothing happens, and wakes for the exit: no timer looks after servers. */
static void learns_of_an_exit_from_the_kernel_without_looking(void **state)
{
    (void)state;
    pid_t pid = (pid_t)probe_start_and_wait(probe, 1, "Server1")->pid;
    probe_run_for(probe, 0.001);
    unsigned turns_before = ev_iteration(probe->loop);
    probe_run_for(probe, 0.3);
    assert_in_range(ev_iteration(probe->loop) - turns_before, 1, 2);
    kill(pid, SIGKILL);
    turns_before = ev_iteration(probe->loop);
    probe_wait(probe, 2);
    assert_in_range(ev_iteration(probe->loop) - turns_before, 1, 2);
    assert_int_equal(probe->events[1].kind, PROBE_EXITED);
}

static void tells_how_servers_end_though_sigchld_was_ignored(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    reopen();
    probe_start_and_wait(probe, 1, "brief");
    probe_wait(probe, 2);
    assert_string_equal(probe->events[1].text, "exit status 7");
}

/* ---- stops -------------------------------------------------------------------------------- */

static void kills_a_stubborn_server_after_the_grace_and_not_before(void **state)
{
    (void)state;
    probe_start_and_wait(probe, 1, "stubborn");
    uint64_t begin_ns = clock_now_ns();
    probe_stop(probe, 1, SHORT_NS);
    probe_wait(probe, 2);
    assert_true(probe->events[1].at_ns - begin_ns >= SHORT_NS);
    assert_string_equal(probe->events[1].text, "killed by SIGKILL");
}

static void shortens_the_grace_but_never_lengthens_it(void **state)
{
    (void)state;
    probe_start_and_wait(probe, 1, "stubborn");
    probe_stop(probe, 1, LONG_NS);
    probe_stop(probe, 1, SHORT_NS);
    probe_wait(probe, 2); /* within the probe's patience, which is less than the long grace */
    probe_start_and_wait(probe, 2, "stubborn");
    probe_stop(probe, 2, SHORT_NS);
    probe_stop(probe, 2, LONG_NS);
    probe_wait(probe, 4);
    assert_string_equal(probe->events[3].text, "killed by SIGKILL");
}

static void kills_a_server_that_was_suspended(void **state)
{
    static const uint64_t graces_ns[] = {0, SHORT_NS};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pid_t pid = (pid_t)probe_start_and_wait(probe, i, "Server1")->pid;
        siginfo_t info;
        kill(pid, SIGSTOP);
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
        probe_run_for(probe, 0.02);
        assert_int_equal(probe->n_events, 2 * i + 1); /* suspended is not ended */
        probe_stop(probe, i, graces_ns[i]);
        probe_wait(probe, 2 * i + 2);
        assert_string_equal(probe->events[2 * i + 1].text, "killed by SIGKILL");
    }
    assert_no_children();
}

/* ---- adoption ----------------------------------------------------------------------------- */

/* An LB that is killed after it started one server. Returns that server as it would be read back
 * from the state file. */
static struct probe_event start_by_an_lb_that_is_killed(void)
{
    struct probe_event started = {0};
    int channel[2];

    assert_int_equal(pipe(channel), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct probe *other = probe_new();
        probe_open(other, &spec, &config);
        const struct probe_event *event = probe_start_and_wait(other, 1, "Server1");
        if (write(channel[1], event, sizeof(*event)) == (ssize_t)sizeof(*event))
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    close(channel[1]);
    assert_int_equal(read(channel[0], &started, sizeof(started)), sizeof(started));
    close(channel[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    return started;
}

static void adopts_a_server_that_is_not_its_child(void **state)
{
    struct probe_event started = start_by_an_lb_that_is_killed();

    (void)state;
    assert_no_children();
    assert_int_equal(kill((pid_t)started.pid, 0), 0);
    assert_int_equal(probe_adopt(probe, 5, &started, NULL), 0);
    probe_run_for(probe, 0.05);
    assert_int_equal(probe->n_events, 0);
    probe_stop(probe, 5, LONG_NS);
    probe_wait(probe, 1);
    assert_int_equal(probe->events[0].kind, PROBE_EXITED);
    assert_int_equal(probe->events[0].uid, 5);
    assert_string_equal(probe->events[0].text, "ended");
    assert_int_equal(probe_adopt(probe, 6, &started, NULL), -ESRCH);
}

static void learns_that_an_adopted_server_crashed(void **state)
{
    struct probe_event started = start_by_an_lb_that_is_killed();

    (void)state;
    assert_int_equal(probe_adopt(probe, 5, &started, NULL), 0);
    kill((pid_t)started.pid, SIGKILL);
    probe_wait(probe, 1);
    assert_int_equal(probe->events[0].kind, PROBE_EXITED);
}

/* The same number, but another process: an earlier start, an earlier boot. */
static void refuses_to_adopt_another_process_of_the_same_number(void **state)
{
    (void)state;
    const struct probe_event *started = probe_start_and_wait(probe, 1, "Server1");
    struct probe_event wrong = *started;
    long pid;
    unsigned long long starttime;
    char boot[64];

    assert_int_equal(sscanf(started->reference, "%ld/%llu/%63s", &pid, &starttime, boot), 3);
    reopen();
    snprintf(wrong.reference, sizeof(wrong.reference), "%ld/%llu/%s", pid, starttime - 1, boot);
    assert_int_equal(probe_adopt(probe, 2, &wrong, NULL), -ESRCH);
    boot[0] = boot[0] == '0' ? '1' : '0';
    snprintf(wrong.reference, sizeof(wrong.reference), "%ld/%llu/%s", pid, starttime, boot);
    assert_int_equal(probe_adopt(probe, 2, &wrong, NULL), -ESRCH);
    snprintf(wrong.reference, sizeof(wrong.reference), "%d/%llu/%s", (int)getpid(), starttime,
             boot);
    assert_int_equal(probe_adopt(probe, 2, &wrong, NULL), -ESRCH);
    assert_int_equal(kill((pid_t)pid, 0), 0);
    assert_int_equal(probe_adopt(probe, 2, started, NULL), 0);
}

static void refuses_to_adopt_a_zombie(void **state)
{
    siginfo_t info;

    (void)state;
    const struct probe_event *started = probe_start_and_wait(probe, 1, "Server1");
    reopen();
    kill((pid_t)started->pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)started->pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(probe_adopt(probe, 2, started, NULL), -ESRCH);
    assert_int_equal(waitpid((pid_t)started->pid, NULL, 0), started->pid);
    assert_int_equal(probe_adopt(probe, 2, started, NULL), -ESRCH);
}

#define CLAIM(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char **argv)
{
    ready_child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        CLAIM(tells_the_address_that_the_child_listens_at),
        CLAIM(reads_an_address_that_comes_in_pieces),
        CLAIM(gives_the_child_a_clean_environment),
        CLAIM(tells_a_start_and_an_end_in_one_turn_in_their_order),
        CLAIM(leaves_a_server_alone_once_it_listens),
        CLAIM(starts_and_stops_fifty_at_once),
        CLAIM(says_how_a_child_ended_that_never_listened),
        CLAIM(kills_a_child_that_does_not_listen_in_time),
        CLAIM(kills_a_child_that_closes_its_ready_pipe_and_lives_on),
        CLAIM(kills_a_child_that_tells_no_address),
        CLAIM(stops_a_child_that_is_still_starting),
        CLAIM(refuses_a_program_that_cannot_run_and_leaks_nothing),
        CLAIM(leaks_nothing_over_200_failed_starts),
        CLAIM(refuses_when_descriptors_run_out_and_leaves_nothing),
        CLAIM(refuses_when_there_may_be_no_more_processes),
        CLAIM(tells_how_a_server_ended),
        CLAIM(learns_of_an_exit_from_the_kernel_without_looking),
        CLAIM(tells_how_servers_end_though_sigchld_was_ignored),
        CLAIM(kills_a_stubborn_server_after_the_grace_and_not_before),
        CLAIM(shortens_the_grace_but_never_lengthens_it),
        CLAIM(kills_a_server_that_was_suspended),
        CLAIM(adopts_a_server_that_is_not_its_child),
        CLAIM(learns_that_an_adopted_server_crashed),
        CLAIM(refuses_to_adopt_another_process_of_the_same_number),
        CLAIM(refuses_to_adopt_a_zombie),
    };

    return cmocka_run_group_tests_name("backends/spawner/process", tests, NULL, NULL);
}
