# How long until a store serves its rows again after its server was killed, by how many there are: a
# line a store, both scales logarithmic. On the left from the kill until the rows are served, a point
# a kill, the line through the medians; on the right what of it the new process took to open the store
# (from being asked for to listening), which is the store's own part, and the least that a process
# takes.
#
# Reads $steps and the arrays label1 label2 value2. The first axis is the stores, the second the rows;
# the first event is the kill.

width = 860
head = 92
height = 480
left_edge = 58
right_edge = 18
gap = 62
names = 108
foot = 58

n_sizes = 1
while (n_sizes < n_points && label1[n_sizes + 1] eq label1[1]) { n_sizes = n_sizes + 1 }
n_stores = n_points / n_sizes
store_of(point) = int(point - 1) / n_sizes + 1

# Of every point: the medians, and the largest and smallest, of kill to serving; and of the opening.
array serves[n_points]
array opens[n_points]
do for [p = 1:n_points] {
    is(name) = column('point') == p && column('event') == 1 && strcol('name') eq name
    serves[p] = NaN
    opens[p] = NaN
    spawned = NaN
    listens = NaN
    stats $steps using (is('serving') ? column('median') : NaN) nooutput
    if (STATS_records > 0) { serves[p] = STATS_max }
    stats $steps using (is('spawned') ? column('median') : NaN) nooutput
    if (STATS_records > 0) { spawned = STATS_max }
    stats $steps using (is('listens') ? column('median') : NaN) nooutput
    if (STATS_records > 0) { listens = STATS_max }
    opens[p] = listens - spawned
}
set print $lines
print "point\trows\tserves\topens"
do for [p = 1:n_points] {
    print sprintf("%d\t%s\t%g\t%g", p, value2[p], serves[p], opens[p])
}
unset print

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('one server, one replica · %d kills of each', repeats) \
    at screen across(18), screen down(50) left font sized(13) textcolor rgb muted

array colour[4] = [first, second, third, fourth]
array mark[4] = [7, 5, 9, 13]
hue(s) = colour[(s - 1) % 4 + 1]

low_rows = real(value2[1])
high_rows = real(value2[n_sizes])
stats $steps using (column('event') == 1 && strcol('name') eq 'serving' ? column('ms') : NaN) nooutput
high_ms = STATS_max * 1.6
stats $lines using 'opens' nooutput
low_ms = 10 ** floor(log10(STATS_min > 0.1 ? STATS_min : 0.1))
high_ms = high_ms > low_ms * 100 ? high_ms : low_ms * 100

set logscale xy
set grid xtics ytics linetype 1 linewidth 1 linecolor rgb faint
set yrange [low_ms:high_ms]
set xtics () font tick_font textcolor rgb muted
set xtics add ('1 000' 1e3, '10 000' 1e4, '100 000' 1e5, '1 000 000' 1e6, '10 000 000' 1e7)
set ytics () font tick_font textcolor rgb muted
set ytics add ('1 ms' 1, '10 ms' 10, '100 ms' 100, '1 s' 1000, '10 s' 1e4, '100 s' 1e5)
set tmargin at screen down(head + 14)
set bmargin at screen down(height - foot)
set label 7 'rows' at screen across(width - right_edge), screen down(height - 16) right \
    font sized(12) textcolor rgb muted

panel = (width - left_edge - right_edge - gap) / 2.0
plot_height = height - foot - head - 14
# Names at the ends of lines stand at least so far from each other, in pixels.
apart = 17
pixel_of(ms) = (log10(high_ms) - log10(ms)) / (log10(high_ms) - log10(low_ms)) * plot_height
array end_y[n_stores]
array order[n_stores]
do for [k = 1:2] {
    x = left_edge + (k - 1) * (panel + gap)
    set lmargin at screen across(x)
    set rmargin at screen across(x + panel - names)
    set xrange [low_rows * 0.8:high_rows * 1.25]
    set label 3 (k == 1 ? 'from SIGKILL until the rows are served' : \
        'of that: until the new process has opened the store') \
        at screen across(x - (k == 1 ? 40 : 40)), screen down(head - 6) left font sized(14) \
        textcolor rgb ink
    do for [s = 1:n_stores] {
        ms = k == 1 ? serves[s * n_sizes] : opens[s * n_sizes]
        end_y[s] = ms == ms ? pixel_of(ms) : -1
        order[s] = s
    }
    # By height, and then pushed apart, downwards, and back up from the floor.
    do for [i = 1:n_stores] { do for [j = 1:n_stores - 1] {
        if (end_y[order[j]] > end_y[order[j + 1]]) {
            swap = order[j]; order[j] = order[j + 1]; order[j + 1] = swap
        }
    } }
    do for [i = 2:n_stores] {
        a = order[i - 1]; b = order[i]
        end_y[b] = end_y[b] < end_y[a] + apart ? end_y[a] + apart : end_y[b]
    }
    do for [i = 1:n_stores] {
        most = plot_height - (n_stores - i) * apart
        end_y[order[i]] = end_y[order[i]] > most ? most : end_y[order[i]]
    }
    do for [s = 1:n_stores] {
        ms = k == 1 ? serves[s * n_sizes] : opens[s * n_sizes]
        if (ms == ms) {
            set label (20 + s) sprintf('%s %s', label1[s * n_sizes], \
                ms < 10 ? sprintf('%.1f ms', ms) : ms < 1000 ? sprintf('%.0f ms', ms) : \
                sprintf('%.2f s', ms / 1000)) at screen across(x + panel - names + 8), \
                screen down(head + 14 + end_y[s]) left font sized(13) textcolor rgb hue(s)
        } else {
            unset label (20 + s)
        }
    }
    column_name = k == 1 ? 'serves' : 'opens'
    its(s, value) = store_of(column('point')) == s ? value : NaN
    kill(s) = k == 1 && column('event') == 1 && strcol('name') eq 'serving' && \
        store_of(column('point')) == s ? column('ms') : NaN
    set datafile missing NaN
    plot for [s = 1:n_stores] $steps using (real(value2[int(column('point'))])):(kill(s)) \
            with points pointtype 7 pointsize 0.35 linecolor rgb muted, \
        for [s = 1:n_stores] $lines using (column('rows')):(its(s, column(column_name))) \
            with linespoints pointtype mark[(s - 1) % 4 + 1] pointsize 0.8 linewidth 2 \
            linecolor rgb hue(s)
    if (k == 1) { do for [i in '1 2 7'] { unset label int(i) } }
}
unset multiplot
