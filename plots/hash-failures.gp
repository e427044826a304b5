# The load of the most loaded server as servers fail and nobody heals, in terms of what a server had on
# the average before. The second failure strikes the most loaded one.
#
# Reads $rows (columns p failed load_mean load_worst) and the arrays placement_label n_servers.

width = 860
head = 104
height = head + n_placements * 34 + 62
left_edge = 170
right_edge = 30
n = n_servers[1]
array stage[3] = ['before', 'one has failed', 'two have failed']
array colour[3] = [third, first, second]

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('N = %d servers at first · a dot: the mean over which server fails first · a cross: the worst of them', \
    n) \
    at screen across(18), screen down(50) left font sized(13) textcolor rgb muted
do for [i = 1:3] {
    x = 18 + (i - 1) * 140
    set object i circle at screen across(x + 6), screen down(76) size screen 0.0065 \
        fillstyle solid 1 noborder fillcolor rgb colour[i]
    set label 10 + i stage[i] at screen across(x + 18), screen down(76) left font sized(13) \
        textcolor rgb ink
}
set arrow 2 from screen across(450), screen down(76) to screen across(472), screen down(76) nohead \
    linecolor rgb muted linewidth 1.5 dashtype (5, 4)
set label 15 'if all were shared out evenly' at screen across(479), screen down(76) left \
    font sized(13) textcolor rgb ink

set lmargin at screen across(left_edge)
set rmargin at screen across(width - right_edge)
set tmargin at screen down(head)
set bmargin at screen down(height - 56)
stats $rows using (column('load_worst')) nooutput
set xrange [0.94:STATS_max * 1.05]
set logscale x
set yrange [n_placements + 0.5:0.5]
unset ytics
set grid noytics xtics linetype 1 linewidth 1 linecolor rgb faint
set xtics (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 20) font tick_font textcolor rgb muted
set label 16 'most loaded server, times what a server had on the average (logarithmic)' at screen across((left_edge + width - right_edge) / 2), screen down(height - 16) center \
    font sized(12) textcolor rgb muted
do for [f = 0:2] {
    set arrow 20 + f from n * 1.0 / (n - f), n_placements + 0.5 to n * 1.0 / (n - f), 0.5 nohead \
        back linecolor rgb colour[f + 1] linewidth 1.2 dashtype (5, 4)
}
do for [p = 1:n_placements] {
    set label 30 + p placement_label[p] at screen across(left_edge - 12), first p right \
        font sized(13) textcolor rgb ink
}
at(f, name) = column('failed') == f ? column(name) : NaN
row_of(f) = column('p') + (f - 1) * 0.24
plot for [f = 0:2] $rows using (at(f, 'load_mean')):(row_of(f)):\
        (column('load_worst') - column('load_mean')):(0) with vectors nohead \
        linecolor rgb colour[f + 1] linewidth 1.5, \
    for [f = 0:2] $rows using (at(f, 'load_mean')):(row_of(f)) with points pointtype 7 \
        pointsize 0.75 linecolor rgb colour[f + 1], \
    for [f = 1:2] $rows using (at(f, 'load_worst')):(row_of(f)) with points pointtype 2 \
        pointsize 0.6 linewidth 2 linecolor rgb colour[f + 1]
unset multiplot
