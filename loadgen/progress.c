#include "loadgen/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

#define BAR_CELLS 24
#define GREEN "\033[32m"
#define RED "\033[31m"
#define PLAIN "\033[0m"
#define CLEAR_LINE "\r\033[K"

void progress_init(struct progress *progress, FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    *progress = (struct progress){.out = out};
    if (!out)
        return;
    progress->is_terminal = isatty(fileno(out)) && !(term && strcmp(term, "dumb") == 0);
    progress->colour = progress->is_terminal && !(no_color && *no_color);
}

double progress_interval_s(const struct progress *progress)
{
    return progress->is_terminal ? 0.1 : 1.0;
}

double progress_fraction(const struct progress_state *state)
{
    double by_count = 0., by_time = 0., fraction;

    if (state->limit.n_requests)
        by_count = (double)state->n_done / (double)state->limit.n_requests;
    if (state->limit.duration_ns)
        by_time = (double)state->elapsed_ns / (double)state->limit.duration_ns;
    fraction = fmax(by_count, by_time);
    return fraction < 1. ? fraction : 1.;
}

double progress_eta_s(const struct progress_state *state, double rate)
{
    double eta = INFINITY;

    if (state->limit.n_requests && rate > 0.)
        eta = state->limit.n_requests > state->n_done
                  ? (double)(state->limit.n_requests - state->n_done) / rate
                  : 0.;
    if (state->limit.duration_ns) {
        double left =
            state->limit.duration_ns > state->elapsed_ns
                ? (double)(state->limit.duration_ns - state->elapsed_ns) / (double)NS_PER_S
                : 0.;
        eta = fmin(eta, left);
    }
    return isinf(eta) ? -1. : eta;
}

static void append_eta(struct buf *out, double eta_s)
{
    if (eta_s < 0.)
        buf_append_str(out, ", ETA unknown");
    else if (eta_s < 60.)
        buf_appendf(out, ", ETA %.0f s", ceil(eta_s));
    else if (eta_s < 86400.)
        buf_appendf(out, ", ETA %d:%02d:%02d", (int)eta_s / 3600, (int)eta_s / 60 % 60,
                    (int)eta_s % 60);
    else
        buf_appendf(out, ", ETA %.1f days", eta_s / 86400.);
}

void progress_format(struct buf *out, const struct progress_state *state, double rate,
                     unsigned bar_cells, bool colour)
{
    double fraction = progress_fraction(state);

    if (bar_cells) {
        unsigned full = (unsigned)(fraction * bar_cells);
        buf_appendf(out, "[%s", colour ? GREEN : "");
        for (unsigned i = 0; i < bar_cells; i++)
            buf_append_str(out, i < full ? "=" : i == full ? ">" : " ");
        buf_appendf(out, "%s] ", colour ? PLAIN : "");
    }
    if (state->warming_up)
        buf_append_str(out, "warm-up: ");
    buf_appendf(out, "%" PRIu64, state->n_done);
    if (state->limit.n_requests)
        buf_appendf(out, " of %" PRIu64, state->limit.n_requests);
    buf_appendf(out, " (%.0f %%), %.0f requests/s", floor(100. * fraction), rate);
    if (state->n_failed)
        buf_appendf(out, ", %s%" PRIu64 " failed%s", colour ? RED : "", state->n_failed,
                    colour ? PLAIN : "");
    append_eta(out, progress_eta_s(state, rate));
}

void progress_show(struct progress *progress, const struct progress_state *state)
{
    uint64_t passed_ns;
    struct buf line;

    if (!progress->out)
        return;
    if (state->n_done < progress->last_done || state->elapsed_ns < progress->last_ns)
        progress->last_done = progress->last_ns = 0; /* another phase began */
    passed_ns = state->elapsed_ns - progress->last_ns;
    if (passed_ns > 0) {
        double now =
            (double)(state->n_done - progress->last_done) * (double)NS_PER_S / (double)passed_ns;
        /* Ten looks a second need some smoothing; one does not. */
        progress->rate =
            progress->is_terminal && progress->last_ns ? 0.8 * progress->rate + 0.2 * now : now;
    }
    progress->last_ns = state->elapsed_ns;
    progress->last_done = state->n_done;

    buf_init(&line, 0);
    if (progress->is_terminal)
        buf_append_str(&line, CLEAR_LINE);
    progress_format(&line, state, progress->rate, progress->is_terminal ? BAR_CELLS : 0,
                    progress->colour);
    if (!progress->is_terminal)
        buf_append_str(&line, "\n");
    fwrite(buf_head(&line), 1, buf_len(&line), progress->out);
    fflush(progress->out);
    progress->shown = progress->is_terminal;
    buf_done(&line);
}

void progress_clear(struct progress *progress)
{
    if (!progress->out || !progress->shown)
        return;
    fputs(CLEAR_LINE, progress->out);
    fflush(progress->out);
    progress->shown = false;
}
