#include "ring/svg.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "core/mem.h"

#define SIZE 460.0 /* of the circle's part of the picture, pixels */
#define CENTRE (SIZE / 2)
#define OUTER 160.0
#define INNER 104.0
#define BAR_BASE 165.0
#define BAR_TOP 218.0
#define N_BARS 256u
#define N_SAMPLES 8192u /* places that are asked for their owner */
#define ROW 21.0
#define LEGEND_ROWS 20u
#define LEGEND_WIDTH 270.0
#define N_COLOURS 8u

/* Okabe and Ito's (2008), black left out for a grey: told apart by the colour-blind too. */
static const char *const palette[N_COLOURS] = {"#0072b2", "#e69f00", "#009e73", "#cc79a7",
                                               "#56b4e9", "#d55e00", "#f0e442", "#8c8c8c"};

static const char style[] =
    "<style>.ground{fill:#ffffff}.ink{fill:#1f2328}.muted{fill:#59636e}.bar{fill:#59636e}"
    ".gap{stroke:#ffffff}@media(prefers-color-scheme:dark){.ground{fill:#0d1117}"
    ".ink{fill:#e6edf3}.muted{fill:#9aa4af}.bar{fill:#9aa4af}.gap{stroke:#0d1117}}"
    "text{font:14px Helvetica,Arial,sans-serif}.small{font-size:12px}.big{font-size:17px}"
    "</style>\n";

/* Beyond as many members as colours these come again, paler. */
static double opacity_of(size_t owner)
{
    return owner < N_COLOURS ? 1 : owner < 2 * N_COLOURS ? 0.55 : 0.3;
}

/* Clockwise from the top. */
static double x_at(double turn, double radius)
{
    return CENTRE + radius * sin(2 * M_PI * turn);
}

static double y_at(double turn, double radius)
{
    return CENTRE - radius * cos(2 * M_PI * turn);
}

/* A piece of the ring from one turn to another. */
static void print_arc(double from, double to, uint32_t owner, struct buf *out)
{
    if (to - from > 0.5) { /* two halves: an arc cannot close upon itself */
        double middle = from + (to - from) / 2;
        print_arc(from, middle, owner, out);
        print_arc(middle, to, owner, out);
        return;
    }
    buf_appendf(out,
                "<path d=\"M%.2f %.2fA%g %g 0 0 1 %.2f %.2fL%.2f %.2fA%g %g 0 0 0 %.2f %.2fZ\" "
                "fill=\"%s\" fill-opacity=\"%g\"/>\n",
                x_at(from, OUTER), y_at(from, OUTER), OUTER, OUTER, x_at(to, OUTER),
                y_at(to, OUTER), x_at(to, INNER), y_at(to, INNER), INNER, INNER, x_at(from, INNER),
                y_at(from, INNER), palette[owner % N_COLOURS], opacity_of(owner));
}

static void print_owners(const struct ring_state *state, struct buf *out)
{
    const struct placement *placement = state->placement;
    uint32_t owner = placement->ops->owner_at(placement, 0.5 / N_SAMPLES);
    double from = 0;
    buf_append_str(out, "<g class=\"gap\" stroke-width=\"0.4\">\n");
    for (unsigned i = 1; i <= N_SAMPLES; i++) {
        uint32_t next = i < N_SAMPLES ? placement->ops->owner_at(placement, (i + 0.5) / N_SAMPLES)
                                      : PLACEMENT_NONE;
        if (next == owner)
            continue;
        print_arc(from, (double)i / N_SAMPLES, owner, out);
        from = (double)i / N_SAMPLES;
        owner = next;
    }
    buf_append_str(out, "</g>\n");
}

