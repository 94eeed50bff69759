package peers

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Measures of the picture, in its own units.
const (
	plotWidth   = 920
	plotMargin  = 24
	nameWidth   = 142 // of the servers' names, left of a panel's bars
	valueWidth  = 62  // of the values, right of them
	panelGap    = 28
	barHeight   = 16
	barStep     = 23
	panelHead   = 26 // a panel's own title
	rowHead     = 30 // the title of a row of panels
	rowGap      = 18
	panelWidth  = (plotWidth - 2*plotMargin - panelGap) / 2
	longest     = panelWidth - nameWidth - valueWidth
	plotTop     = 78
	plotBottom  = 20
	plotHeading = "yesterday serve beside other servers"
)

// style has the colours for light and dark. The picture brings its own background, so that it can be read on any page.
const style = `
  .ground { fill: #ffffff; stroke: #d0d7de }
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
  .heading { font-size: 18px; font-weight: 600 }
  .row { font-size: 14px; font-weight: 600 }
  .faint { fill: #59636e; font-size: 12px }
  .ours { fill: #0969da }
  .other { fill: #9aa4af }
  .ceiling { fill: #d4a72c }
  .range { stroke: #1f2328; stroke-width: 1.5; fill: none }
  .axis { stroke: #d0d7de; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .faint { fill: #9198a1 }
    .ours { fill: #4493f8 }
    .other { fill: #656c76 }
    .ceiling { fill: #bb8009 }
    .range { stroke: #f0f6fc }
    .axis { stroke: #3d444d }
  }
`

// A row of the picture is one measure of one service, over both paths on one scale.
type plotRow struct {
	title   string
	service string
	measure Measure
}

var plotRows = []plotRow{
	{"NTP: replies a second at saturation, one core", NTP, Rate},
	{"Time, RFC 868: replies a second at saturation, one core", Time, Rate},
	{titles[Echo] + ": replies a second at saturation, one core", Echo, Rate},
	{"NTP: median round trip with one request outstanding (shorter is better)", NTP, Median},
}

// Plot is the picture of the Run: an SVG file that reads in light and in dark. Bars are medians, and the lines at their ends
// reach from the least to the greatest of the rounds.
func (r *Run) Plot() string {
	var rows strings.Builder
	y := plotTop
	for _, row := range plotRows {
		y = r.plotRow(&rows, row, y)
	}
	height := y - rowGap + plotBottom

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-labelledby="heading">`+"\n", plotWidth, height)
	fmt.Fprintf(&b, "<style>%s</style>\n", style)
	fmt.Fprintf(&b, `<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", plotWidth-1, height-1)
	label(&b, plotMargin, 34, "heading", `id="heading"`, plotHeading)
	under := fmt.Sprintf("Medians of %d rounds, the lines from the least to the greatest. %s, Linux %s, %s.",
		r.Load.Rounds, r.Machine.CPU, r.Machine.Kernel, r.Began.UTC().Format("2006-01-02"))
	label(&b, plotMargin, 55, "faint", "", under)
	b.WriteString(rows.String())
	b.WriteString("</svg>\n")
	return b.String()
}

// plotRow writes a row of panels from y on, and returns where the next begins. A row of which nothing was measured is left out.
func (r *Run) plotRow(b *strings.Builder, row plotRow, y int) int {
	most, greatest := 0, 0.0
	for _, path := range paths {
		names := r.measured(path, row.service)
		most = max(most, len(names))
		for _, name := range names {
			greatest = max(greatest, r.of(path, row.service, name, row.measure).Max)
		}
	}
	if greatest == 0 {
		return y
	}
	label(b, plotMargin, y+16, "row", "", row.title)
	y += rowHead
	for i, path := range paths {
		left := plotMargin + i*(panelWidth+panelGap)
		label(b, left+nameWidth, y+13, "faint", "", "over "+titles[path])
		names := r.measured(path, row.service)
		top := y + panelHead
		for j, name := range names {
			s := r.of(path, row.service, name, row.measure)
			if s.N == 0 {
				continue
			}
			at := top + j*barStep
			bar(b, left, at, name, s, greatest, r.value(path, row.service, name, row.measure))
		}
		x := left + nameWidth
		fmt.Fprintf(b, `<line class="axis" x1="%d" y1="%d" x2="%[1]d" y2="%[3]d"/>`+"\n", x, top-4, top+len(names)*barStep-3)
	}
	return y + panelHead + most*barStep + rowGap
}

// bar writes one bar with its name, its range and its value.
func bar(b *strings.Builder, left, y int, name string, s Spread, greatest float64, value string) {
	class := "other"
	switch name {
	case Ours:
		class = "ours"
	case Ceiling:
		class = "ceiling"
	}
	long := func(v float64) float64 { return math.Round(10*v/greatest*longest) / 10 }
	x, middle := left+nameWidth, y+barHeight/2
	label(b, x-8, y+12, "", `text-anchor="end"`, name)
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%g" height="%d"/>`+"\n", class, x, y, long(s.Median), barHeight)
	from, to := float64(x)+long(s.Min), float64(x)+long(s.Max)
	fmt.Fprintf(b, `<path class="range" d="M%g %dH%gM%[1]g %[4]dv6M%[3]g %[4]dv6"/>`+"\n", from, middle, to, middle-3)
	label(b, int(math.Ceil(to))+7, y+12, "faint", "", value)
}

// label writes text. attributes may be empty.
func label(b *strings.Builder, x, y int, class, attributes, text string) {
	fmt.Fprintf(b, `<text x="%d" y="%d"`, x, y)
	if class != "" {
		fmt.Fprintf(b, ` class="%s"`, class)
	}
	if attributes != "" {
		b.WriteString(" " + attributes)
	}
	fmt.Fprintf(b, ">%s</text>\n", html.EscapeString(text))
}
