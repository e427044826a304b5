#include "core/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_read(clockid_t id)
{
    struct timespec now;
    int result = clock_gettime(id, &now);

    assert(result == 0);
    (void)result;
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_now_ns(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void)
{
    return clock_read(CLOCK_REALTIME);
}

uint64_t clock_cpu_ns(void)
{
    return clock_read(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t clock_thread_cpu_ns(void)
{
    return clock_read(CLOCK_THREAD_CPUTIME_ID);
}

int clock_cpu_of_pid_ns(long pid, uint64_t *ret_ns)
{
    char path[64], text[1024];
    const char *rest;
    unsigned long long user, system;
    long ticks_per_s = sysconf(_SC_CLK_TCK);
    ssize_t n;
    int fd;

    if (pid <= 0)
        return -ESRCH;
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -ESRCH;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return -ESRCH;
    text[n] = '\0';
    /* proc(5): "PID (COMM) STATE …", COMM may hold anything, ")" too; utime and stime are fields 14
     * and 15, the 12th and 13th after it. */
    rest = strrchr(text, ')');
    if (rest == NULL || sscanf(rest + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu",
                               &user, &system) != 2)
        return -ESRCH;
    *ret_ns = (uint64_t)(user + system) * (NS_PER_S / (uint64_t)ticks_per_s);
    return 0;
}

static struct tm clock_utc(uint64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    return utc;
}

/* n decimal digits of value, zero-padded, without the checks that printf's ranges would need. */
static char *clock_put_digits(char *to, int n, unsigned value)
{
    for (int i = n - 1; i >= 0; i--) {
        to[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return to + n;
}

static char *clock_put_text(char *to, const char *text)
{
    size_t n = strlen(text);

    memcpy(to, text, n);
    return to + n;
}

/* "09:30:12" with sep ":" or "093012" with "". */
static char *clock_put_time(char *to, const struct tm *utc, const char *sep)
{
    to = clock_put_digits(to, 2, (unsigned)utc->tm_hour);
    to = clock_put_text(to, sep);
    to = clock_put_digits(to, 2, (unsigned)utc->tm_min);
    to = clock_put_text(to, sep);
    return clock_put_digits(to, 2, (unsigned)utc->tm_sec);
}

static char *clock_put_date(char *to, const struct tm *utc, const char *sep)
{
    to = clock_put_digits(to, 4, (unsigned)utc->tm_year + 1900);
    to = clock_put_text(to, sep);
    to = clock_put_digits(to, 2, (unsigned)utc->tm_mon + 1);
    to = clock_put_text(to, sep);
    return clock_put_digits(to, 2, (unsigned)utc->tm_mday);
}

void clock_format_iso(uint64_t wall_ns, char *text)
{
    struct tm utc = clock_utc(wall_ns);
    char *to = clock_put_date(text, &utc, "-");

    to = clock_put_text(to, "T");
    to = clock_put_time(to, &utc, ":");
    to = clock_put_text(to, ".");
    to = clock_put_digits(to, 3, (unsigned)(wall_ns % NS_PER_S / NS_PER_MS));
    to = clock_put_text(to, "Z");
    *to = '\0';
}

void clock_format_compact(uint64_t wall_ns, char *text)
{
    struct tm utc = clock_utc(wall_ns);
    char *to = clock_put_date(text, &utc, "");

    to = clock_put_text(to, "T");
    to = clock_put_time(to, &utc, "");
    to = clock_put_text(to, "Z");
    *to = '\0';
}

void clock_format_http(uint64_t wall_ns, char *text)
{
    /* Not strftime(): its names follow the locale. */
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm utc = clock_utc(wall_ns);
    char *to = clock_put_text(text, days[utc.tm_wday]);

    to = clock_put_text(to, ", ");
    to = clock_put_digits(to, 2, (unsigned)utc.tm_mday);
    to = clock_put_text(to, " ");
    to = clock_put_text(to, months[utc.tm_mon]);
    to = clock_put_text(to, " ");
    to = clock_put_digits(to, 4, (unsigned)utc.tm_year + 1900);
    to = clock_put_text(to, " ");
    to = clock_put_time(to, &utc, ":");
    to = clock_put_text(to, " GMT");
    *to = '\0';
}
