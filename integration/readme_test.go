//go:build linux

package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A shown is a command in one of the README's ```console blocks, and the output below it, if any.
type shown struct {
	command, output string
}

func readme(t *testing.T) []shown {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []shown
	for _, block := range regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		for _, part := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			command, output, _ := strings.Cut(part, "\n")
			all = append(all, shown{command, strings.TrimSuffix(output, "\n")})
		}
	}
	if len(all) < 8 {
		t.Fatalf("the README shows %d commands, want at least 8: %q", len(all), all)
	}
	return all
}

// readmeFile returns the README's configuration file.
func readmeFile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 1 {
		t.Fatalf("the README has %d configuration files, want one", len(blocks))
	}
	return blocks[0][1]
}

// shape is a text without what differs from one run to the next: digits, names of days and months, units, and how much
// white space keeps columns apart.
func shape(text string) string {
	for _, r := range []struct{ from, to string }{
		{`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z][a-z] `, "day month "},
		{`[0-9]+(\.[0-9]+)?`, "0"},
		{`0(ns|µs|ms|s)\b`, "0s"},
		{`[ \t]+`, " "},
		{`(?m) $`, ""},
	} {
		text = regexp.MustCompile(r.from).ReplaceAllString(text, r.to)
	}
	return strings.TrimSpace(text)
}

// What the README shows works as it shows it, on a host of its own: the server on its default ports, then every
// command, at a terminal where the output is a terminal's. Its ```yaml block is lab.yaml. Another server takes the place
// of the one before.
func TestReadme(t *testing.T) {
	t.Parallel()
	ns := newNetns(t)
	tty := need(t, "script", "bsdutils")
	bin := filepath.Dir(program)
	if filepath.Base(program) != "yesterday" {
		t.Fatalf("the program is called %s", program)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lab.yaml"), []byte(readmeFile(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	var s *server
	for _, c := range readme(t) {
		switch {
		case strings.HasPrefix(c.command, "go "):
			continue // how it is built
		case strings.HasPrefix(c.command, "yesterday serve"):
			if s != nil {
				s.stop()
			}
			words := ns.mustRun(t, "", "sh", "-c", "printf '%s\\n' "+c.command)
			s = serve(t, ns, strings.Split(strings.TrimSpace(words), "\n")[2:]...)
			got := regexp.MustCompile(`(?m)^this host's clock is not synchronised.*\n`).ReplaceAllString(s.stdout.String(), "")
			if c.output != "" && shape(got) != shape(c.output) {
				t.Errorf("%s\n%s\nthe README shows\n%s", c.command, got, c.output)
			}
			continue
		}
		if name := strings.Fields(c.command)[0]; name == "rdate" {
			need(t, name, name)
		}
		run := c.command
		if c.output != "" {
			run = tty + " -qec \"" + strings.ReplaceAll(c.command, `"`, `\"`) + "\" /dev/null"
		}
		got := strings.ReplaceAll(ns.mustRun(t, "", "sh", "-c", "cd "+dir+"; export NO_COLOR=1 PATH="+bin+":$PATH; "+run), "\r", "")
		if strings.TrimSpace(got) == "" {
			t.Errorf("%s: no output", c.command)
		}
		if c.output != "" && shape(got) != shape(c.output) {
			t.Errorf("%s\n%s\nthe README shows\n%s", c.command, got, c.output)
		}
	}
	if s == nil {
		t.Fatal("the README starts no server")
	}
	s.stop()
}
