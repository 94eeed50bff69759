package peers

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// ByHand is the line of the page behind which people write: what stands there is kept when the page is written anew.
const ByHand = "<!-- all above is written by make peers, what follows by hand -->\n"

// titles is how the page calls services and paths.
var titles = map[string]string{NTP: "NTP", Time: "Time, RFC 868", Echo: fmt.Sprintf("Echo, %d bytes", EchoSize), Veth: "a veth pair", Loopback: "loopback"}

// Page is the page that tells of the Run, with plot the address of its picture. old is the page that it replaces, of which
// it keeps what people wrote.
func (r *Run) Page(plot, old string) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Performance\n")
	p("`yesterday serve` beside other servers, on one machine, in one run, under the same generator. `make peers` makes the run and")
	p("writes this page. Read the ratios: the machine is not equally fast all the time, so two servers are compared only within a round,")
	p("and what is told is the median of the rounds' ratios, with the least and the greatest.\n")
	p("![What each server did](%s)\n", plot)

	p("## What must hold\n")
	bars := [][]string{{"measure", "wanted", "median (least–greatest)", ""}}
	for _, x := range r.Bars() {
		bars = append(bars, []string{x.What, x.want(), x.measured(), x.verdict()})
	}
	p("%s", table(bars))
	for _, path := range paths {
		p("## Over %s\n", titles[path])
		for _, service := range services {
			if names := r.measured(path, service); len(names) > 0 {
				p("### %s\n\n%s", titles[service], r.comparison(path, service, names))
			}
		}
	}
	p("Medians of all rounds. *Ours is better by* is the median of the rounds' ratios (least–greatest): more than 1 means that `yesterday`")
	p("answers more, or sooner. A CPU-second is a second in which the server's core was busy, with the server itself or with the kernel's")
	p("work there. p50 and p99 are round trips with one request outstanding. With ≥ the generator was the bottleneck in most rounds: the")
	p("server could do more. A bar with ≤ may look too good, since the generator held up the other server.\n")
	if line := r.held(); line != "" {
		p("%s\n", line)
	}
	for _, line := range r.losses() {
		p("%s\n", line)
	}

	r.profiles(&b)
	p("## At rest\n")
	p("`yesterday serve` with all its services, when nobody asks: median (least–greatest).\n")
	p("%s", table([][]string{
		{"measure", "value"},
		{"CPU, of one core, over " + r.Load.Resting.String(), r.restCell(func(s Rest) float64 { return s.CPU }, percent)},
		{"resident memory, just started", r.restCell(func(s Rest) float64 { return float64(s.Before) }, mebibytes)},
		{"resident memory, after the load of a round", r.restCell(func(s Rest) float64 { return float64(s.After) }, mebibytes)},
	}))

	p("## Who was measured\n")
	servers := [][]string{{"server", "version", "answers", "started as"}}
	for _, s := range r.Servers {
		if s.Absent == "" {
			servers = append(servers, []string{s.Name, s.Version, strings.Join(s.Answers, ", "), "`" + s.How + "`"})
		}
	}
	p("%s", table(servers))
	for _, s := range r.Servers {
		if s.Absent != "" {
			p("**Not measured: %s.** %s\n", s.Name, s.Absent)
		}
	}
	p("The C loop is the ceiling: `recvmmsg` and `sendmmsg` of 64 datagrams, kernel stamps and packet info, and nothing else")
	p("([ceiling.c](../integration/peers/ceiling/ceiling.c)). Plain Go is a `net.UDPConn` and one goroutine")
	p("([main.go](../integration/peers/plain/main.go)). The lesson's programs are as taught, with what they print sent to /dev/null.\n")

	p("## How this page is made\n")
	p("%s", table([][]string{
		{"what", "value"},
		{"when", r.Began.UTC().Format("2006-01-02 15:04 MST") + ", for " + r.Took.Round(time.Second).String()},
		{"machine", fmt.Sprintf("%s, %d cores, %s", r.Machine.CPU, r.Machine.Cores, gibibytes(float64(r.Machine.Memory)))},
		{"system", r.Machine.System + ", Linux " + r.Machine.Kernel},
		{"compilers", r.Machine.Go + ", " + r.Machine.C},
		{"rounds", fmt.Sprint(r.Load.Rounds)},
		{"at saturation", fmt.Sprintf("%v a round; %d requests outstanding, from %d addresses", r.Load.Saturated, r.Load.Window, r.Load.Sources)},
		{"latency", fmt.Sprintf("%v a round; one request outstanding, from %d addresses by turns", r.Load.Single, r.Load.Sources)},
	}))
	p("In each round all servers are started afresh for each service and path, on one core. They are warmed up, saturated in %d slices", r.Load.Slices)
	p("by turns, asked one by one, and ended; the order rotates. While one is measured the others have nothing to do. The generator,")
	p("`yesterday bench --max`, has the other core. It matches each reply to its request and checks it.\n")
	p("Over the veth pair, which joins two network namespaces, the kernel's receive processing of the requests is on the server's core (RPS), as")
	p("on a machine of its own. Over loopback both sides are in one namespace, and the kernel receives a datagram on the core")
	p("that sent it. A closed loop keeps as many requests under way as are said above, so nobody's receive buffer overflows.\n")
	p("`yesterday serve` has on what it has on without flags: allow-list, limit, loop protection, rules, counters, the tap with the request")
	p("lines, and kernel stamps. On loopback, which has no limit by default, it is given one above the load, so that the limit's work is in")
	p("the figures. The others are set up to answer everybody without a limit.")
	for _, remark := range r.Remarks {
		p("\n%s", remark)
	}
	b.WriteString("\n" + ByHand)
	if _, kept, found := strings.Cut(old, ByHand); found {
		b.WriteString(kept)
	}
	return b.String()
}

