# What failures do to those who ask: throughput over time; how long answers took, where the result has
# that; and below, a panel an event, when each step of the healing came, on a logarithmic scale of ms,
# since they lie from 1 ms to 1 s apart.
#
# Reads $timeline, $steps and the arrays event_…, one element an event. Draws the first point.

width = 860
head = 92
top_height = 262
wait_height = has_latency ? 176 : 0
panel_gap = 26
left_edge = 64
right_edge = 18

# Event panels: two in a row, as high as the one with the most steps.
n_columns = n_events == 1 ? 1 : 2
n_rows = int(ceil(n_events * 1.0 / n_columns))
step_height = 21
# What was copied has a line of its own.
panel_head = has_writes ? 80 : 62
panel_foot = 30
array row_y[n_rows]
height = head + top_height + wait_height + 22
do for [r = 1:n_rows] {
    most = 0
    do for [e = (r - 1) * n_columns + 1:(r * n_columns < n_events ? r * n_columns : n_events)] {
        most = event_rows[e] > most ? event_rows[e] : most
    }
    row_y[r] = height
    height = height + panel_head + most * step_height + panel_foot
}
height = height + 6

@open_figure
set multiplot

set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
sub = has_writes ? conditions : \
    sprintf('N = %d servers · about %.0f requests a run', n_servers[1], point_requests[1])
sub = sub.sprintf(' · %d %s', repeats, repeats == 1 ? 'run' : 'repeats')
set label 2 sub at screen across(18), screen down(50) left font sized(13) textcolor rgb muted

# The key.
y0 = 73
x0 = 18
set arrow 1 from screen across(x0), screen down(y0) to screen across(x0 + 16), screen down(y0) \
    nohead linecolor rgb first linewidth 2.5
set label 3 (has_writes ? 'reads, the middle repeat' : 'the middle repeat') \
    at screen across(x0 + 23), screen down(y0) left font sized(13) textcolor rgb ink
x0 = x0 + (has_writes ? 196 : 156)
if (has_writes) {
    set arrow 3 from screen across(x0), screen down(y0) to screen across(x0 + 16), \
        screen down(y0) nohead linecolor rgb third linewidth 2.5
    set label 8 'writes' at screen across(x0 + 23), screen down(y0) left font sized(13) \
        textcolor rgb ink
    x0 = x0 + 88
}
set arrow 2 from screen across(x0), screen down(y0) to screen across(x0 + 16), screen down(y0) \
    nohead linecolor rgb muted linewidth 1
set label 4 'the others' at screen across(x0 + 23), screen down(y0) left font sized(13) \
    textcolor rgb ink
x0 = x0 + 112
set object 1 rectangle from screen across(x0), screen down(y0 + 7) \
    to screen across(x0 + 16), screen down(y0 - 7) fillstyle solid 1 noborder fillcolor rgb faint
set label 5 'until the cluster is whole again' at screen across(x0 + 23), screen down(y0) left \
    font sized(13) textcolor rgb ink

# ---- throughput ----------------------------------------------------------------------------------

reads(rate) = has_writes ? rate - column('writes') : rate
stats $timeline using (reads(column('rate'))) nooutput
top = STATS_max > 0 ? STATS_max * 1.02 : 1
# Where a stall ends, all that waited is answered at once, which would hide everything else.
highest = STATS_max
clipped = has_latency && STATS_up_quartile > 0 && STATS_max > 3 * STATS_up_quartile
if (clipped) { top = 2 * STATS_up_quartile }
stats $timeline using 't' nooutput
first_t = 0
last_t = STATS_max + bucket_ms / 1000.0
words = 42
pixel = top / (top_height - words - 30)
set lmargin at screen across(left_edge)
set rmargin at screen across(width - right_edge)
set tmargin at screen down(head)
set bmargin at screen down(head + top_height - 30)
set xrange [first_t:last_t]
set yrange [0:top + words * pixel]
set ytics 0, tick_step(top, 4), top format '%.0f' font tick_font textcolor rgb muted
set xtics 0, tick_step(last_t, 8), last_t format '%g' font tick_font textcolor rgb muted
rate_head = sprintf('requests/s, in buckets of %d ms', bucket_ms)
if (clipped) { rate_head = rate_head.sprintf('; the highest, %.0f, is off the scale', highest) }
set label 6 rate_head at screen across(10), \
    screen down(head + 4) left font sized(12) textcolor rgb muted
