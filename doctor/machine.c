/* The machine itself: what makes measurements on it differ from one another. */
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "doctor/check.h"

#define CPU "/sys/devices/system/cpu/"

static long cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}

static void cpu_model(char *text, size_t bytes)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(text, bytes, "unknown model");
    while (file && fgets(line, sizeof(line), file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(text, bytes, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (file)
        fclose(file);
}

static void check_cores(const struct check *check, const struct doctor_wants *wants,
                        struct doctor_report *report)
{
    char model[128];
    long n = cores();
    (void)wants;
    cpu_model(model, sizeof(model));
    check_add(report, check, n < 4 ? DOCTOR_WARN : DOCTOR_OK,
              n < 4 ? "compare rates and latencies of this machine only with its own; shares and "
                      "counts do not suffer"
                    : NULL,
              "%ld, %s", n, model);
}

static void check_load(const struct check *check, const struct doctor_wants *wants,
                       struct doctor_report *report)
{
    double load[3];
    (void)wants;
    if (getloadavg(load, 3) != 3)
        return;
    bool quiet = load[0] <= 0.5 * (double)cores();
    check_add(report, check, quiet ? DOCTOR_OK : DOCTOR_WARN,
              quiet ? NULL : "wait until it is quiet (top shows what runs) and repeat",
              "load average %.2f, %.2f, %.2f over 1, 5, 15 minutes on %ld cores", load[0], load[1],
              load[2], cores());
}

static void check_governor(const struct check *check, const struct doctor_wants *wants,
                           struct doctor_report *report)
{
    char governor[64];
    (void)wants;
    if (!file_read_line(CPU "cpu0/cpufreq/scaling_governor", governor, sizeof(governor))) {
        check_add(report, check, DOCTOR_NOTE, NULL,
                  "not visible; a virtual machine's host decides");
        return;
    }
    bool good = strcmp(governor, "performance") == 0;
    check_add(report, check, good ? DOCTOR_OK : DOCTOR_WARN,
              good ? NULL : "cpupower frequency-set -g performance", "%s", governor);
}

static void check_turbo(const struct check *check, const struct doctor_wants *wants,
                        struct doctor_report *report)
{
    char text[16];
    bool on;
    (void)wants;
    if (file_read_line(CPU "intel_pstate/no_turbo", text, sizeof(text)))
        on = text[0] == '0';
    else if (file_read_line(CPU "cpufreq/boost", text, sizeof(text)))
        on = text[0] == '1';
    else
        return; /* not visible: nothing to say */
    check_add(report, check, on ? DOCTOR_NOTE : DOCTOR_OK,
              on ? "for the steadiest figures: echo 1 > /sys/devices/system/cpu/intel_pstate/"
                   "no_turbo, or echo 0 > /sys/devices/system/cpu/cpufreq/boost"
                 : NULL,
              "%s", on ? "on" : "off");
}

static void check_smt(const struct check *check, const struct doctor_wants *wants,
                      struct doctor_report *report)
{
    char text[16];
    (void)wants;
    if (!file_read_line(CPU "smt/active", text, sizeof(text)))
        return;
    check_add(report, check, text[0] == '1' ? DOCTOR_NOTE : DOCTOR_OK,
              text[0] == '1' ? "pin load balancer and generator to cores of their own (taskset)"
                             : NULL,
              "%s", text[0] == '1' ? "on: cores come in pairs that share one" : "off");
}

static void check_kernel(const struct check *check, const struct doctor_wants *wants,
                         struct doctor_report *report)
{
    struct utsname name;
    unsigned major = 0, minor = 0;
    (void)wants;
    if (uname(&name) != 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
        return;
    bool works = major > 3 || (major == 3 && minor >= 9),
         good = major > 5 || (major == 5 && minor >= 3);
    check_add(report, check,
              !works ? DOCTOR_FAIL
              : good ? DOCTOR_OK
                     : DOCTOR_WARN,
              good ? NULL : "use a kernel from 5.3 on: exits of servers are told by pidfd",
              "%s %s, %s", name.sysname, name.release, name.machine);
}

static void check_clock(const struct check *check, const struct doctor_wants *wants,
                        struct doctor_report *report)
{
    enum { LOOKS = 2000 };
    char source[64] = "unknown";
    volatile uint64_t sink;
    (void)wants;
    file_read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
                   sizeof(source));
    uint64_t began_ns = clock_now_ns();
    for (int i = 0; i < LOOKS; i++)
        sink = clock_now_ns();
    double look_ns = (double)(clock_now_ns() - began_ns) / LOOKS;
    (void)sink;
    bool good = look_ns < 200;
    check_add(report, check, good ? DOCTOR_OK : DOCTOR_WARN,
              good ? NULL : "boot with clocksource=tsc where the hardware allows it",
              "%s, %.0f ns a look", source, look_ns);
}

static bool loopback_is_up(void)
{
    struct ifaddrs *all;
    bool up = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next)
        if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET &&
            (one->ifa_flags & IFF_LOOPBACK) && (one->ifa_flags & IFF_UP))
            up = true;
    freeifaddrs(all);
    return up;
}

static void check_loopback(const struct check *check, const struct doctor_wants *wants,
                           struct doctor_report *report)
{
    bool up = loopback_is_up();
    (void)wants;
    check_add(report, check, up ? DOCTOR_OK : DOCTOR_FAIL, up ? NULL : "ip link set lo up", "%s",
              up ? "up" : "down: nothing can connect to 127.0.0.1");
}

const struct check machine_checks[] = {
    {"machine", "cores",
     "load balancer, servers and generator share them, and take them from each other", false,
     check_cores},
    {"machine", "load", "what else runs takes time away at random and widens every interval", true,
     check_load},
    {"machine", "CPU governor", "a clock that follows the load makes light loads look slow", true,
     check_governor},
    {"machine", "turbo", "the clock falls when the chip gets warm: a later run is a slower one",
     false, check_turbo},
    {"machine", "SMT", "two busy threads of one core run at little more than half speed each",
     false, check_smt},
    {"machine", "kernel", "SO_REUSEPORT (3.9) and pidfd (5.3) are used", false, check_kernel},
    {"machine", "clock source", "latencies are differences of looks at the clock", true,
     check_clock},
    {"machine", "loopback", "processes of a cluster talk over 127.0.0.1", true, check_loopback},
    {0},
};