// comparison is the table of the servers of one service over one path.
func (r *Run) comparison(path, service string, names []string) string {
	const better = "ours is better by"
	rows := [][]string{{"server", Rate.Name, better, "core busy", PerCPU.Name, better, Median.Name, better, P99.Name, better}}
	for _, name := range names {
		row := []string{name}
		for _, m := range []Measure{Rate, PerCPU, Median, P99} {
			ratio := "–"
			if name != Ours {
				ratio = r.ratio(path, service, name, m).times()
			}
			row = append(row, r.value(path, service, name, m), ratio)
			if m.Name == Rate.Name {
				row = append(row, r.of(path, service, name, busy).median(busy.Format))
			}
		}
		rows = append(rows, row)
	}
	return table(rows)
}

// held tells how much of the round trips is the generator's own time.
func (r *Run) held() string {
	share := Measure{Of: func(s Sample) float64 { return s.Held }}
	var ways []string
	for _, path := range paths {
		var shares []string
		for _, name := range r.measured(path, NTP) {
			if s := r.of(path, NTP, name, share); s.N > 0 {
				shares = append(shares, fmt.Sprintf("%s %s", name, whole(s.Median)))
			}
		}
		if len(shares) > 0 {
			ways = append(ways, fmt.Sprintf("over %s %s", titles[path], strings.Join(shares, ", ")))
		}
	}
	if len(ways) == 0 {
		return ""
	}
	return "The generator's own part is in p50 and p99. Of the round trips of NTP it took: " + strings.Join(ways, "; ") + "."
}

func (r *Run) restCell(of func(Rest) float64, format func(float64) string) string {
	s := r.rest(of)
	if s.N == 0 {
		return "–"
	}
	return fmt.Sprintf("%s (%s–%s)", format(s.Median), format(s.Min), format(s.Max))
}

// table is a table as GitHub shows it, its columns aligned for those who read it as it is, and an empty line. The first row
// is the head.
func table(rows [][]string) string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for i, row := range rows {
		for j, cell := range row {
			fmt.Fprintf(&b, "| %s%s ", cell, strings.Repeat(" ", width[j]-utf8.RuneCountInString(cell)))
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, w := range width {
				fmt.Fprintf(&b, "| %s ", strings.Repeat("-", w))
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}
