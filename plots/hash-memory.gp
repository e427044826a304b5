# Memory against balance: every point a placement with one value of its option, lines joining those
# of one placement. What is even but for less than a hundredth of a per cent stands on the floor.
#
# Reads $rows (columns placement bytes names_peak) and the array placement_label.

width = 860
key_columns = 7
key_step = 118
left_edge = 72
floor_percent = 0.01
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
head = 84 + (n_series + key_columns - 1) / key_columns * 20
height = head + 400

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('N = %d servers, median of %d sets of random names; shares of the hash space; logarithmic scales', \
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

set lmargin at screen across(left_edge)
set rmargin at screen across(width - 40)
set tmargin at screen down(head + 26)
set bmargin at screen down(height - 56)
set logscale xy
set grid xtics
set xtics ('10 B' 10, '100 B' 100, '1 kB' 1e3, '10 kB' 1e4, '100 kB' 1e5, '1 MB' 1e6, '10 MB' 1e7) \
    font tick_font textcolor rgb muted
set ytics ('≤ 0.01 %%' 0.01, '0.1 %%' 0.1, '1 %%' 1, '10 %%' 10, '100 %%' 100) font tick_font \
    textcolor rgb muted
set yrange [floor_percent * 0.6:300]
set label 11 'most loaded server, above the mean' at screen across(18), screen down(head + 10) left \
    font sized(12) textcolor rgb muted
set label 12 'memory that lookups need' at screen across((left_edge + width - 40) / 2), screen down(height - 16) center \
    font sized(12) textcolor rgb muted
set style textbox opaque noborder fillcolor rgb ground margins 0.2, 0.1
excess(peak) = (peak - 1) * 100 > floor_percent ? (peak - 1) * 100 : floor_percent
plot for [i = 1:n_series] $rows using (of_series(i, column('bytes'))):\
        (excess(column('names_peak'))) with linespoints linecolor rgb line_colour(i) \
        linewidth 2 pointtype line_point(i) pointsize 0.8, \
    $rows using 'bytes':(excess(column('names_peak'))):(words(strcol('placement')) > 1 ? \
        word(strcol('placement'), 2) : '') with labels boxed offset 0.9, 0.8 left font sized(11) \
        textcolor rgb ink
unset multiplot
