# Who gets the keys of a server that has gone: a panel a placement, a row the one that went, a column
# the one that got. Even would be the same in all cells of a row.
#
# Reads $rows (columns p gone survivor part) and the arrays placement_label n_servers.

n = n_servers[1]
n_columns = n_placements < 3 ? n_placements : 3
n_rows = (n_placements + n_columns - 1) / n_columns
width = 860
head = 98
left_edge = 44
gap = 42
panel = (width - left_edge - 18 - gap * (n_columns - 1)) * 1.0 / n_columns
panel_height = panel + 62
height = head + n_rows * panel_height + 4

# From a faint ground (nothing) to the first colour (all).
hex(text, at) = int('0x'.substr(text, at, at + 1))
mixed(at, part) = int(hex(faint, at) + (hex(first, at) - hex(faint, at)) * part + 0.5)
shade_number(part) = mixed(2, part) * 65536 + mixed(4, part) * 256 + mixed(6, part)

@open_figure
set multiplot
set label 1 title at screen across(18), screen down(28) left font sized(19) textcolor rgb ink
set label 2 sprintf('rows: the server that went · columns: the part of its keys that each other one got, in %% (even: %.0f)', \
    100.0 / (n - 1)) \
    at screen across(18), screen down(50) left font sized(13) textcolor rgb muted
set label 3 'none' at screen across(18), screen down(76) left font sized(12) textcolor rgb muted
do for [i = 0:20] {
    shade = sprintf('#%06x', shade_number(i / 20.0))
    set object 10 + i rectangle from screen across(54 + i * 9), screen down(82) \
        to screen across(63.5 + i * 9), screen down(70) fillstyle solid 1 noborder \
        fillcolor rgb shade
}
set label 4 'all' at screen across(250), screen down(76) left font sized(12) textcolor rgb muted

unset grid
unset ytics
unset xtics
set xrange [0.5:n + 0.5]
set yrange [n + 0.5:0.5]
do for [p = 1:n_placements] {
    x = left_edge + ((p - 1) % n_columns) * (panel + gap)
    y = head + ((p - 1) / n_columns) * panel_height
    set lmargin at screen across(x)
    set rmargin at screen across(x + panel)
    set tmargin at screen down(y + 46)
    set bmargin at screen down(y + 46 + panel)
    set label 11 placement_label[p] at screen across(x), screen down(y + 13) left font sized(14) \
        textcolor rgb ink
    do for [i = 1:n] {
        set label 20 + i sprintf('S%d', i) at first i, screen down(y + 37) center font sized(11) \
            textcolor rgb muted
        set label 60 + i sprintf('S%d', i) at screen across(x - 6), first i right font sized(11) \
            textcolor rgb muted
    }
    mine(value) = column('p') == p && column('gone') != column('survivor') ? value : NaN
    plot $rows using (mine(column('survivor'))):'gone':(0.47):(0.47):(shade_number(column('part'))) \
            with boxxyerror fillstyle solid 1 noborder linecolor rgb variable, \
        '' using (column('part') < 0.5 ? mine(column('survivor')) : NaN):'gone':\
            (sprintf('%.0f', 100 * column('part'))) with labels center font sized(11) \
            textcolor rgb ink, \
        '' using (column('part') >= 0.5 ? mine(column('survivor')) : NaN):'gone':\
            (sprintf('%.0f', 100 * column('part'))) with labels center font sized(11) \
            textcolor rgb ground
    if (p == 1) {
        do for [i = 1:4] { unset label i }
        do for [i = 10:30] { unset object i }
    }
}
unset multiplot
