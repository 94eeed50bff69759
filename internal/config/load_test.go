package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := func(name, data string) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	f, err := Load(path("good", whole))
	if err != nil || f.Line("rules[1].clock") != 23 || f.Line("clocks.slow.1") != 19 || f.Line("rules[2].start") != 25 || f.Line("rules[3]") != 20 {
		t.Fatalf("%v, %v", f, err)
	}
	big := path("big", "")
	if err := os.Truncate(big, maxFile+1); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{
		dir:                             "a directory, want a regular file",
		os.DevNull:                      "a device, want a regular file",
		filepath.Join(dir, "none"):      "no such file",
		big:                             "more than 16 MiB",
		path("bad", "# a\nclok: now\n"): `:2: unknown setting "clok"`,
		path("brackets", strings.Repeat("[", maxMarks+1)): "more than 2097152 lines, commas, colons, brackets",
	} {
		_, err := Load(p)
		e, ok := errors.AsType[*FileError](err)
		if !ok || e.File != p || !strings.HasPrefix(err.Error(), p+":") || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), p) != 1 {
			t.Errorf("%s: %v, want %s", p, err, want)
		}
	}
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// 100,000 rules of some length are well within the bounds.
func TestRoomForRules(t *testing.T) {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "  - {from: '2001:db8:1234:%x:%x::/80', clock: a-rather-long-name, start: first-request, faults: [loss 10%%, delay 50ms..90ms]} # one\n", i>>16, i&0xffff)
	}
	if len(b.String()) > maxFile || marks(b.String()) > maxMarks {
		t.Errorf("%d bytes, %d marks", b.Len(), marks(b.String()))
	}
}

// However a text nests, it is refused before the parser, which needs memory or stack for it.
func TestDepth(t *testing.T) {
	const n = 2000
	indented := func(line string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.Repeat(" ", i) + line + "\n")
		}
		return b.String()
	}
	for _, data := range []string{
		strings.Repeat("[", n), strings.Repeat("{a: ", n), strings.Repeat("[ #]\n", n), strings.Repeat("['] ',", n), strings.Repeat("- ", n) + "a",
		strings.Repeat("? ", n) + "a", strings.Repeat("!!str ", n) + "a", strings.Repeat("!!str\n", n) + "a", strings.Repeat("&a ", n) + "b",
		"[" + strings.Repeat("a: ", n) + "]", "{" + strings.Repeat("\"a\": ", n) + "}", indented("a:"), indented("- a:"), indented("-"), "b:\n" + strings.Repeat(" ", n) + "c: d\n" + indented("a:"),
		"a: " + strings.Repeat("&a !!str ", n) + "b", "[" + strings.Repeat("? ", n) + "]",
	} {
		f := &File{name: "x", text: data}
		if _, err := f.scan(); err == nil || !strings.Contains(err.Error(), "nested more than 8 deep") {
			t.Errorf("%.30q: %v", data, err)
		}
	}
	for _, data := range []string{whole, strings.Repeat("# [[[ - - -\n", n), "[" + strings.Repeat("{a: [b], 'c': d},", n) + "]", strings.Repeat("- a: [b]\n  c: !!str d\n", n),
		strings.Repeat("- &a b\n- *a\n", n), "clock: '" + strings.Repeat("[", n) + "'", "clock: " + strings.Repeat("a [", n), "clock: |\n  " + strings.Repeat("- ", n)} {
		f := &File{name: "x", text: data}
		if _, err := f.scan(); err != nil {
			t.Errorf("%.30q: %v", data, err)
		}
	}
}

// Few aliases cannot make values without end.
func TestAliases(t *testing.T) {
	data := "rules:\n- {from: 10.0.0.1, faults: &f [" + strings.Repeat("loss,", 4000) + "]}\n" + strings.Repeat("- {from: 10.0.0.1, faults: *f}\n", 1000)
	_, err := Parse("x", []byte(data))
	if err == nil || !strings.Contains(err.Error(), "more than 2097152 values") {
		t.Errorf("%.200v", err)
	}
}

// What is quoted is short, and nothing that a terminal obeys.
func TestQuoted(t *testing.T) {
	long := strings.Repeat("ä", 5000)
	for _, test := range []struct{ data, want string }{
		{"clok\x1b[2J: now\n", `| clok\x1b[2J: now`},
		{"clock: '\x1b]0;x\a'\n", `| clock: '\x1b]0;x\a'`},
		{"clok: x\x1b[2J" + strings.Repeat("y", 500) + "\n", `| clok: x\x1b[2Jyyy`},
		{"clok: \xff\n", `| clok: \xff`},
		{"clock: yesturday\r\nquiet: true\r\n", "| clock: yesturday"},
		{"clock: x\rquiet: true\n", ""},
		{"clock: now # " + long + "\nclok: " + long + "\n", "| clok: ää"},
		{"{services: [time], allow: [" + strings.Repeat("192.0.2.0/24, ", 500) + "any], clok: now, quiet: true" + strings.Repeat(" ", 500) + "}\n", "any], clok: now, quiet"},
		{long + ": now\n", "| ää"},
		{"clock: " + long + "\n", "| clock: ää"},
		{"clocks: {a: now}\nrules: [{from: 10.0.0.1, clock: " + long + "}]\n", "clock: ää"},
		{"rules: [{from: " + long + "}]\n", "from: ää"},
		{"shards: " + long + "\n", "shards: ää"},
		{"faults: " + long + "\n", "faults: ää"},
		{"services: " + long + "\n", "services: ää"},
		{"allow: " + long + "\n", "allow: ää"},
		{"refid: " + long + "\n", "refid: ää"},
		{"transport: " + long + "\n", "transport: ää"},
		{"clock: *" + long + "\n", "clock: *ää"},
		{"clock: !" + long + " x\n", "clock: !ää"},
		{"clock: \"" + long + "\n", "clock: \"ää"},
	} {
		_, err := Parse("x", []byte(test.data))
		if err == nil {
			t.Errorf("%.30q is good", test.data)
			continue
		}
		message, source, _ := strings.Cut(err.Error(), "\n")
		if len(source) > 220 || len(message) > 850 || !utf8.ValidString(err.Error()) || strings.ContainsFunc(message+source, unicode.IsControl) || !strings.Contains(source, test.want) {
			t.Errorf("%.30q: %d and %d bytes: %q, want in it %q", test.data, len(message), len(source), err, test.want)
		}
	}
}
