#include "ctl/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"

const char *words_latency(uint64_t ns, char *text)
{
    double ms = (double)ns / (double)NS_PER_MS;
    /* Limits a little below the powers of ten, so that 9.996 does not become 10.00. */
    if (ms < 0.9995)
        snprintf(text, WORDS_BYTES, "%.3f ms", ms);
    else if (ms < 9.995)
        snprintf(text, WORDS_BYTES, "%.2f ms", ms);
    else if (ms < 99.95)
        snprintf(text, WORDS_BYTES, "%.1f ms", ms);
    else if (ms < 999.5)
        snprintf(text, WORDS_BYTES, "%.0f ms", ms);
    else
        snprintf(text, WORDS_BYTES, ms < 99950 ? "%.2f s" : "%.0f s", ms / 1000);
    return text;
}

const char *words_uptime(uint64_t ns, char *text)
{
    uint64_t s = ns / NS_PER_S;
    if (s < 60)
        snprintf(text, WORDS_BYTES, "%" PRIu64 "s", s);
    else if (s < 3600)
        snprintf(text, WORDS_BYTES, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(text, WORDS_BYTES, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(text, WORDS_BYTES, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
    return text;
}

const char *words_share(double share, char *text)
{
    snprintf(text, WORDS_BYTES, "%.2f %%", 100 * share);
    return text;
}

const char *words_time(const char *iso, uint64_t now_wall_ns, char *text)
{
    struct tm utc = {0}, then, today;
    time_t now = (time_t)(now_wall_ns / NS_PER_S);
    const char *rest = strptime(iso, "%Y-%m-%dT%H:%M:%S", &utc);
    char clock[16], date[16] = "";
    int n_fraction = 0;
    if (rest && *rest == '.')
        n_fraction = (int)(1 + strspn(rest + 1, "0123456789"));
    if (!rest || n_fraction > 10 || strcmp(rest + n_fraction, "Z") != 0) {
        snprintf(text, WORDS_BYTES, "%s", iso);
        return text;
    }
    time_t seconds = timegm(&utc);
    localtime_r(&seconds, &then);
    localtime_r(&now, &today);
    strftime(clock, sizeof(clock), "%H:%M:%S", &then);
    if (then.tm_year != today.tm_year || then.tm_yday != today.tm_yday)
        strftime(date, sizeof(date), "%Y-%m-%d ", &then);
    snprintf(text, WORDS_BYTES, "%s%s%.*s", date, clock, n_fraction, rest);
    return text;
}
