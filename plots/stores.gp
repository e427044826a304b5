# What stores do, side by side: a panel a workload, in it a bar a store, on a logarithmic scale of
# rows a second that all panels share, so that panels can be compared too. The bar is the median of
# the repeats, the line from the slowest to the fastest. The store called null keeps nothing: what it
# reaches is what everything around a store costs, and is drawn through the panel.
#
# Reads $points and the arrays label1 label2 value1 value2. The first axis is the stores, the second
# the workloads. A store's label is its name and, behind a colon, how long its rows are safe.

width = 860
head = 104
left_edge = 18
right_edge = 18
gap = 34
row_pixels = 34
panel_head = 66
panel_foot = 34
names = 148
numbers = 62

# The second axis turns fastest.
n_loads = 1
while (n_loads < n_points && value1[n_loads + 1] eq value1[1]) { n_loads = n_loads + 1 }
n_stores = n_points / n_loads
n_columns = n_loads > 1 ? 2 : 1
panel_rows = int(ceil(n_loads * 1.0 / n_columns))
panel_height = panel_head + n_stores * row_pixels + panel_foot
height = head + panel_rows * panel_height + 10

@open_figure
set multiplot
set label 301 title at screen across(left_edge), screen down(28) left font sized(19) textcolor rgb ink
set label 302 sprintf('%s · %d %s', conditions, repeats, repeats == 1 ? 'run' : 'repeats') \
    at screen across(left_edge), screen down(50) left font sized(13) textcolor rgb muted
y0 = 76
set object 301 rectangle from screen across(left_edge), screen down(y0 + 6) \
    to screen across(left_edge + 16), screen down(y0 - 6) fillstyle solid 1 noborder \
    fillcolor rgb first
set label 303 'median rows/s, logarithmic' at screen across(left_edge + 23), screen down(y0) left \
    font sized(13) textcolor rgb ink
set arrow 301 from screen across(226), screen down(y0) to screen across(242), screen down(y0) nohead \
    linecolor rgb ink linewidth 2
set label 304 'slowest to fastest repeat' at screen across(249), screen down(y0) left font sized(13) \
    textcolor rgb ink
set arrow 302 from screen across(424), screen down(y0 - 8) to screen across(424), \
    screen down(y0 + 8) nohead linecolor rgb second linewidth 2
set label 305 'what load balancer, server and generator reach without a store' \
    at screen across(432), screen down(y0) left font sized(13) textcolor rgb ink

# Rows a request, from what the workload says.
before_comma(text) = strstrt(text, ',') ? substr(text, 1, strstrt(text, ',') - 1) : text
behind(text, word) = substr(text, strstrt(text, word) + strlen(word), strlen(text))
rows_of(text, word) = strstrt(text, word) ? real(before_comma(behind(text, word))) : 1
rows_in(text) = rows_of(text, 'rows=') * rows_of(text, 'width=')
array rows_of_load[n_loads]
do for [w = 1:n_loads] { rows_of_load[w] = rows_in(value2[w]) }

load_of(point) = int(point - 1) % n_loads + 1
store_of(point) = int(point - 1) / n_loads + 1
rows(rate) = column(rate) * rows_of_load[load_of(column('point'))]

# The scale: whole powers of ten around everything.
stats $points using (rows('rate_max')) nooutput
high = STATS_max > 0 ? STATS_max : 1
stats $points using (rows('rate_min') > 0 ? rows('rate_min') : NaN) nooutput
low = 10 ** floor(log10(STATS_min > 1 ? STATS_min * 0.8 : 1))
high = high * 1.25 > low * 100 ? high * 1.25 : low * 100

index_of(name) = sum [s = 1:n_stores] (value1[(s - 1) * n_loads + 1] eq name ? s : 0)
null_store = index_of('null')
memory_store = index_of('memory')

# Of both of them in every panel; before there are ranges, which stats would keep to.
array null_rows[n_loads]
array memory_rows[n_loads]
of(rate, w, s) = load_of(column('point')) == w && store_of(column('point')) == s ? rows(rate) : NaN
if (null_store && memory_store) {
    do for [w = 1:n_loads] {
        stats $points using (of('rate_median', w, null_store)) nooutput
        null_rows[w] = STATS_max
        stats $points using (of('rate_median', w, memory_store)) nooutput
        memory_rows[w] = STATS_max
    }
}

