# What a write request of 1, 10, 100 … rows brings: rows a second in the left panel, requests a
# second in the right one, a line a value of the first axis; both scales are logarithmic. Median of
# the repeats (dot) with its interval (thick).
#
# Reads $points, label1 and what database_outcome.h says.

head = 138
width = 860
left_edge = 74
gap = 96
right_edge = 74
panel = (width - left_edge - gap - right_edge) / 2.0

# The lines: the points with the same text of the first axis.
array tints[4] = [first, second, third, fourth]
array line_name[n_points]
array line_of[n_points]
n_lines = 0
do for [p = 1:n_points] {
    line_of[p] = 0
    do for [i = 1:n_lines] { line_of[p] = line_name[i] eq label1[p] ? i : line_of[p] }
    if (line_of[p] == 0) {
        n_lines = n_lines + 1
        line_name[n_lines] = label1[p]
        line_of[p] = n_lines
    }
}
tint_of(i) = tints[(i - 1) % 4 + 1]

# The numbers stand in rows of their own below the panels: beside dots that lie close together they
# would cover each other.
numbers = 20
foot = 40 + n_lines * numbers + 26
height = head + 300 + foot

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 conditions at screen across(18), screen down(50) left font sized(13) textcolor rgb muted
set label 3 sprintf('%d %s · load balancer, servers and generator on one machine', repeats, \
    repeats == 1 ? 'run' : 'repeats') \
    at screen across(18), screen down(70) left font sized(13) textcolor rgb muted

# The key, in words beside the shapes.
y0 = 95
at = 18
do for [i = 1:n_lines] {
    set object i circle at screen across(at + 6), screen down(y0) size screen 0.0065 \
        fillstyle solid 1 noborder fillcolor rgb tint_of(i)
    set label 10 + i line_name[i] at screen across(at + 18), screen down(y0) left font sized(13) \
        textcolor rgb ink
    at = at + 18 + 8.0 * strlen(line_name[i]) + 22
}
set arrow 1 from screen across(at), screen down(y0) to screen across(at + 16), screen down(y0) \
    nohead linecolor rgb muted linewidth 5
set label 4 sprintf('%d %% interval of the median', confidence) \
    at screen across(at + 23), screen down(y0) left font sized(13) textcolor rgb ink

set tmargin at screen down(head)
set bmargin at screen down(height - foot)
set grid ytics linetype 1 linewidth 1 linecolor rgb faint
set label 5 'rows in a request; below it the medians' at screen across(left_edge), \
    screen down(height - 16) left font sized(12) textcolor rgb muted

array heading[2] = ['rows/s', 'requests/s']
array metric[2] = ['write_rows', 'write_rate']
least_rows = rows_a_request[1]
most_rows = rows_a_request[1]
do for [p = 2:n_points] {
    least_rows = rows_a_request[p] < least_rows ? rows_a_request[p] : least_rows
    most_rows = rows_a_request[p] > most_rows ? rows_a_request[p] : most_rows
}
array low[2]
array high[2]
array median[2 * n_points]
do for [k = 1:2] {
    do for [p = 1:n_points] {
        stats $points using (column('point') == p ? column(metric[k].'_median') : NaN) nooutput
        median[(k - 1) * n_points + p] = STATS_max
    }
    stats $points using (column(metric[k].'_low')) nooutput
    low[k] = 10 ** floor(log10(STATS_min))
    stats $points using (column(metric[k].'_high')) nooutput
    high[k] = 10 ** ceil(log10(STATS_max))
}

set logscale xy
set xrange [least_rows / 1.6:most_rows * 1.6]
unset xtics
set xtics scale 0 font tick_font textcolor rgb muted
do for [p = 1:n_points] { set xtics add (sprintf('%d', rows_a_request[p]) rows_a_request[p]) }
# 20000 as "20 000" is read at a glance.
thousands(v) = v < 1e4 ? sprintf('%.0f', v) : sprintf('%d %03d', int(v + 0.5) / 1000, \
    int(v + 0.5) % 1000)

# Lines stand a little beside each other, so that no interval covers another.
place(p) = rows_a_request[p] * 1.14 ** (line_of[p] - (n_lines + 1) / 2.0)

do for [k = 1:2] {
    left = left_edge + (k - 1) * (panel + gap)
    set lmargin at screen across(left)
    set rmargin at screen across(left + panel)
    # A hair wider: a tic at the very end may be rounded away.
    set yrange [low[k] * 0.9999:high[k] * 1.0001]
    set ytics () font tick_font textcolor rgb muted
    do for [e = decade(low[k]):decade(high[k])] { set ytics add (sprintf('%.0f', 10.0 ** e) 10.0 ** e) }
    set label 6 heading[k] at screen across(left - left_edge + 18), screen down(head - 14) left \
        font sized(13) textcolor rgb ink
    if (k == 2) { set label 5 at screen across(left), screen down(height - 16) }
    do for [p = 1:n_points] {
        x = left + panel * log(rows_a_request[p] * 1.6 / least_rows) / \
            log(1.6 * 1.6 * most_rows / least_rows)
        set label 100 + p thousands(median[(k - 1) * n_points + p]) at screen across(x), \
            screen down(height - foot + 22 + line_of[p] * numbers) center font sized(13) \
            textcolor rgb tint_of(line_of[p])
    }
    plot for [i = 1:n_lines] $points using \
            (line_of[int(column('point'))] == i ? place(int(column('point'))) : NaN):\
            (column(metric[k].'_median')) \
            with linespoints pointtype 7 pointsize 1 linewidth 1.5 linecolor rgb tint_of(i), \
        for [i = 1:n_lines] $points using \
            (line_of[int(column('point'))] == i ? place(int(column('point'))) : NaN):\
            (column(metric[k].'_low')):(0):(column(metric[k].'_high') - column(metric[k].'_low')) \
            with vectors nohead linewidth 5 linecolor rgb tint_of(i)
    do for [i = 1:4] { unset label i }
    do for [i = 1:n_lines] { unset label 10 + i; unset object i }
    unset arrow 1
}
unset multiplot
