# What starts servers, side by side in how soon: a row a question, in it a bar a point from the left
# edge to the median of all events of all repeats, and the line from the quickest to the slowest, on a
# logarithmic scale of ms.
#
# Reads $pooled and the arrays label1 n_servers.

width = 860
head = 106
row_height = 58
foot = 40
left_edge = 18
right_edge = 18
names = 236
numbers = 150

array action_of[5] = ['add', 'kill', 'kill', 'kill', 'rm']
array step_of[5] = ['serving', 'detected', 'out', 'serving', 'answered']
array explain[5] = ['/add until the new server serves', 'killed until that is known', \
    'killed until out of the placement', 'killed until another serves', '/rm until it is answered']
# Rows that came, in that order.
array row_at[5]
n_rows = 0
do for [k = 1:5] {
    stats $pooled using (strcol('action') eq action_of[k] && strcol('step') eq step_of[k] ? \
        column('median') : NaN) nooutput
    row_at[k] = 0
    if (STATS_records > 0) {
        n_rows = n_rows + 1
        row_at[k] = n_rows
    }
}
height = head + n_rows * row_height + foot
row_of(action, step) = sum [k = 1:5] (action eq action_of[k] && step eq step_of[k] ? row_at[k] : 0)
short(ms) = ms < 10 ? sprintf('%.2f', ms) : ms < 100 ? sprintf('%.1f', ms) : sprintf('%.0f', ms)

stats $pooled using (row_of(strcol('action'), strcol('step')) ? column('min') : NaN) nooutput
low_ms = 10 ** floor(log10(STATS_min > 0.01 ? STATS_min : 0.01))
stats $pooled using (row_of(strcol('action'), strcol('step')) ? column('max') : NaN) nooutput
high_ms = STATS_max * 1.15 > low_ms * 100 ? STATS_max * 1.15 : low_ms * 100
stats $pooled using (strcol('action') eq 'kill' ? column('n') : NaN) nooutput
n_kills = STATS_records > 0 ? STATS_max : 0
# Of every row and point, before there are ranges, which stats would keep to.
array median[5 * n_points]
array slowest[5 * n_points]
do for [k = 1:5] { do for [p = 1:n_points] { if (row_at[k]) {
    mine(p) = column('point') == p && strcol('action') eq action_of[k] && strcol('step') eq step_of[k]
    stats $pooled using (mine(p) ? column('median') : NaN) nooutput
    median[(k - 1) * n_points + p] = STATS_records > 0 ? STATS_max : NaN
    stats $pooled using (mine(p) ? column('max') : NaN) nooutput
    slowest[(k - 1) * n_points + p] = STATS_records > 0 ? STATS_max : NaN
} } }

@open_figure
set label 1 title at screen across(left_edge), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('%.0f times each, in %d runs, under load · N = %d servers', n_kills, repeats, \
    n_servers[1]) at screen across(left_edge), screen down(50) left font sized(13) textcolor rgb muted
y0 = 76
do for [p = 1:n_points] {
    x = left_edge + (p - 1) * 130
    set object p rectangle from screen across(x), screen down(y0 + 6) \
        to screen across(x + 16), screen down(y0 - 6) fillstyle solid 1 noborder \
        fillcolor rgb line_colour(p)
    set label (100 + p) (n_axes ? label1[p] : 'median') at screen across(x + 23), screen down(y0) \
        left font sized(13) textcolor rgb ink
    set linetype p linecolor rgb line_colour(p)
}
x = left_edge + n_points * 130
set arrow 1 from screen across(x), screen down(y0) to screen across(x + 16), screen down(y0) nohead \
    linecolor rgb ink linewidth 2
set label 3 'quickest to slowest' at screen across(x + 23), screen down(y0) left font sized(13) \
    textcolor rgb ink
set label 5 'median' at screen across(width - right_edge - 76), screen down(head - 10) right \
    font sized(12) textcolor rgb muted
set label 6 'slowest' at screen across(width - right_edge), screen down(head - 10) right \
    font sized(12) textcolor rgb muted

set logscale x
set xrange [low_ms:high_ms]
set yrange [n_rows + 0.5:0.5]
set lmargin at screen across(left_edge + names)
set rmargin at screen across(width - right_edge - numbers)
set tmargin at screen down(head)
set bmargin at screen down(head + n_rows * row_height)
unset ytics
set grid noytics xtics linetype 1 linewidth 1 linecolor rgb faint
set xtics font tick_font textcolor rgb muted
set xtics ('0.01 ms' 0.01, '0.1 ms' 0.1, '1 ms' 1, '10 ms' 10, '100 ms' 100, '1 s' 1000, '10 s' 10000)

bar = 0.62 / n_points
middle(point) = (point - (n_points + 1) / 2.0) * bar * 1.12
do for [k = 1:5] {
    if (row_at[k]) {
        y = head + (row_at[k] - 0.5) * row_height
        set label (200 + k) explain[k] at screen across(left_edge), screen down(y) left \
            font sized(13) textcolor rgb ink
        do for [p = 1:n_points] {
            value = median[(k - 1) * n_points + p]
            worst = slowest[(k - 1) * n_points + p]
            at = y + middle(p) * row_height
            set label (300 + 20 * k + p) value == value ? short(value).' ms' : '–' \
                at screen across(width - right_edge - 76), screen down(at) right \
                font sized(13) textcolor rgb line_colour(p)
            set label (500 + 20 * k + p) worst == worst ? short(worst).' ms' : '' \
                at screen across(width - right_edge), screen down(at) right font sized(13) \
                textcolor rgb muted
        }
    }
}
its_row(x) = row_of(strcol('action'), strcol('step')) ? x : NaN
its_y(x) = row_of(strcol('action'), strcol('step')) + middle(column('point'))
plot $pooled using (its_row(low_ms)):(its_y(0)):(low_ms):(column('median')): \
        (its_y(0) - bar / 2):(its_y(0) + bar / 2):(column('point')) with boxxyerror \
        fillstyle solid 1 noborder linecolor variable, \
    '' using (its_row(column('min'))):(its_y(0)):(column('max') - column('min')):(0) with vectors \
        nohead linecolor rgb ink linewidth 2
