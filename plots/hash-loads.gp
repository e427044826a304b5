# The load of a server over random names, a row a placement: 99 % of all servers of all draws lie
# within the thin line, half of them within the thick one. 1 is an even share.
#
# Reads $rows (columns p low_99 low_50 median high_50 high_99) and the array placement_label.

width = 860
head = 112
foot = 58
height = head + n_placements * 30 + foot
left_edge = 190
right_edge = 150

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('N = %d servers with random names, %d draws; shares of the hash space, nothing sampled', \
    n_servers[1], n_draws) \
    at screen across(18), screen down(50) left font sized(13) textcolor rgb muted
y0 = 76
set arrow 1 from screen across(18), screen down(y0) to screen across(40), screen down(y0) \
    nohead linecolor rgb muted linewidth 1.5
set arrow 2 from screen across(190), screen down(y0) to screen across(212), screen down(y0) \
    nohead linecolor rgb first linewidth 6
set arrow 3 from screen across(330), screen down(y0) to screen across(352), screen down(y0) \
    nohead linecolor rgb second linewidth 1.5 dashtype (5, 4)
set label 3 '99 % of all servers' at screen across(47), screen down(y0) left \
    font sized(13) textcolor rgb ink
set label 4 'half of them' at screen across(219), screen down(y0) left \
    font sized(13) textcolor rgb ink
set label 5 'an even share' at screen across(359), screen down(y0) left \
    font sized(13) textcolor rgb ink
set label 6 '99 % interval' at screen across(width - right_edge + 22), screen down(head - 12) left \
    font sized(12) textcolor rgb muted

set lmargin at screen across(left_edge)
set rmargin at screen across(width - right_edge)
set tmargin at screen down(head)
set bmargin at screen down(height - foot)
stats $rows using (column('high_99')) nooutput
right_end = STATS_max * 1.03
set xrange [0:right_end]
set yrange [n_placements + 0.5:0.5]
unset ytics
set grid noytics xtics linetype 1 linewidth 1 linecolor rgb faint
set xtics 0, tick_step(STATS_max, 6) font tick_font textcolor rgb muted
set label 7 'load of a server, in even shares' at screen across((left_edge + width - right_edge) / 2), screen down(height - 16) center \
    font sized(12) textcolor rgb muted
set arrow 10 from 1, n_placements + 0.5 to 1, 0.5 nohead back linecolor rgb second linewidth 1.5 \
    dashtype (5, 4)
do for [p = 1:n_placements] {
    set label 20 + p placement_label[p] at screen across(left_edge - 12), first p right \
        font sized(13) textcolor rgb ink
}
plot $rows using 'low_99':'p':(column('high_99') - column('low_99')):(0) \
        with vectors nohead linecolor rgb muted linewidth 1.5, \
    '' using 'low_50':'p':(column('high_50') - column('low_50')):(0) \
        with vectors nohead linecolor rgb first linewidth 6, \
    '' using 'median':'p' with points pointtype 7 pointsize 0.6 linecolor rgb ink, \
    '' using (right_end):'p':(sprintf('%.3f – %.3f', column('low_99'), column('high_99'))) \
        with labels left offset 3, 0 font sized(12) textcolor rgb ink
unset multiplot
