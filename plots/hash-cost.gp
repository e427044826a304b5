# What a lookup takes over the number of servers, its hash included; both scales logarithmic.
#
# Reads $rows (columns p servers hot_ns) and the arrays placement_label n_servers.

width = 860
key_columns = 4
key_step = 208
left_edge = 60
array series[n_placements]
n_series = n_placements
do for [i = 1:n_series] { series[i] = placement_label[i] }
head = 84 + (n_series + key_columns - 1) / key_columns * 20
height = head + 380

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('random request ids, tables in the caches; both scales logarithmic') \
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

set lmargin at screen across(left_edge)
set rmargin at screen across(width - 24)
set tmargin at screen down(head + 26)
set bmargin at screen down(height - 56)
set logscale xy
set grid xtics
set xrange [n_servers[1] / 1.25:n_servers[n_sizes] * 1.25]
set xtics font tick_font textcolor rgb muted format '%.0f'
do for [i = 1:n_sizes] { set xtics add (sprintf('%.0f', n_servers[i]) n_servers[i]) }
set ytics font tick_font textcolor rgb muted format '%g'
set label 11 'ns a lookup, one key a call' at screen across(18), screen down(head + 10) left \
    font sized(12) textcolor rgb muted
set label 12 'servers' at screen across((left_edge + width - 24) / 2), screen down(height - 16) center \
    font sized(12) textcolor rgb muted
plot for [i = 1:n_series] $rows using (column('p') == i ? column('servers') : NaN):'hot_ns' \
    with linespoints linecolor rgb line_colour(i) linewidth 2 pointtype line_point(i) pointsize 0.8
unset multiplot
