# p99 over the rate of an open loop, a line a value of the first axis: the median of the repeats with
# its interval; both scales logarithmic.
#
# Reads $points (columns point p99_median p99_low p99_high) and the arrays label1 value2.

width = 860
height = 460
head = 96
left_edge = 64
n_lines = 1
do for [p = 2:n_points] { n_lines = n_lines + (label1[p] eq label1[p - 1] ? 0 : 1) }
n_inner = n_points / n_lines

@open_figure
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('open loop, N = %d servers, %d repeats, medians with %d %% intervals; logarithmic scales', \
    n_servers[1], repeats, confidence) at screen across(18), screen down(50) left font sized(13) \
    textcolor rgb muted
do for [i = 1:n_lines] {
    x = 18 + (i - 1) * 390
    set arrow 50 + i from screen across(x), screen down(76) to screen across(x + 22), screen down(76) \
        nohead linecolor rgb line_colour(i) linewidth 2.5
    set label 50 + i label1[(i - 1) * n_inner + 1] at screen across(x + 28), screen down(76) left \
        font sized(13) textcolor rgb ink
}
set lmargin at screen across(left_edge)
set rmargin at screen across(width - 24)
set tmargin at screen down(head + 24)
set bmargin at screen down(height - 56)
set logscale xy
set grid xtics
set xrange [value2[1] / 1.25:value2[n_inner] * 1.25]
set xtics (value2[1] value2[1]) font tick_font textcolor rgb muted
do for [i = 2:n_inner] { set xtics add (value2[i] value2[i]) }
set ytics font tick_font textcolor rgb muted format '%g'
set label 11 'p99, ms' at screen across(18), screen down(head + 8) left font sized(12) \
    textcolor rgb muted
set label 12 'requests/s' at screen across((left_edge + width - 24) / 2), screen down(height - 16) \
    center font sized(12) textcolor rgb muted
mine(i) = int((column('point') - 1) / n_inner) == i - 1 ? value2[int(column('point'))] + 0 : NaN
plot for [i = 1:n_lines] $points using (mine(i)):'p99_median' with lines \
        linecolor rgb line_colour(i) linewidth 2, \
    for [i = 1:n_lines] $points using (mine(i)):'p99_median':'p99_low':'p99_high' \
        with yerrorbars linecolor rgb line_colour(i) linewidth 1.2 pointtype line_point(i) \
        pointsize 0.8
