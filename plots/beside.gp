# Points side by side in what they cost: a panel a measure (requests/s, latencies, CPU time a request),
# in it a bar a point from 0: the median of the repeats, and the line from the least to the most.
#
# Reads $points and the arrays label1 label2 n_servers.

width = 860
head = 100
panel_head = 30
row_pixels = 30
panel_foot = 18
left_edge = 18
right_edge = 18
numbers = 170

point_name(p) = n_axes > 1 ? label1[p].' · '.label2[p] : n_axes == 1 ? label1[p] : title
longest = 0
do for [p = 1:n_points] {
    longest = strlen(point_name(p)) > longest ? strlen(point_name(p)) : longest
}
names = longest * 8.0 + 20

array measure[4] = ['rate', 'p50', 'p99', 'cluster_cpu']
array heading[4] = ['requests/s', 'median latency, ms', 'latency that 99 % keep, ms', \
    'CPU time of load balancer and servers, µs a request']
array format_of[4] = ['%.0f', '%.3f', '%.3f', '%.2f']
# CPU time is known of processes of this machine only.
stats $points using (column('cluster_cpu_median')) nooutput
n_panels = STATS_records > 0 ? 4 : 3
panel_height = panel_head + n_points * row_pixels + panel_foot
height = head + n_panels * panel_height

@open_figure
set multiplot
set label 301 title at screen across(left_edge), screen down(28) left font sized(19) textcolor rgb ink
set label 302 sprintf('N = %d servers · %.0f requests a run · %d %s of each, interleaved · all on one machine', \
    n_servers[1], requests, repeats, repeats == 1 ? 'run' : 'repeats') \
    at screen across(left_edge), screen down(50) left font sized(13) textcolor rgb muted
y0 = 76
set object 301 rectangle from screen across(left_edge), screen down(y0 + 6) \
    to screen across(left_edge + 16), screen down(y0 - 6) fillstyle solid 1 noborder \
    fillcolor rgb first
set label 303 'median' at screen across(left_edge + 23), screen down(y0) left font sized(13) \
    textcolor rgb ink
set arrow 301 from screen across(106), screen down(y0) to screen across(122), screen down(y0) nohead \
    linecolor rgb ink linewidth 2
set label 304 'least to most of the repeats' at screen across(129), screen down(y0) left \
    font sized(13) textcolor rgb ink

# Before there are ranges, which stats would keep to.
array top[n_panels]
array median[n_panels * n_points]
do for [m = 1:n_panels] {
    stats $points using (column(measure[m].'_max')) nooutput
    top[m] = STATS_max > 0 ? STATS_max : 1
    do for [p = 1:n_points] {
        stats $points using (column('point') == p ? column(measure[m].'_median') : NaN) nooutput
        median[(m - 1) * n_points + p] = STATS_max
    }
}
of(m, p) = median[(m - 1) * n_points + p]

unset ytics
unset xtics
unset grid
set yrange [n_points + 0.5:0.5]
do for [m = 1:n_panels] {
    y = head + (m - 1) * panel_height
    set lmargin at screen across(left_edge + names)
    set rmargin at screen across(width - right_edge - numbers)
    set tmargin at screen down(y + panel_head)
    set bmargin at screen down(y + panel_head + n_points * row_pixels)
    set label 1 heading[m] at screen across(left_edge), screen down(y + 14) left font sized(14) \
        textcolor rgb ink
    set xrange [0:top[m]]
    do for [p = 1:n_points] {
        row = y + panel_head + (p - 0.5) * row_pixels
        set label (10 + p) point_name(p) at screen across(left_edge), screen down(row) left \
            font sized(13) textcolor rgb line_colour(p)
        ratio = p == 1 || of(m, 1) == 0 ? '' : sprintf('   %.2f times', of(m, p) / of(m, 1))
        set label (40 + p) sprintf(format_of[m], of(m, p)).ratio \
            at screen across(width - right_edge - numbers + 16), screen down(row) left \
            font sized(13) textcolor rgb ink
    }
    do for [p = 1:n_points] {
        set linetype p linecolor rgb line_colour(p)
    }
    plot $points using (0):'point':(0):(column(measure[m].'_median')): \
            (column('point') - 0.32):(column('point') + 0.32):(column('point')) with boxxyerror \
            fillstyle solid 1 noborder linecolor variable, \
        $points using (column(measure[m].'_min')):'point': \
            (column(measure[m].'_max') - column(measure[m].'_min')):(0) with vectors nohead \
            linecolor rgb ink linewidth 2
    # What is above the panels is drawn once.
    if (m == 1) {
        do for [i = 301:304] { unset label i }
        unset arrow 301
        unset object 301
    }
}
unset multiplot