/* How many request ids fall where. Returns the most that one bar has, over the mean; 0 without. */
static double print_requests(const struct ring_setup *setup, struct buf *out)
{
    uint64_t counts[N_BARS] = {0}, most = 0;
    if (isnan(ring_setup_position(setup, REQUEST_ID_FIRST)))
        return 0;
    for (uint64_t key = REQUEST_ID_FIRST; key <= REQUEST_ID_LAST; key++)
        counts[(size_t)(ring_setup_position(setup, key) * N_BARS)]++;
    for (unsigned i = 0; i < N_BARS; i++)
        most = counts[i] > most ? counts[i] : most;
    buf_append_str(out, "<g class=\"bar\">\n");
    for (unsigned i = 0; i < N_BARS; i++) {
        if (counts[i] == 0)
            continue;
        double top = BAR_BASE + (BAR_TOP - BAR_BASE) * (double)counts[i] / (double)most;
        double from = (i + 0.15) / N_BARS, to = (i + 0.85) / N_BARS;
        buf_appendf(out, "<path d=\"M%.2f %.2fL%.2f %.2fL%.2f %.2fL%.2f %.2fZ\"/>\n",
                    x_at(from, BAR_BASE), y_at(from, BAR_BASE), x_at(from, top), y_at(from, top),
                    x_at(to, top), y_at(to, top), x_at(to, BAR_BASE), y_at(to, BAR_BASE));
    }
    buf_append_str(out, "</g>\n");
    return (double)most * N_BARS / (double)(REQUEST_ID_LAST - REQUEST_ID_FIRST + 1);
}

static void print_legend(const struct ring_setup *setup, const struct ring_state *state,
                         const double *shares, double most, struct buf *out)
{
    size_t n = state->members.n, n_rows = n < LEGEND_ROWS ? n : LEGEND_ROWS;
    double x = SIZE + 8, y = 40;
    buf_appendf(out,
                "<text class=\"ink big\" x=\"%g\" y=\"%g\">%s</text>\n"
                "<text class=\"muted small\" x=\"%g\" y=\"%g\">%s, %zu server%s</text>\n",
                x, y, setup->placement, x, y + 18, setup->hash, n, n == 1 ? "" : "s");
    y += 48;
    for (size_t i = 0; i < n_rows; i++, y += ROW)
        buf_appendf(out,
                    "<rect x=\"%g\" y=\"%g\" width=\"12\" height=\"12\" fill=\"%s\" "
                    "fill-opacity=\"%g\"/>"
                    "<text class=\"ink\" x=\"%g\" y=\"%g\">%s</text>"
                    "<text class=\"ink\" x=\"%g\" y=\"%g\" text-anchor=\"end\">%.2f %%</text>\n",
                    x, y - 11, palette[i % N_COLOURS], opacity_of(i), x + 20, y,
                    state->members.names[i], x + LEGEND_WIDTH - 20, y, 100 * shares[i]);
    if (n > n_rows)
        buf_appendf(out, "<text class=\"muted\" x=\"%g\" y=\"%g\">and %zu more</text>\n", x + 20, y,
                    n - n_rows);
    y += n > n_rows ? ROW + 10 : 10;
    if (most > 0)
        buf_appendf(
            out,
            "<text class=\"muted small\" x=\"%g\" y=\"%g\">Bars: where request ids fall;"
            "</text><text class=\"muted small\" x=\"%g\" y=\"%g\">the longest is %.1f times "
            "the mean.</text>\n",
            x, y, x, y + 16, most);
}

void ring_svg_print(const struct ring_setup *setup, const struct ring_state *state,
                    const double *shares, struct buf *out)
{
    size_t n_rows = state->members.n < LEGEND_ROWS ? state->members.n : LEGEND_ROWS + 1;
    double height = fmax(SIZE, 40 + 48 + (double)n_rows * ROW + 50), width = SIZE + LEGEND_WIDTH;
    assert(state->placement->ops->owner_at && state->members.n > 0);
    buf_appendf(out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
                "height=\"%g\">\n<title>%s over %s, %zu servers</title>\n",
                width, height, width, height, setup->placement, setup->hash, state->members.n);
    buf_append_str(out, style);
    buf_appendf(out, "<rect class=\"ground\" width=\"%g\" height=\"%g\"/>\n", width, height);
    print_owners(state, out);
    double most = print_requests(setup, out);
    buf_appendf(out,
                "<text class=\"muted small\" x=\"%g\" y=\"%g\" text-anchor=\"middle\">0</text>\n",
                CENTRE, CENTRE - INNER + 16);
    print_legend(setup, state, shares, most, out);
    buf_append_str(out, "</svg>\n");
}
