# Writes and reads a second as multiples of those at the first point, which has none of its own: the
# ratio of the medians with its bootstrap interval, a line at 1, and what others published.
#
# Reads the arrays label1 label2 and what database_outcome.h says.

n_rows = 2 * (n_points - 1)
row_pixels = 34
head = 130
foot = 52
width = 860
height = head + n_rows * row_pixels + foot

row_name(p) = n_axes > 1 ? label1[p].' · '.label2[p] : label1[p]
longest = 0
do for [p = 2:n_points] { longest = strlen(row_name(p)) > longest ? strlen(row_name(p)) : longest }
left_edge = 18 + longest * 8.0 + 84
right_edge = 176

@open_figure
set label 1 sprintf('%s: ratios to %s', title, base) at screen across(18), screen down(28) left \
    font sized(19) textcolor rgb ink
set label 2 conditions at screen across(18), screen down(50) left font sized(13) textcolor rgb muted
set label 3 sprintf('%d %s of each, interleaved in one run · load balancer, servers and generator on one machine', \
    repeats, repeats == 1 ? 'run' : 'repeats') \
    at screen across(18), screen down(70) left font sized(13) textcolor rgb muted

# The key, in words beside the shapes.
y0 = 95
set object 1 circle at screen across(26), screen down(y0) size screen 0.0065 \
    fillstyle solid 1 noborder fillcolor rgb first
set label 4 'ratio of the medians' at screen across(39), screen down(y0) left font sized(13) \
    textcolor rgb ink
set arrow 1 from screen across(186), screen down(y0) to screen across(202), screen down(y0) \
    nohead linecolor rgb first linewidth 5
set label 5 sprintf('its %d %% interval', confidence) \
    at screen across(209), screen down(y0) left font sized(13) textcolor rgb ink
if (n_published) {
    set object 2 polygon from screen across(332), screen down(y0) \
        to screen across(338), screen down(y0 - 6) to screen across(344), screen down(y0) \
        to screen across(338), screen down(y0 + 6) to screen across(332), screen down(y0) \
        fillstyle empty border linecolor rgb muted linewidth 1.5
    set label 6 'published by others, one request at a time, other machines' \
        at screen across(351), screen down(y0) left font sized(13) textcolor rgb ink
}

set lmargin at screen across(left_edge)
set rmargin at screen across(width - right_edge)
set tmargin at screen down(head)
set bmargin at screen down(height - foot)

# One row a ratio: writes of a point, then its reads.
set print $ratios
print "row\tread\tratio\tlow\thigh\tpublished"
top = 1.0
do for [p = 2:n_points] {
    at = 2 * (p - 2)
    print sprintf("%g\t0\t%g\t%g\t%g\t%g", at + 0.56, ratio_write[p], ratio_write_low[p], \
        ratio_write_high[p], published_ratio_write[p])
    print sprintf("%g\t1\t%g\t%g\t%g\t%g", at + 1.44, ratio_read[p], ratio_read_low[p], \
        ratio_read_high[p], published_ratio_read[p])
    top = ratio_write_high[p] > top ? ratio_write_high[p] : top
    top = ratio_read_high[p] > top ? ratio_read_high[p] : top
    top = published_ratio_write[p] > top ? published_ratio_write[p] : top
    top = published_ratio_read[p] > top ? published_ratio_read[p] : top
    middle = head + (at + 1) * row_pixels
    set label 20 + p row_name(p) at screen across(18), screen down(middle) left font sized(15) \
        textcolor rgb ink
    set label 60 + p 'writes' at screen across(left_edge - 12), \
        screen down(head + (at + 0.56) * row_pixels) right font sized(13) textcolor rgb first
    set label 100 + p 'reads' at screen across(left_edge - 12), \
        screen down(head + (at + 1.44) * row_pixels) right font sized(13) textcolor rgb second
    # The numbers in a column of their own, so that nothing covers them.
    set label 140 + p sprintf('%.2f  (%.2f – %.2f)', ratio_write[p], ratio_write_low[p], \
        ratio_write_high[p]) at screen across(width - right_edge + 18), \
        screen down(head + (at + 0.56) * row_pixels) left font sized(13) textcolor rgb ink
    set label 180 + p sprintf('%.2f  (%.2f – %.2f)', ratio_read[p], ratio_read_low[p], \
        ratio_read_high[p]) at screen across(width - right_edge + 18), \
        screen down(head + (at + 1.44) * row_pixels) left font sized(13) textcolor rgb ink
    if (p > 2) {
        set arrow 20 + p from screen across(18), screen down(head + at * row_pixels) \
            to screen across(width - 18), screen down(head + at * row_pixels) nohead \
            linecolor rgb faint linewidth 1
    }
}
unset print

set xrange [0:top * 1.06]
set yrange [n_rows:0]
unset ytics
unset grid
set grid xtics linetype 1 linewidth 1 linecolor rgb faint
set xtics 0, tick_step(top, 6), top * 1.06 format '%g' font tick_font textcolor rgb muted
set label 7 sprintf('times as many a second as %s', base) at screen across(left_edge), \
    screen down(height - 14) left font sized(12) textcolor rgb muted
set arrow 3 from 1, 0 to 1, n_rows nohead linecolor rgb ink linewidth 1.5 dashtype (5, 4)

tint(read) = read == 1 ? 2 : 1
set linetype 1 linecolor rgb first
set linetype 2 linecolor rgb second
plot $ratios using 'low':'row':(column('high') - column('low')):(0):(tint(column('read'))) \
        with vectors nohead linewidth 5 linecolor variable, \
    '' using 'ratio':'row':(tint(column('read'))) \
        with points pointtype 7 pointsize 1 linecolor variable, \
    '' using 'published':'row' with points pointtype 12 pointsize 1.2 linewidth 1.5 \
        linecolor rgb muted