set label 7 's since the load began' at screen across(width - right_edge), \
    screen down(head + top_height + wait_height + 8) right font sized(12) textcolor rgb muted

do for [e = 1:n_events] {
    set object (10 + e) rectangle from event_at[e], 0 to event_end[e], top \
        fillstyle solid 1 noborder fillcolor rgb faint behind
    set arrow (10 + e) from event_at[e], 0 to event_at[e], top + 18 * pixel nohead \
        linecolor rgb second linewidth 1.5 back
    set label (10 + e) event_label[e] at event_at[e], top + 18 * pixel left offset character 0.5, 0 \
        font sized(13) textcolor rgb second
}
# What is off the scale stays out of the words above it.
kept(rate) = has_writes && rate > top ? top : rate
all(typical) = column('typical') == typical && column('point') == 1 ? \
    kept(reads(column('rate'))) : NaN
changes(typical) = column('typical') == typical && column('point') == 1 ? \
    kept(column('writes')) : NaN
if (has_writes) {
    plot $timeline using 't':(all(0)) with steps linecolor rgb muted linewidth 0.6, \
        $timeline using 't':(changes(0)) with steps linecolor rgb muted linewidth 0.6, \
        $timeline using 't':(all(1)) with steps linecolor rgb first linewidth 2, \
        $timeline using 't':(changes(1)) with steps linecolor rgb third linewidth 2
} else {
    plot $timeline using 't':(all(0)) with steps linecolor rgb muted linewidth 0.6, \
        $timeline using 't':(all(1)) with steps linecolor rgb first linewidth 2
}

do for [e = 1:n_events] {
    unset object (10 + e)
    unset arrow (10 + e)
    unset label (10 + e)
}
do for [i = 1:8] { unset label i }

# ---- latency -------------------------------------------------------------------------------------

if (has_latency) {
    stats $timeline using 'p50' nooutput
    low_wait = 10 ** floor(log10(STATS_min > 0.01 ? STATS_min : 0.01))
    stats $timeline using 'max' nooutput
    high_wait = 10 ** ceil(log10(STATS_max > low_wait * 10 ? STATS_max : low_wait * 10))
    wait_top = head + top_height + 26
    set tmargin at screen down(wait_top)
    set bmargin at screen down(wait_top + wait_height - 56)
    set logscale y
    # Room for the words below the median.
    set yrange [has_writes ? low_wait / 3 : low_wait * 0.9999:high_wait * 1.0001]
    set ytics () font tick_font textcolor rgb muted
    do for [e = decade(low_wait):decade(high_wait)] {
        set ytics add (sprintf('%g', 10.0 ** e) 10.0 ** e)
    }
    set label 1 'ms until answered: the longest and the median of each bucket' at \
        screen across(10), screen down(wait_top - 14) left font sized(12) textcolor rgb muted
    do for [e = 1:n_events] {
        set object (10 + e) rectangle from event_at[e], graph 0 to event_end[e], graph 1 \
            fillstyle solid 1 noborder fillcolor rgb faint behind
        set arrow (10 + e) from event_at[e], graph 0 to event_at[e], graph 1 nohead \
            linecolor rgb second linewidth 1.5 back
    }
    of_typical(ms) = column('typical') == 1 && column('point') == 1 ? ms : NaN
    set label 2 'longest' at graph 0.004, graph 0.9 left font sized(12) textcolor rgb first
    set label 3 'median' at graph 0.004, graph (has_writes ? 0.06 : 0.12) left font sized(12) textcolor rgb third
    plot $timeline using 't':(of_typical(column('max'))) with steps linecolor rgb first \
            linewidth 2, \
        $timeline using 't':(of_typical(column('p50'))) with steps linecolor rgb third linewidth 2
    do for [e = 1:n_events] {
        unset object (10 + e)
        unset arrow (10 + e)
    }
    do for [i = 1:3] { unset label i }
    unset logscale y
}
unset object 1
do for [i = 1:3] { unset arrow i }

