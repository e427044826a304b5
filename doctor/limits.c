/* What the system lets a process have: descriptors, ports, memory, disk. */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/net.h"
#include "doctor/check.h"

#define MIB (UINT64_C(1) << 20)
/* Log, state file, timers, listening sockets: what a process has open besides connections. */
#define OTHER_DESCRIPTORS 64

static void check_descriptors(const struct check *check, const struct doctor_wants *wants,
                              struct doctor_report *report)
{
    struct rlimit limit;
    char hard[24];
    /* A connection to the LB has one end in the generator and one in the LB. */
    uint64_t needed = wants->n_connections + OTHER_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_max == RLIM_INFINITY)
        snprintf(hard, sizeof(hard), "unlimited");
    else
        snprintf(hard, sizeof(hard), "%" PRIu64, (uint64_t)limit.rlim_max);
    bool enough = limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= needed;
    check_add(report, check, enough ? DOCTOR_OK : DOCTOR_FAIL,
              enough ? NULL
                     : "raise the hard limit: ulimit -Hn 65536 as root, or "
                       "/etc/security/limits.conf, or docker run --ulimit nofile=65536",
              "soft %" PRIu64 " (raised to the hard limit at the start), hard %s; %" PRIu64
              " connections need %" PRIu64,
              (uint64_t)limit.rlim_cur, hard, wants->n_connections, needed);
}

/* Sockets that were closed and keep their port for 60 s. */
static uint64_t time_wait_sockets(void)
{
    char line[256];
    uint64_t n = 0;
    FILE *file = fopen("/proc/net/sockstat", "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file)) {
        const char *tw = strncmp(line, "TCP:", 4) == 0 ? strstr(line, " tw ") : NULL;
        if (tw)
            n = strtoull(tw + 4, NULL, 10);
    }
    fclose(file);
    return n;
}

static void check_ports(const struct check *check, const struct doctor_wants *wants,
                        struct doctor_report *report)
{
    char line[64];
    unsigned first, last;
    if (!file_read_line("/proc/sys/net/ipv4/ip_local_port_range", line, sizeof(line)) ||
        sscanf(line, "%u %u", &first, &last) != 2 || last < first)
        return;
    uint64_t n = last - first + 1, waiting = time_wait_sockets();
    uint64_t free_ports = n > waiting ? n - waiting : 0;
    bool enough = free_ports > 2 * wants->n_connections;
    bool roomy = free_ports >= 10000 || free_ports >= 8 * wants->n_connections;
    check_add(report, check,
              !enough ? DOCTOR_FAIL
              : roomy ? DOCTOR_OK
                      : DOCTOR_WARN,
              enough && roomy ? NULL
                              : "sysctl -w net.ipv4.ip_local_port_range='15000 65000', or wait a "
                                "minute for closed connections to go",
              "%u to %u: %" PRIu64 " ports, %" PRIu64 " of closed connections still waiting", first,
              last, n, waiting);
}

static void check_port_5000(const struct check *check, const struct doctor_wants *wants,
                            struct doctor_report *report)
{
    struct addr addr, bound;
    (void)wants;
    if (addr_parse("127.0.0.1:5000", &addr, NULL) != 0)
        return;
    int fd = net_listen(&addr, false, &bound, NULL);
    if (fd >= 0) {
        close(fd);
        check_add(report, check, DOCTOR_OK, NULL, "free on 127.0.0.1");
    } else {
        check_add(report, check, DOCTOR_WARN,
                  "end what listens there (`quoit ctl status` tells whether it is an LB), or start "
                  "with quoit lb --listen 127.0.0.1:5001; experiments take free ports of their own",
                  "%s",
                  fd == -EADDRINUSE ? "taken: something listens on 127.0.0.1:5000"
                                    : err_errno_text(fd));
    }
}

static void check_memory(const struct check *check, const struct doctor_wants *wants,
                         struct doctor_report *report)
{
    char line[256];
    uint64_t total = 0, available = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    (void)wants;
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "MemTotal:", 9) == 0)
            total = strtoull(line + 9, NULL, 10) / 1024;
        else if (strncmp(line, "MemAvailable:", 13) == 0)
            available = strtoull(line + 13, NULL, 10) / 1024;
    }
    fclose(file);
    enum doctor_level level = available < 64    ? DOCTOR_FAIL
                              : available < 512 ? DOCTOR_WARN
                                                : DOCTOR_OK;
    check_add(report, check, level, level == DOCTOR_OK ? NULL : "end other programs",
              "%" PRIu64 " MiB available of %" PRIu64 " MiB", available, total);
}

/* The folder, or the nearest one above it that is there. */
static void nearest_folder(const char *path, char *folder)
{
    snprintf(folder, PATH_MAX, "%s", path);
    while (access(folder, F_OK) != 0 && strcmp(folder, ".") != 0 && strcmp(folder, "/") != 0) {
        char *copy = mem_strdup(folder);
        snprintf(folder, PATH_MAX, "%s", dirname(copy));
        free(copy);
    }
}

static void check_disk(const struct check *check, const struct doctor_wants *wants,
                       struct doctor_report *report)
{
    char folder[PATH_MAX];
    struct statvfs disk;
    nearest_folder(wants->results_dir, folder);
    if (access(folder, W_OK | X_OK) != 0) {
        check_add(report, check, DOCTOR_FAIL,
                  "run where you may write, or name another folder with --results",
                  "%s: %s cannot be written to", wants->results_dir, folder);
        return;
    }
    if (statvfs(folder, &disk) != 0)
        return;
    uint64_t mib = (uint64_t)disk.f_bavail * disk.f_frsize / MIB;
    enum doctor_level level = mib < 100 ? DOCTOR_FAIL : mib < 1024 ? DOCTOR_WARN : DOCTOR_OK;
    check_add(report, check, level, level == DOCTOR_OK ? NULL : "make room on that disk",
              "%s: %" PRIu64 " MiB free", wants->results_dir, mib);
}

const struct check limit_checks[] = {
    {"limits", "file descriptors", "every connection takes one at either end", true,
     check_descriptors},
    {"limits", "ephemeral ports",
     "every connection takes one, and keeps it for a minute after it was closed", true,
     check_ports},
    {"limits", "port 5000", "the load balancer serves there unless told otherwise", false,
     check_port_5000},
    {"limits", "memory", "what swaps is not measured but waited for", true, check_memory},
    {"limits", "disk", "results, charts and durable stores are written there", true, check_disk},
    {0},
};
