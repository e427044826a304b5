/* How far a load is, on stderr: a bar with rate and time left on a terminal, plain lines (at most
 * one a second) elsewhere. Colour only on a terminal without NO_COLOR (no-color.org). */
#ifndef QUOIT_LOADGEN_PROGRESS_H
#define QUOIT_LOADGEN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/buf.h"
#include "loadgen/schedule.h"

struct progress_state {
    bool warming_up;
    uint64_t n_done; /* ended requests of this phase */
    uint64_t n_failed;
    uint64_t elapsed_ns; /* since the phase began */
    struct schedule_limit limit;
};

struct progress {
    FILE *out; /* NULL: say nothing */
    bool is_terminal;
    bool colour;
    bool shown;       /* a bar stands on the current line */
    uint64_t last_ns; /* elapsed at the last line */
    uint64_t last_done;
    double rate; /* of the last interval, requests a second */
};

/* out: stderr, or NULL for --quiet. Asks the environment about the terminal and NO_COLOR. */
void progress_init(struct progress *progress, FILE *out);
/* How often progress_show wants to be called, in seconds. */
double progress_interval_s(const struct progress *progress);
void progress_show(struct progress *progress, const struct progress_state *state);
/* Takes the bar away, so that other text can follow. */
void progress_clear(struct progress *progress);

/* 0 … 1 of whichever limit is nearer. */
double progress_fraction(const struct progress_state *state);
/* Seconds left at this rate; negative when nobody can tell. */
double progress_eta_s(const struct progress_state *state, double rate);
/* One line without its end: "12000 of 20000 (60 %), 61234 requests/s, ETA 1 s". bar_cells > 0 puts
 * a bar of that many cells before it. */
void progress_format(struct buf *out, const struct progress_state *state, double rate,
                     unsigned bar_cells, bool colour);

#endif
