# What a database wrote and read a second: a row a point, writes in the left panel, reads in the
# right one, each on a scale of its own that begins at 0. The bar is the median of the repeats, with
# its interval (thick) and the slowest and the fastest repeat (thin). Outlined bars are what others
# published, where it was measured with as many requests in flight as here: one.
#
# Reads $points, the arrays label1 label2 and what database_outcome.h says.

# Theirs was one request at a time: beside bars of many in flight it would mean nothing.
n_shown = in_flight == 1 ? n_published : 0
n_rows = n_points + n_shown
row_pixels = 46
head = 138
foot = 34
width = 860
height = head + n_rows * row_pixels + foot

# The longest name of a row decides where the panels begin.
row_name(p) = n_axes > 1 ? label1[p].' · '.label2[p] : label1[p]
longest = 0
do for [p = 1:n_points] { longest = strlen(row_name(p)) > longest ? strlen(row_name(p)) : longest }
do for [p = 1:n_shown] {
    longest = strlen(published_label[p]) > longest ? strlen(published_label[p]) : longest
}
left_edge = 18 + (longest < 8 ? 8 : longest) * 7.4 + 14
gap = 34
right_edge = 18
panel = (width - left_edge - gap - right_edge) / 2.0

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 conditions at screen across(18), screen down(50) left font sized(13) textcolor rgb muted
set label 3 sprintf('%d %s · load balancer, servers and generator on one machine%s', repeats, \
    repeats == 1 ? 'run' : 'repeats', n_shown ? '; what was published was not' : '') \
    at screen across(18), screen down(70) left font sized(13) textcolor rgb muted

# The key, in words beside the shapes.
y0 = 95
set object 1 rectangle from screen across(18), screen down(y0 + 6) \
    to screen across(34), screen down(y0 - 6) fillstyle solid 1 noborder fillcolor rgb first
set label 4 'median' at screen across(41), screen down(y0) left font sized(13) textcolor rgb ink
set arrow 1 from screen across(106), screen down(y0) to screen across(122), screen down(y0) \
    nohead linecolor rgb ink linewidth 4
set label 5 sprintf('its %d %% interval', confidence) \
    at screen across(129), screen down(y0) left font sized(13) textcolor rgb ink
set arrow 2 from screen across(246), screen down(y0) to screen across(262), screen down(y0) \
    nohead linecolor rgb muted linewidth 1.5
set label 6 'slowest to fastest repeat' \
    at screen across(269), screen down(y0) left font sized(13) textcolor rgb ink
if (n_shown) {
    set object 2 rectangle from screen across(446), screen down(y0 + 6) \
        to screen across(462), screen down(y0 - 6) fillstyle empty border linecolor rgb muted \
        linewidth 1.5
    set label 7 'published by others, one request at a time' \
        at screen across(469), screen down(y0) left font sized(13) textcolor rgb ink
}

do for [p = 1:n_points] {
    set label 20 + p row_name(p) at screen across(left_edge - 10), \
        screen down(head + (p - 0.5) * row_pixels) right font sized(14) textcolor rgb ink
}
do for [p = 1:n_shown] {
    set label 60 + p published_label[p] at screen across(left_edge - 10), \
        screen down(head + (n_points + p - 0.5) * row_pixels) right font sized(14) \
        textcolor rgb muted
}

set tmargin at screen down(head)
set bmargin at screen down(height - foot)
unset ytics
unset grid
set grid xtics linetype 1 linewidth 1 linecolor rgb faint
half = 13.0 / row_pixels
row(p) = p - 0.5

# A scale on which the longest bar's number has room behind it.
array top[2]
array heading[2] = ['writes/s', 'reads/s']
array metric[2] = ['write_rate', 'read_rate']
array tint[2] = [first, second]
room = 62.0 / panel

do for [k = 1:2] {
    stats $points using (column(metric[k].'_max')) nooutput
    top[k] = STATS_max
}
set yrange [n_rows:0]
do for [k = 1:2] {
    do for [p = 1:n_shown] {
        value = k == 1 ? published_write[p] : published_read[p]
        top[k] = value > top[k] ? value : top[k]
    }
    left = left_edge + (k - 1) * (panel + gap)
    set lmargin at screen across(left)
    set rmargin at screen across(left + panel)
    set xrange [0:top[k] / (1 - room)]
    set xtics 0, tick_step(top[k] / (1 - room), 4), top[k] / (1 - room) format '%.0f' \
        font tick_font textcolor rgb muted
    set label 8 heading[k] at screen across(left), screen down(head - 12) left font sized(13) \
        textcolor rgb ink
    do for [p = 1:n_shown] {
        value = k == 1 ? published_write[p] : published_read[p]
        set object 100 + p rectangle from 0, row(n_points + p) - half to value, \
            row(n_points + p) + half front fillstyle empty border linecolor rgb muted linewidth 1.5
        set label 140 + p sprintf('%.0f', value) at value, row(n_points + p) left \
            offset character 0.7, 0 font sized(14) textcolor rgb muted front
    }
    plot $points using (column(metric[k].'_median') / 2):(row(column('point'))):\
            (column(metric[k].'_median') / 2):(half) \
            with boxxyerror fillstyle solid 1 noborder linecolor rgb tint[k], \
        '' using (column(metric[k].'_min')):(row(column('point'))):\
            (column(metric[k].'_max') - column(metric[k].'_min')):(0) \
            with vectors nohead linecolor rgb muted linewidth 1.5, \
        '' using (column(metric[k].'_low')):(row(column('point'))):\
            (column(metric[k].'_high') - column(metric[k].'_low')):(0) \
            with vectors nohead linecolor rgb ink linewidth 4, \
        '' using (column(metric[k].'_max')):(row(column('point'))):\
            (sprintf('%.0f', column(metric[k].'_median'))) \
            with labels left offset character 0.7, 0 font sized(14) textcolor rgb ink
    # What belongs to the figure, not to a panel, is drawn once.
    do for [i = 1:7] { unset label i }
    do for [i = 1:n_points] { unset label 20 + i }
    do for [i = 1:n_shown] { unset label 60 + i }
    unset object 1
    unset object 2
    unset arrow 1
    unset arrow 2
}
unset multiplot
