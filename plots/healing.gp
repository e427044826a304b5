# How long after an event each step of the healing came, every one of them: a row a step, a point an
# event, on a logarithmic scale of ms, since the steps lie from 1 ms to 1 s apart.
#
# Reads $healing, the numbers heal_… and the arrays heal_…, one element a step.

width = 860
head = 104
row_height = 54
foot = 44
names = 92
numbers = 170
left_edge = 18
right_edge = 18
height = head + heal_rows * row_height + foot

verb = heal_action eq 'kill' ? 'SIGKILL' : heal_action eq 'stop' ? 'SIGSTOP' : \
    heal_action eq 'cont' ? 'SIGCONT' : '/'.heal_action
explain(name) = name eq 'detected' ? 'it is known' : name eq 'out' ? 'out of the placement' : \
    name eq 'drained' ? 'nothing under way' : name eq 'exited' ? 'the process is gone' : \
    name eq 'spawned' ? 'another is asked for' : name eq 'listens' ? 'the new one listens' : \
    name eq 'serving' ? 'the new one serves' : name eq 'answered' ? 'the call is answered' : ''
short(ms) = ms < 10 ? sprintf('%.2f', ms) : ms < 100 ? sprintf('%.1f', ms) : sprintf('%.0f', ms)

@open_figure
set multiplot

set label 1 title at screen across(left_edge), screen down(28) left font sized(19) \
    textcolor rgb ink
sub = sprintf('%.0f times %s in %d runs · N = %d servers · about %.0f requests a run', heal_n, verb, \
    repeats, n_servers[1], point_requests[1])
set label 2 sub at screen across(left_edge), screen down(50) left font sized(13) textcolor rgb muted
counts = sprintf('requests that failed: %.0f · sent to another server: %.0f, at most %.0f at once', \
    heal_failed, heal_retried, heal_most_retried)
set label 3 counts at screen across(left_edge), screen down(70) left font sized(13) \
    textcolor rgb heal_failed > 0 ? second : muted

set label 4 'ms after the event' at screen across(left_edge + names), \
    screen down(head - 8) left font sized(12) textcolor rgb muted
set label 5 'median' at screen across(width - right_edge - 76), screen down(head - 8) right \
    font sized(12) textcolor rgb muted
set label 6 'worst' at screen across(width - right_edge), screen down(head - 8) right \
    font sized(12) textcolor rgb muted

stats $healing using 'ms' nooutput
# A whole power of ten, or its third, below and above.
nice_below(x) = 10 ** floor(log10(x)) * (x >= 3 * 10 ** floor(log10(x)) ? 3 : 1)
low_ms = nice_below(STATS_min > 0.01 ? STATS_min : 0.01)
high_ms = STATS_max * 1.15 > low_ms * 10 ? STATS_max * 1.15 : low_ms * 10
set logscale x
set xrange [low_ms:high_ms]
set yrange [heal_rows + 0.5:0.5]
set lmargin at screen across(left_edge + names + 44)
set rmargin at screen across(width - right_edge - numbers + 16)
set tmargin at screen down(head)
set bmargin at screen down(head + heal_rows * row_height)
unset ytics
set grid noytics xtics linetype 1 linewidth 1 linecolor rgb faint
set xtics font tick_font textcolor rgb muted
set xtics (sprintf('%g', 0.01) 0.01, '0.03' 0.03, '0.1' 0.1, '0.3' 0.3, '1' 1, '3' 3, '10' 10, \
    '30' 30, '100' 100, '300' 300, '1000' 1000, '3000' 3000, '10000' 10000)

do for [i = 1:heal_rows] {
    y = head + (i - 0.5) * row_height
    set label (10 + i) heal_name[i] at screen across(left_edge), screen down(y - 6) left \
        font sized(14) textcolor rgb ink
    set label (30 + i) explain(heal_name[i]) at screen across(left_edge), screen down(y + 11) left \
        font sized(11) textcolor rgb muted
    set label (50 + i) short(heal_median[i]).' ms' at screen across(width - right_edge - 76), \
        screen down(y) right font sized(14) textcolor rgb first
    set label (70 + i) short(heal_most[i]).' ms' at screen across(width - right_edge), \
        screen down(y) right font sized(14) textcolor rgb ink
    set arrow i from first heal_median[i], i - 0.34 to first heal_median[i], i + 0.34 nohead \
        linecolor rgb first linewidth 3 front
}
set label 90 'a point an event, a bar the median' at screen across(width - right_edge), \
    screen down(height - 12) right font sized(12) textcolor rgb muted

plot $healing using 'ms':(column('row') + (column('spread') - 0.5) * 0.52) with points \
    pointtype 7 pointsize 0.4 linecolor rgb muted
unset multiplot
