# Which hash is to blame: a panel a pair of hashes, two bars a number of servers: numbered 1 … N, as a
# load balancer starts, and with random names (median, and the middle 80 % of the draws).
#
# Reads $rows (columns h s peak names_peak names_peak_low names_peak_high) and the arrays hash_label
# n_servers.

width = 860
head = 96
above = 34
below = 30
panel_height = 236
n_columns = n_hashes < 2 ? 1 : 2
n_rows = (n_hashes + n_columns - 1) / n_columns
height = head + n_rows * panel_height + 12
left_edge = 44
gap = 30
panel_width = (width - left_edge - 18 - gap * (n_columns - 1)) * 1.0 / n_columns

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('%s · all 900000 request ids, nothing sampled · %d sets of random names', \
    placement_label[1], n_draws) \
    at screen across(18), screen down(50) left font sized(13) textcolor rgb muted
y0 = 75
set object 1 rectangle from screen across(18), screen down(y0 + 6) \
    to screen across(30), screen down(y0 - 6) fillstyle solid 1 noborder fillcolor rgb first
set object 2 rectangle from screen across(170), screen down(y0 + 6) \
    to screen across(182), screen down(y0 - 6) fillstyle solid 1 noborder fillcolor rgb third
set arrow 1 from screen across(450), screen down(y0) to screen across(466), screen down(y0) \
    nohead linecolor rgb second linewidth 1.5 dashtype (5, 4)
set label 3 'numbered 1 … N' at screen across(37), screen down(y0) left \
    font sized(13) textcolor rgb ink
set label 4 'random names: median, middle 80 %' at screen across(189), screen down(y0) left \
    font sized(13) textcolor rgb ink
set label 5 'every server alike: 1' at screen across(473), screen down(y0) left \
    font sized(13) textcolor rgb ink

stats $rows using (column('peak') > column('names_peak_high') ? column('peak') : \
    column('names_peak_high')) nooutput
top = STATS_max * 1.02
pixel = top / (panel_height - above - below - 20)
set yrange [0:top + 20 * pixel]
set ytics 0, tick_step(top, 5), top font tick_font textcolor rgb muted
unset xtics
set boxwidth 0.36 absolute
do for [q = 1:n_hashes] {
    x = left_edge + ((q - 1) % n_columns) * (panel_width + gap)
    y = head + ((q - 1) / n_columns) * panel_height
    set lmargin at screen across(x)
    set rmargin at screen across(x + panel_width)
    set tmargin at screen down(y + above)
    set bmargin at screen down(y + panel_height - below)
    set xrange [0.5:n_sizes + 0.5]
    if ((q - 1) % n_columns == 0) {
        set ytics format '%g'
        set label 13 'most/mean' at screen across(10), screen down(y + above - 4) left \
            font sized(12) textcolor rgb muted
    } else {
        set ytics format ''
        unset label 13
    }
    set label 11 hash_label[q] at screen across(x + 76), screen down(y + 14) left font sized(14) \
        textcolor rgb ink
    set arrow 11 from 0.5, 1 to n_sizes + 0.5, 1 nohead front linecolor rgb second linewidth 1.5 \
        dashtype (5, 4)
    do for [k = 1:n_sizes] {
        set label 20 + k sprintf('N = %d', n_servers[k]) at first k, \
            screen down(y + panel_height - below + 13) center font sized(12) textcolor rgb ink
    }
    mine(offset) = column('h') == q ? column('s') + offset : NaN
    plot $rows using (mine(-0.2)):'peak' with boxes linecolor rgb first fillstyle solid 1 noborder, \
        '' using (mine(0.2)):'names_peak' with boxes linecolor rgb third fillstyle solid 1 noborder, \
        '' using (mine(0.2)):'names_peak_low':(0):\
            (column('names_peak_high') - column('names_peak_low')) \
            with vectors nohead linecolor rgb ink linewidth 2, \
        '' using (mine(-0.2)):(column('peak') + 10 * pixel):(sprintf('%.2f', column('peak'))) \
            with labels center font sized(11) textcolor rgb ink, \
        '' using (mine(0.2)):(column('names_peak_high') + 10 * pixel):\
            (sprintf('%.2f', column('names_peak'))) with labels center font sized(11) \
            textcolor rgb ink
    if (q == 1) {
        do for [i = 1:5] { unset label i }
        unset object 1
        unset object 2
        unset arrow 1
    }
}
unset multiplot
