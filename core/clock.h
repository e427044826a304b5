/* Time, always in nanoseconds. */
#ifndef QUOIT_CORE_CLOCK_H
#define QUOIT_CORE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* CLOCK_MONOTONIC: for durations. */
uint64_t clock_now_ns(void);
/* CLOCK_REALTIME: for people. */
uint64_t clock_wall_ns(void);
/* User + system CPU time of this process so far, all threads. */
uint64_t clock_cpu_ns(void);
/* Of the calling thread alone. */
uint64_t clock_thread_cpu_ns(void);
/* The same of another process (from /proc/PID/stat, 10 ms steps). 0, or -ESRCH. */
int clock_cpu_of_pid_ns(long pid, uint64_t *ret_ns);

/* ISO 8601 with milliseconds, "2026-11-21T09:30:12.345Z". text holds at least 25 bytes. */
#define CLOCK_ISO_BYTES 25
void clock_format_iso(uint64_t wall_ns, char *text);
/* The same second as a file name, "20261121T093012Z". text holds at least 17 bytes. */
#define CLOCK_COMPACT_BYTES 17
void clock_format_compact(uint64_t wall_ns, char *text);
/* RFC 9110 §5.6.7 IMF-fixdate, "Sat, 21 Nov 2026 09:30:12 GMT". text holds at least 30 bytes. */
#define CLOCK_HTTP_BYTES 30
void clock_format_http(uint64_t wall_ns, char *text);

#endif
