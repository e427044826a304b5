# The look of every figure, light and dark. Read after the variables and before the figure's script.
#
# Colours are Okabe and Ito's (2008), told apart by every common form of colour blindness; the light
# theme takes the darker ones and the dark theme the lighter ones, so that each stands out from its
# ground by a contrast of 3 or more, text by 4.5 or more (WCAG 2.1). No text is enhanced: an
# underscore in a name is an underscore.

if (theme eq 'dark') {
    ground = '#0d1117'
    ink    = '#e6edf3'
    muted  = '#9aa4af'
    faint  = '#2a313a'
    first  = '#56b4e9'
    second = '#e69f00'
    third  = '#2fbf93'
    fourth = '#d98fbd'
    fifth  = '#f0e442'
    sixth  = '#ff8f6b'
} else {
    ground = '#ffffff'
    ink    = '#1f2328'
    muted  = '#59636e'
    faint  = '#e3e7eb'
    first  = '#0072b2'
    second = '#c25400'
    third  = '#00805d'
    fourth = '#a3487f'
    fifth  = '#7d6608'
    sixth  = '#b3261e'
}

# The i-th of many lines, which have a point of their own too.
line_colours = first.' '.second.' '.third.' '.fourth.' '.fifth.' '.sixth.' '.muted.' '.ink
line_colour(i) = word(line_colours, (i - 1) % 8 + 1)
line_point(i) = int(word('7 5 9 11 13 6 4 8', (i - 1) % 8 + 1))

# An empty family is the terminal's.
family = 'Helvetica,Arial,sans-serif'
sized(size) = sprintf(',%g', size)
# `set tics` takes a variable but no call.
tick_font = sized(12)
name_font = sized(13)

# Opens the output. Sizes are in pixels of the SVG, which scales to where it stands.
open_figure = "set terminal svg size width,height dynamic noenhanced fontscale 1 \
font family.',13' background rgb ground; set output output"

# Positions in pixels from the top left, as fractions of the screen.
across(pixels) = pixels * 1.0 / width
down(pixels) = 1 - pixels * 1.0 / height

unset key
set border 0
set tics scale 0 textcolor rgb muted
set grid ytics linetype 1 linewidth 1 linecolor rgb faint
set datafile separator "\t"
set datafile columnheaders
set encoding utf8

# The power of ten that a number is, for tics that stand at each of them: gnuplot 6 takes the 10 of
# `set xtics low, 10, high` for a sum, also on a logarithmic axis.
decade(v) = int(floor(log10(v) + 0.5))

# 1, 2 or 5 times a power of ten, such that about n steps make the range.
tick_step(range, n) = nice_of(range * 1.0 / n, 10 ** floor(log10(range * 1.0 / n)))
nice_of(raw, power) = power * (raw <= 1.5 * power ? 1 : raw <= 3.5 * power ? 2 : \
    raw <= 7.5 * power ? 5 : 10)
