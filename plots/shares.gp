# How many requests each server answered, beside how many it was to answer: one panel a point, two
# bars a server. The filled bar is measured (median of the repeats, with its interval), the outlined
# one is exact (all 900000 request ids), the dashed line an even share.
#
# Reads $servers and the arrays label1 label2 n_servers peak_exact fit_p, one element a point.

n_columns = n_points == 1 ? 1 : n_points <= 3 ? n_points : n_points == 4 ? 2 : 3
n_rows = int(ceil(n_points * 1.0 / n_columns))

head = 92
panel_height = n_rows == 1 ? 370 : 290
foot = 12
width = 860
height = head + n_rows * panel_height + foot

# Space inside a panel, in pixels: two lines of heading, tick labels on the left.
above = 56
below = 4
left_edge = 64
right_edge = 18
gap = 26
panel_width = (width - left_edge - right_edge - gap * (n_columns - 1)) * 1.0 / n_columns

@open_figure
set multiplot

set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
least = n_servers[1]
most = n_servers[1]
do for [p = 2:n_points] {
    least = n_servers[p] < least ? n_servers[p] : least
    most = n_servers[p] > most ? n_servers[p] : most
}
sub = sprintf('N = %s servers · %d requests a run · %d %s', \
    least < most ? sprintf('%d to %d', least, most) : sprintf('%d', least), \
    requests, repeats, repeats == 1 ? 'run' : 'repeats')
set label 2 sub at screen across(18), screen down(50) left font sized(13) textcolor rgb muted

# The key, in words beside the two shapes.
x0 = 18
y0 = 73
set object 1 rectangle from screen across(x0), screen down(y0 + 6) \
    to screen across(x0 + 12), screen down(y0 - 6) fillstyle solid 1 noborder fillcolor rgb first
set label 3 sprintf('answered: median, with its %d %% interval', confidence) \
    at screen across(x0 + 19), screen down(y0) left font sized(13) textcolor rgb ink
x1 = x0 + 300
set object 2 rectangle from screen across(x1), screen down(y0 + 6) \
    to screen across(x1 + 12), screen down(y0 - 6) fillstyle empty border linecolor rgb muted \
    linewidth 1.5
set label 4 'expected exactly, over all 900000 request ids' \
    at screen across(x1 + 19), screen down(y0) left font sized(13) textcolor rgb ink
x2 = x1 + 318
set arrow 1 from screen across(x2), screen down(y0) to screen across(x2 + 16), screen down(y0) \
    nohead linecolor rgb second linewidth 1.5 dashtype (5, 4)
set label 5 'an even share' at screen across(x2 + 23), screen down(y0) left font sized(13) \
    textcolor rgb ink

# One scale for all panels; server names below it, the highest bar's number above.
set xrange [*:*]
stats $servers using (column('high') > column('expected') ? column('high') : column('expected')) \
    nooutput
top = STATS_max > 0 ? STATS_max * 1.02 : 1
names = 26
numbers = 24
pixel = top / (panel_height - above - below - names - numbers)
set yrange [-names * pixel:top + numbers * pixel]
set ytics 0, tick_step(top, 4), top
unset xtics
set ytics font tick_font textcolor rgb muted
unset title

do for [p = 1:n_points] {
    column_index = (p - 1) % n_columns
    row = (p - 1) / n_columns
    x = left_edge + column_index * (panel_width + gap)
    y = head + row * panel_height
    set lmargin at screen across(x)
    set rmargin at screen across(x + panel_width)
    set tmargin at screen down(y + above)
    set bmargin at screen down(y + panel_height - below)

    n = n_servers[p]
    set xrange [0.5:n + 0.5]
    if (column_index == 0) {
        set ytics format '%.0f'
        set label 13 'requests' at screen across(10), screen down(y + above + 2) left \
            font sized(12) textcolor rgb muted
    } else {
        set ytics format ''
        unset label 13
    }
    bar = 0.36
    shift = 0.2
    set boxwidth bar absolute
    bar_pixels = bar * panel_width / n
    # Numbers stand on the bars as long as five digits have room there.
    size = bar_pixels >= 46 ? 14 : bar_pixels >= 34 ? 12 : bar_pixels >= 27 ? 10 : 0

    heading = n_axes == 0 ? '' : n_axes == 1 ? label1[p] : label1[p].' · '.label2[p]
    set label 11 heading at screen across(x), screen down(y + 18) left font sized(15) \
        textcolor rgb ink
    fit = fit_p[p] < 0.001 ? '< 0.001' : sprintf('= %.3f', fit_p[p])
    note = n_columns <= 2 ? \
        sprintf('busiest server: %.2f× an even share · fit of the counts: p %s', peak_exact[p], fit) : \
        sprintf('busiest: %.2f× even · fit: p %s', peak_exact[p], fit)
    set label 12 note at screen across(x), screen down(y + 38) left font sized(12) \
        textcolor rgb muted
    even = requests * 1.0 / n
    set arrow 11 from 0.5, even to n + 0.5, even nohead back linecolor rgb second linewidth 1.5 \
        dashtype (5, 4)

    mine(value) = column('point') == p ? value : NaN
    left(offset) = mine(column('server')) + offset
    # A number stands above its bar on a patch of ground, which keeps the dashed line out of it.
    number(offset) = size ? left(offset) : NaN
    patch = 0.6 * size * 2.4 * n / panel_width
    plot $servers using (left(-shift)):'median' \
            with boxes linecolor rgb first fillstyle solid 1 noborder, \
        $servers using (left(shift)):'expected' \
            with boxes linecolor rgb muted linewidth 1.5 fillstyle empty border, \
        $servers using (number(-shift)):'high':(number(-shift) - patch):(number(-shift) + patch):\
            (column('high') + 2 * pixel):(column('high') + (size + 5) * pixel) \
            with boxxyerror linecolor rgb ground fillstyle solid 1 noborder, \
        $servers using (number(shift)):'expected':(number(shift) - patch):(number(shift) + patch):\
            (column('expected') + 2 * pixel):(column('expected') + (size + 5) * pixel) \
            with boxxyerror linecolor rgb ground fillstyle solid 1 noborder, \
        $servers using (left(-shift)):'low':(0):(column('high') - column('low')) \
            with vectors nohead linecolor rgb ink linewidth 2, \
        $servers using (number(-shift)):(column('high') + (size / 2 + 4) * pixel):\
            (sprintf('%.0f', column('median'))) \
            with labels center font sized(size) textcolor rgb first, \
        $servers using (number(shift)):(column('expected') + (size / 2 + 4) * pixel):\
            (sprintf('%.0f', column('expected'))) \
            with labels center font sized(size) textcolor rgb muted, \
        $servers using (left(0)):(-15 * pixel):(panel_width / n < 62 ? \
            sprintf('S%d', column('server')) : strcol('name')) \
            with labels center font sized(13) textcolor rgb ink

    # Drawn once: the heading of the whole belongs to the first panel.
    if (p == 1) {
        do for [i = 1:5] { unset label i }
        unset object 1
        unset object 2
        unset arrow 1
    }
}
unset multiplot
