# Two panels over the number of servers: the most loaded server over the mean, and the keys that move
# when a server leaves over those that must. Both scales are logarithmic.
#
# Reads $rows (columns p servers names_peak leave) and the arrays placement_label n_servers.

width = 860
key_columns = 4
key_step = 208
array series[n_placements]
n_series = n_placements
do for [i = 1:n_series] { series[i] = placement_label[i] }
head = 84 + (n_series + key_columns - 1) / key_columns * 20
height = head + 372

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('median of %d sets of random names; shares of the hash space; logarithmic scales', \
    n_draws) \
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

set logscale xy
set xrange [n_servers[1] / 1.25:n_servers[n_sizes] * 1.25]
set grid xtics
array x_of[2] = [52, 490]
array heading[2] = ['Most loaded server, over the mean', \
    'Keys that move when one leaves, over those that must']
do for [k = 1:2] {
    set lmargin at screen across(x_of[k])
    set rmargin at screen across(x_of[k] + 350)
    set tmargin at screen down(head + 34)
    set bmargin at screen down(height - 56)
    set label 11 heading[k] at screen across(x_of[k] - 34), screen down(head + 12) left \
        font sized(14) textcolor rgb ink
    set label 12 'servers' at screen across(x_of[k] + 175), screen down(height - 16) center \
        font sized(12) textcolor rgb muted
    set xtics font tick_font textcolor rgb muted format '%.0f'
    set yrange [*:*]
    stats $rows using (k == 1 ? column('names_peak') : column('leave')) nooutput
    set yrange [STATS_max ** -0.04:STATS_max ** 1.05]
    if (STATS_max < 10) {
        set ytics (1, 1.1, 1.2, 1.5, 2, 3, 5, 10) font tick_font textcolor rgb muted
    } else {
        set ytics (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) font tick_font textcolor rgb muted
    }
    plot for [i = 1:n_series] $rows using (column('p') == i ? column('servers') : NaN):\
        (k == 1 ? column('names_peak') : column('leave')) with linespoints \
        linecolor rgb line_colour(i) linewidth 2 pointtype line_point(i) pointsize 0.8
    if (k == 1) {
        unset label
        unset arrow
    }
}
unset multiplot