# ---- steps ---------------------------------------------------------------------------------------

stats $steps using 'ms' nooutput
low_ms = 10 ** floor(log10(STATS_min > 0.01 ? STATS_min : 0.01))
high_ms = STATS_max * 1.3 > low_ms * 10 ? STATS_max * 1.3 : low_ms * 10
names = 74
numbers = 72
column_width = (width - 18 - right_edge - panel_gap * (n_columns - 1)) * 1.0 / n_columns
failed_of(what, n) = n == 0 ? 'no '.what : sprintf('up to %.0f %s', n, what)
bytes(n) = n < 1e6 ? sprintf('%.0f kB', n / 1e3) : sprintf('%.1f MB', n / 1e6)
# Pixels right of the scale's begin, and left of it, as ms: names and numbers stand beside the scale.
span = column_width - names - numbers
at_pixel(n) = low_ms * (high_ms / low_ms) ** (n * 1.0 / span)

unset ytics
set grid noytics xtics linetype 1 linewidth 1 linecolor rgb faint
set logscale x
set xrange [at_pixel(-names):at_pixel(span + numbers)]
do for [e = 1:n_events] {
    x = 18 + ((e - 1) % n_columns) * (column_width + panel_gap)
    y = row_y[(e - 1) / n_columns + 1]
    rows = event_rows[e]
    set lmargin at screen across(x)
    set rmargin at screen across(x + column_width)
    set tmargin at screen down(y + panel_head)
    set bmargin at screen down(y + panel_head + rows * step_height)
    set yrange [rows + 0.5:0.5]
    set xtics () font tick_font textcolor rgb muted
    do for [i = decade(low_ms):decade(high_ms)] { set xtics add (sprintf('%g', 10.0 ** i) 10.0 ** i) }
    set label 1 event_label[e] at screen across(x), screen down(y + 18) left font sized(15) \
        textcolor rgb ink
    note = has_writes ? sprintf('failed: %s, %s · reads sent to another server: %.0f', \
        failed_of('reads', event_failed_reads[e]), failed_of('writes', event_failed_writes[e]), \
        event_retried[e]) : \
        sprintf('failed: %s · sent to another server: %.0f', \
        event_failed[e] == 0 ? '0 in every repeat' : sprintf('up to %.0f', event_failed[e]), \
        event_retried[e])
    # NaN is not equal to itself: no rows.
    if (event_copied_rows[e] == event_copied_rows[e]) {
        set label 4 sprintf('%.0f rows there again, %.0f of them sent: %s', event_held_rows[e], \
            event_copied_rows[e] < event_held_rows[e] ? event_copied_rows[e] : \
            event_held_rows[e], bytes(event_copied_bytes[e])) at screen across(x), \
            screen down(y + 57) left font sized(12) textcolor rgb muted
    }
    set label 2 note at screen across(x), screen down(y + 39) left font sized(12) \
        textcolor rgb muted
    set label 3 'ms since' at screen across(x + column_width), \
        screen down(y + panel_head + rows * step_height + 19) right font sized(12) \
        textcolor rgb muted
    # Of the panel before, when this one has none.
    mine(value) = column('event') == e && column('point') == 1 ? value : NaN
    once(value) = column('repeat') == 1 ? mine(value) : NaN
    short(ms) = ms < 10 ? sprintf('%.2f ms', ms) : ms < 100 ? sprintf('%.1f ms', ms) : \
        sprintf('%.0f ms', ms)
    plot $steps using 'ms':(mine(column('row'))) with points pointtype 7 pointsize 0.35 \
            linecolor rgb muted, \
        $steps using 'median':(once(column('row'))) with points pointtype 7 pointsize 0.75 \
            linecolor rgb first, \
        $steps using (at_pixel(-8)):(once(column('row'))):(strcol('name')) \
            with labels right font sized(13) textcolor rgb ink, \
        $steps using (at_pixel(span + numbers)):(once(column('row'))):(short(column('median'))) \
            with labels right font sized(13) textcolor rgb first
}
unset multiplot