short(n) = n < 1000 ? sprintf('%.0f', n) : n < 10000 ? sprintf('%.2f k', n / 1e3) : \
    n < 100000 ? sprintf('%.1f k', n / 1e3) : n < 1e6 ? sprintf('%.0f k', n / 1e3) : \
    sprintf('%.2f M', n / 1e6)
colon(text) = strstrt(text, ':')
name_of(text) = colon(text) ? substr(text, 1, colon(text) - 1) : text
rest_of(text) = colon(text) ? substr(text, colon(text) + 2, strlen(text)) : ''

unset ytics
set grid noytics xtics linetype 1 linewidth 1 linecolor rgb faint
set logscale x
set xrange [low:high]
set yrange [n_stores + 0.5:0.5]
column_width = (width - left_edge - right_edge - gap * (n_columns - 1)) * 1.0 / n_columns
do for [w = 1:n_loads] {
    x = left_edge + ((w - 1) % n_columns) * (column_width + gap)
    y = head + int((w - 1) / n_columns) * panel_height
    set lmargin at screen across(x + names)
    set rmargin at screen across(x + column_width - numbers)
    set tmargin at screen down(y + panel_head)
    set bmargin at screen down(y + panel_head + n_stores * row_pixels)
    set xtics () font tick_font textcolor rgb muted
    set xtics add ('1' 1, '10' 10, '100' 100, '1 k' 1e3, '10 k' 1e4, '100 k' 1e5, '1 M' 1e6, \
        '10 M' 1e7)
    set label 1 label2[w] at screen across(x), screen down(y + 20) left font sized(15) \
        textcolor rgb ink
    set label 2 'rows/s' at screen across(x + column_width), \
        screen down(y + panel_head + n_stores * row_pixels + 18) right font sized(12) \
        textcolor rgb muted
    unset label 3
    unset arrow 1
    if (null_store && memory_store) {
        share = memory_rows[w] / null_rows[w]
        note = sprintf('memory reaches %.0f %% of null', share * 100)
        note = note.(strstrt(value2[w], 'db-read') == 1 ? '’s empty answers' : '')
        note = note.(share >= 0.8 ? ': the store is not the limit' : '')
        set label 3 note at screen across(x), screen down(y + 42) left font sized(12) \
            textcolor rgb muted
        set arrow 1 from first null_rows[w], graph 0 to first null_rows[w], graph 1 nohead \
            linecolor rgb second linewidth 2 front
    }
    do for [s = 1:n_stores] {
        text = label1[(s - 1) * n_loads + 1]
        row = y + panel_head + (s - 0.5) * row_pixels
        set label (10 + s) name_of(text) at screen across(x), \
            screen down(row - (strlen(rest_of(text)) ? 6 : 0)) left font sized(13) textcolor rgb ink
        set label (40 + s) rest_of(text) at screen across(x), screen down(row + 8) left \
            font sized(11) textcolor rgb muted
    }
    mine(value) = load_of(column('point')) == w ? value : NaN
    plot $points using (low):(mine(store_of(column('point')))):(low):(rows('rate_median')): \
            (store_of(column('point')) - 0.3):(store_of(column('point')) + 0.3) with boxxyerror \
            fillstyle solid 1 noborder linecolor rgb first, \
        $points using (rows('rate_min')):(mine(store_of(column('point')))): \
            (rows('rate_max') - rows('rate_min')):(0) with vectors nohead linecolor rgb ink \
            linewidth 2, \
        $points using (high):(mine(store_of(column('point')))):(short(rows('rate_median'))) \
            with labels left offset character 1, 0 font sized(13) textcolor rgb first
    # What is above the panels is drawn once.
    if (w == 1) {
        do for [i = 301:305] { unset label i }
        do for [i = 301:302] { unset arrow i }
        unset object 301
    }
}
unset multiplot
