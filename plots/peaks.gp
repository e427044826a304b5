# The most loaded server over the mean, one panel a value of the first axis, one pair of bars a value
# of the second. The filled bar is measured (median of the repeats, from the least to the most of
# them), the outlined one is exact (all 900000 request ids), the dashed line an even share: 1.
#
# Reads $points and the arrays label1 n_servers peak_exact.

head = 96
foot = 12
width = 860
n_panels = 1
do for [p = 2:n_points] { n_panels = n_panels + (label1[p] eq label1[p - 1] ? 0 : 1) }
n_inner = n_points / n_panels
n_columns = n_panels < 3 ? n_panels : 3
n_rows = int(ceil(n_panels * 1.0 / n_columns))
panel_height = n_rows == 1 ? 340 : 270
height = head + n_rows * panel_height + foot
above = 34
below = 30
left_edge = 44
right_edge = 18
gap = 26
panel_width = (width - left_edge - right_edge - gap * (n_columns - 1)) * 1.0 / n_columns

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('%d requests a run · %d %s', requests, repeats, \
    repeats == 1 ? 'run' : 'repeats') \
    at screen across(18), screen down(50) left font sized(13) textcolor rgb muted
y0 = 75
set object 1 rectangle from screen across(18), screen down(y0 + 6) \
    to screen across(30), screen down(y0 - 6) fillstyle solid 1 noborder fillcolor rgb first
set label 3 'measured: median, least to most' \
    at screen across(37), screen down(y0) left font sized(13) textcolor rgb ink
set object 2 rectangle from screen across(268), screen down(y0 + 6) \
    to screen across(280), screen down(y0 - 6) fillstyle empty border linecolor rgb muted \
    linewidth 1.5
set label 4 'exact, over all 900000 request ids (the numbers)' \
    at screen across(287), screen down(y0) left font sized(13) textcolor rgb ink
set arrow 1 from screen across(622), screen down(y0) to screen across(638), screen down(y0) \
    nohead linecolor rgb second linewidth 1.5 dashtype (5, 4)
set label 5 'every server alike: 1' at screen across(645), screen down(y0) left font sized(13) \
    textcolor rgb ink

# One scale for all panels.
set xrange [*:*]
stats $points using (column('peak_max')) nooutput
top = STATS_max * 1.02
numbers = 20
pixel = top / (panel_height - above - below - numbers)
set yrange [0:top + numbers * pixel]
set ytics 0, tick_step(top, 5), top font tick_font textcolor rgb muted
unset xtics
bar = 0.36
shift = 0.2
set boxwidth bar absolute

do for [q = 1:n_panels] {
    from = (q - 1) * n_inner
    column_index = (q - 1) % n_columns
    x = left_edge + column_index * (panel_width + gap)
    y = head + ((q - 1) / n_columns) * panel_height
    set lmargin at screen across(x)
    set rmargin at screen across(x + panel_width)
    set tmargin at screen down(y + above)
    set bmargin at screen down(y + panel_height - below)
    set xrange [0.5:n_inner + 0.5]
    if (column_index == 0) {
        set ytics format '%g'
        set label 13 'most/mean' at screen across(10), screen down(y + above - 4) left \
            font sized(12) textcolor rgb muted
    } else {
        set ytics format ''
        unset label 13
    }
    set label 11 label1[from + 1] at screen across(x), \
        screen down(y + 14) left font sized(15) textcolor rgb ink
    set arrow 11 from 0.5, 1 to n_inner + 0.5, 1 nohead front linecolor rgb second linewidth 1.5 \
        dashtype (5, 4)
    do for [k = 1:n_inner] {
        set label 20 + k sprintf('N = %d', n_servers[from + k]) at first k, \
            screen down(y + panel_height - below + 13) center font sized(12) textcolor rgb ink
    }
    mine(offset) = column('point') > from && column('point') <= from + n_inner ? \
        column('point') - from + offset : NaN
    plot $points using (mine(-shift)):'peak_median' \
            with boxes linecolor rgb first fillstyle solid 1 noborder, \
        '' using (mine(shift)):(peak_exact[int(column('point'))]) \
            with boxes linecolor rgb muted linewidth 1.5 fillstyle empty border, \
        '' using (mine(-shift)):'peak_min':(0):(column('peak_max') - column('peak_min')) \
            with vectors nohead linecolor rgb ink linewidth 2, \
        '' using (mine(0)):((column('peak_max') > peak_exact[int(column('point'))] ? \
            column('peak_max') : peak_exact[int(column('point'))]) + 10 * pixel):\
            (sprintf('%.2f', peak_exact[int(column('point'))])) \
            with labels center font sized(13) textcolor rgb ink
    if (q == 1) {
        do for [i = 1:5] { unset label i }
        unset object 1
        unset object 2
        unset arrow 1
    }
}
unset multiplot
