# Throughput of every point: the median of the repeats, its interval (thick) and the slowest and the
# fastest repeat (thin). The scale begins at 0.
#
# Reads $points and the arrays label1 label2 value1.

head = 96
foot = 56
width = 860
height = 430
left_edge = 76
right_edge = 30

@open_figure
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('%d requests a run · %d %s · load balancer, servers and generator on one machine', \
    requests, repeats, repeats == 1 ? 'run' : 'repeats') \
    at screen across(18), screen down(50) left font sized(13) textcolor rgb muted

# The key, in words beside the shapes.
y0 = 75
set object 1 circle at screen across(24), screen down(y0) size screen 0.0065 \
    fillstyle solid 1 noborder fillcolor rgb first
set label 3 'median' at screen across(37), screen down(y0) left font sized(13) textcolor rgb ink
set arrow 1 from screen across(106), screen down(y0) to screen across(122), screen down(y0) \
    nohead linecolor rgb first linewidth 5
set label 4 sprintf('its %d %% interval', confidence) \
    at screen across(129), screen down(y0) left font sized(13) textcolor rgb ink
set arrow 2 from screen across(246), screen down(y0) to screen across(262), screen down(y0) \
    nohead linecolor rgb muted linewidth 1.5
set label 5 'slowest to fastest repeat' \
    at screen across(269), screen down(y0) left font sized(13) textcolor rgb ink

set lmargin at screen across(left_edge)
set rmargin at screen across(width - right_edge)
set tmargin at screen down(head + 12)
set bmargin at screen down(height - foot)
stats $points using (column('rate_max')) nooutput
top = STATS_max * 1.06
set yrange [0:top]
set xrange [0.5:n_points + 0.5]
set ytics 0, tick_step(top, 5), top font tick_font textcolor rgb muted
set ytics format '%.0f'
unset xtics
set label 6 'requests/s' at screen across(10), screen down(head) left font sized(12) \
    textcolor rgb muted

column_pixels = (width - left_edge - right_edge) * 1.0 / n_points
servers_vary = 0
do for [p = 2:n_points] { servers_vary = servers_vary || n_servers[p] != n_servers[1] }
do for [p = 1:n_points] {
    heading = n_axes == 1 && servers_vary ? sprintf('N = %d', n_servers[p]) : \
        n_axes == 1 ? label1[p] : label1[p].' · '.label2[p]
    set label 100 + p heading at screen across(left_edge + (p - 0.5) * column_pixels), \
        screen down(height - foot + 24) center font sized(15) textcolor rgb ink
}

plot $points using 'point':'rate_min':(0):(column('rate_max') - column('rate_min')) \
        with vectors nohead linecolor rgb muted linewidth 1.5, \
    '' using 'point':'rate_low':(0):(column('rate_high') - column('rate_low')) \
        with vectors nohead linecolor rgb first linewidth 5, \
    '' using 'point':'rate_median' with points pointtype 7 pointsize 1 linecolor rgb first, \
    '' using (column('point') + 14 / column_pixels):'rate_median':\
        (sprintf('%.0f', column('rate_median'))) \
        with labels left font sized(14) textcolor rgb ink
