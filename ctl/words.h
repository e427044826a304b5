/* Durations and shares as people read them. */
#ifndef QUOIT_CTL_WORDS_H
#define QUOIT_CTL_WORDS_H

#include <stdint.h>

/* Every text here fits, with its NUL. */
#define WORDS_BYTES 32

/* Three digits or so: "0.042 ms", "3.12 ms", "38.2 ms", "412 ms", "2.31 s". Writes into text and
 * returns it. */
const char *words_latency(uint64_t ns, char *text);
/* "41s", "3m12s", "2h05m", "4d03h". */
const char *words_uptime(uint64_t ns, char *text);
/* "84.37 %". */
const char *words_share(double share, char *text);
/* ISO 8601 in UTC, as the LB writes it, as local time of day: "09:30:12.345", with the date before
 * it where that is not today's (as `now_wall_ns` has it). What is no such time stays as it is. */
const char *words_time(const char *iso, uint64_t now_wall_ns, char *text);

#endif
