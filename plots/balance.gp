# What the least and the most loaded server answered, beside what they were to answer and the mean:
# one group a point. The filled bar is measured (median of the repeats, with its interval), the
# outlined one is exact (all 900000 request ids), the dashed line the mean, requests/N.
#
# Reads $points and the arrays n_servers peak_exact peak_median least_exact most_exact value1.

head = 112
foot = 102
width = 860
height = 500
left_edge = 64
right_edge = 18
plot_height = height - head - foot

@open_figure
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('%d requests a run · %d %s', requests, repeats, \
    repeats == 1 ? 'run' : 'repeats') \
    at screen across(18), screen down(50) left font sized(13) textcolor rgb muted

# The key, in words beside the shapes.
y0 = 75
set object 1 rectangle from screen across(18), screen down(y0 + 6) \
    to screen across(30), screen down(y0 - 6) fillstyle solid 1 noborder fillcolor rgb first
set label 3 sprintf('answered: median, with its %d %% interval', confidence) \
    at screen across(37), screen down(y0) left font sized(13) textcolor rgb ink
set object 2 rectangle from screen across(318), screen down(y0 + 6) \
    to screen across(330), screen down(y0 - 6) fillstyle empty border linecolor rgb muted \
    linewidth 1.5
set label 4 'expected exactly, over all 900000 request ids' \
    at screen across(337), screen down(y0) left font sized(13) textcolor rgb ink
set arrow 1 from screen across(636), screen down(y0) to screen across(652), screen down(y0) \
    nohead linecolor rgb second linewidth 1.5 dashtype (5, 4)
set label 5 'mean of all servers' at screen across(659), screen down(y0) left font sized(13) \
    textcolor rgb ink

set lmargin at screen across(left_edge)
set rmargin at screen across(width - right_edge)
set tmargin at screen down(head + 8)
set bmargin at screen down(height - foot)
stats $points using (column('most_max')) nooutput
numbers = 20
top = STATS_max * 1.02
pixel = top / (plot_height - 8 - numbers)
set yrange [0:top + numbers * pixel]
set xrange [0.5:n_points + 0.5]
set ytics 0, tick_step(top, 5), top font tick_font textcolor rgb muted format '%.0f'
unset xtics
set label 6 'requests a server' at screen across(10), screen down(head - 10) left font sized(12) \
    textcolor rgb muted

group_pixels = (width - left_edge - right_edge) * 1.0 / n_points
bar = 0.2
set boxwidth bar absolute
size = bar * group_pixels >= 24 ? 12 : 0
place(k) = column('point') + (k == 1 ? -0.345 : k == 2 ? -0.125 : k == 3 ? 0.125 : 0.345)
exact_least(p) = least_exact[int(p)]
exact_most(p) = most_exact[int(p)]

do for [p = 1:n_points] {
    even = requests * 1.0 / n_servers[p]
    set arrow 10 + p from p - 0.46, even to p + 0.46, even nohead front linecolor rgb second \
        linewidth 1.5 dashtype (5, 4)
    x = left_edge + (p - 0.5) * group_pixels
    set label 100 + p sprintf('N = %d', n_servers[p]) at screen across(x), \
        screen down(height - foot + 36) center font sized(15) textcolor rgb ink
    set label 140 + p sprintf('mean %.0f', even) at screen across(x), \
        screen down(height - foot + 54) center font sized(12) textcolor rgb second
    set label 180 + p sprintf('most/mean %.2f', peak_median[p]) \
        at screen across(x), screen down(height - foot + 71) center font sized(12) \
        textcolor rgb ink
    set label 300 + p sprintf('exactly %.2f', peak_exact[p]) at screen across(x), \
        screen down(height - foot + 88) center font sized(12) textcolor rgb muted
    set label 220 + p 'least' at screen across(x - 0.235 * group_pixels), \
        screen down(height - foot + 14) center font sized(12) textcolor rgb muted
    set label 260 + p 'most' at screen across(x + 0.235 * group_pixels), \
        screen down(height - foot + 14) center font sized(12) textcolor rgb muted
}

# A number stands above its bar.
above(value) = value + (size / 2 + 4) * pixel
plot $points using (place(1)):'least_median' \
        with boxes linecolor rgb first fillstyle solid 1 noborder, \
    '' using (place(3)):'most_median' \
        with boxes linecolor rgb first fillstyle solid 1 noborder, \
    '' using (place(2)):(exact_least(column('point'))) \
        with boxes linecolor rgb muted linewidth 1.5 fillstyle empty border, \
    '' using (place(4)):(exact_most(column('point'))) \
        with boxes linecolor rgb muted linewidth 1.5 fillstyle empty border, \
    '' using (place(1)):'least_low':(0):(column('least_high') - column('least_low')) \
        with vectors nohead linecolor rgb ink linewidth 2, \
    '' using (place(3)):'most_low':(0):(column('most_high') - column('most_low')) \
        with vectors nohead linecolor rgb ink linewidth 2, \
    '' using (place(1)):(above(column('least_high'))):(sprintf('%.0f', column('least_median'))) \
        with labels center font sized(size) textcolor rgb first, \
    '' using (place(2)):(above(exact_least(column('point')))):\
        (sprintf('%.0f', exact_least(column('point')))) \
        with labels center font sized(size) textcolor rgb muted, \
    '' using (place(3)):(above(column('most_high'))):(sprintf('%.0f', column('most_median'))) \
        with labels center font sized(size) textcolor rgb first, \
    '' using (place(4)):(above(exact_most(column('point')))):\
        (sprintf('%.0f', exact_most(column('point')))) \
        with labels center font sized(size) textcolor rgb muted
