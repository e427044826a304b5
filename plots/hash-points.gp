# How even the shares are over the number of points a server: a line for each kind, the median of the
# draws with the middle 80 % of them, dashed what the closed form expects.
#
# Reads $rows (columns placement names_cov names_cov_low names_cov_high expected_cov) and the array
# placement_label, whose second word is the number of points.

width = 860
key_columns = 5
key_step = 166
left_edge = 60
# Placements whose labels begin with the same word are one line; the second word is what varies.
array series[n_placements]
n_series = 0
do for [p = 1:n_placements] {
    known = 0
    do for [i = 1:n_series] { known = known || series[i] eq word(placement_label[p], 1) }
    if (!known) {
        n_series = n_series + 1
        series[n_series] = word(placement_label[p], 1)
    }
}
of_series(i, value) = word(strcol('placement'), 1) eq series[i] ? value : NaN
head = 84 + (n_series + key_columns) / key_columns * 20
height = head + 390

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('N = %d servers, median and middle 80 %% of %d sets of random names; logarithmic scales', \
    n_servers[1], n_draws) \
    at screen across(18), screen down(50) left font sized(13) textcolor rgb muted

# The key, in words beside the lines.
do for [i = 1:n_series] {
    x = 18 + ((i - 1) % key_columns) * key_step
    y = 76 + ((i - 1) / key_columns) * 20
    set arrow 50 + i from screen across(x), screen down(y) to screen across(x + 22), screen down(y) \
        nohead linecolor rgb line_colour(i) linewidth 2.5
    set label 50 + i series[i] at screen across(x + 28), screen down(y) left font sized(13) \
        textcolor rgb ink
}
x = 18 + (n_series % key_columns) * key_step
y = 76 + (n_series / key_columns) * 20
set arrow 90 from screen across(x), screen down(y) to screen across(x + 22), screen down(y) \
    nohead linecolor rgb ink linewidth 1.2 dashtype (4, 3)
set label 90 'closed form' at screen across(x + 28), screen down(y) left \
    font sized(13) textcolor rgb ink

set lmargin at screen across(left_edge)
set rmargin at screen across(width - 24)
set tmargin at screen down(head + 26)
set bmargin at screen down(height - 56)
set logscale xy
set grid xtics
set xrange [0.8:4000]
set yrange [0.008:1.5]
set xtics font tick_font textcolor rgb muted format '%.0f'
set ytics (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) font tick_font textcolor rgb muted format '%g'
set label 11 'coefficient of variation of the shares' at screen across(18), screen down(head + 10) left \
    font sized(12) textcolor rgb muted
set label 12 'points (virtual servers) a server' at screen across((left_edge + width - 24) / 2), screen down(height - 16) center \
    font sized(12) textcolor rgb muted
points_of(i) = of_series(i, word(strcol('placement'), 2) + 0)
plot for [i = 1:n_series] $rows using (points_of(i)):'expected_cov' with lines linecolor rgb ink \
        linewidth 1.2 dashtype (4, 3), \
    for [i = 1:n_series] $rows using (points_of(i)):'names_cov' with lines \
        linecolor rgb line_colour(i) linewidth 2, \
    for [i = 1:n_series] $rows using (points_of(i)):'names_cov':'names_cov_low':'names_cov_high' \
        with yerrorbars linecolor rgb line_colour(i) linewidth 1 pointtype line_point(i) \
        pointsize 0.8
unset multiplot
