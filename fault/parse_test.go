package fault

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/service"
)

func parsed(tb testing.TB, texts ...string) []Fault {
	tb.Helper()
	var faults []Fault
	for _, text := range texts {
		f, err := Parse(text)
		if err != nil {
			tb.Fatal(err)
		}
		faults = append(faults, f)
	}
	return faults
}

func TestCanonicalText(t *testing.T) {
	for text, want := range map[string]string{
		"loss":                      "loss",
		" loss\t 10%\r\n":           "loss 10%",
		"loss 100%":                 "loss",
		"loss 0%":                   "loss 0%",
		"loss 010.50%":              "loss 10.5%",
		"loss 0.5%":                 "loss 0.5%",
		"loss 0.0001%":              "loss 0.0001%",
		"loss 99.9999%":             "loss 99.9999%",
		"loss 00000100.000000%":     "loss",
		"silence 1%":                "silence 1%",
		"delay 50ms":                "delay 50ms",
		"delay 0.05s":               "delay 50ms",
		"delay 50ms..90ms":          "delay 50ms..90ms",
		"delay 50ms..0.05s":         "delay 50ms",
		"delay 0s..1.5s 20.0%":      "delay 0s..1s500ms 20%",
		"delay 0ns..1ns":            "delay 0s..1ns",
		"delay 60m":                 "delay 1h",
		"delay 59m59s999ms999us1ns": "delay 59m59s999ms999us1ns",
		"duplicate 5%":              "duplicate 5%",
		"corrupt":                   "corrupt",
		"length 0":                  "length 0",
		"length 0001472 1%":         "length 1472 1%",
		"kiss RATE":                 "kiss RATE",
		"kiss DENY 3%":              "kiss DENY 3%",
		"kiss RSTR":                 "kiss RSTR",
		"stratum 0":                 "stratum 0",
		"stratum 255":               "stratum 255",
		"leap none":                 "leap none",
		"leap insert":               "leap insert",
		"leap delete":               "leap delete",
		"leap unknown 50%":          "leap unknown 50%",
		"wrong-origin":              "wrong-origin",
		"zero-transmit 10%":         "zero-transmit 10%",
		"mode 0":                    "mode 0",
		"mode 7":                    "mode 7",
		"version 0":                 "version 0",
		"version 7":                 "version 7",
		"unsynchronised":            "unsynchronised",
	} {
		f, err := Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if f.String() != want {
			t.Errorf("%q: %q, want %q", text, f, want)
		}
		if word, _, _ := strings.Cut(want, " "); f.Word() != word || f.Note().String() != word {
			t.Errorf("%q: word %q and note %q, want %q", text, f.Word(), f.Note(), word)
		}
		if again := parsed(t, f.String())[0]; again != f {
			t.Errorf("%q: %v parses as %v", text, f, again)
		}
	}
}

// Every probability there is survives its text.
func TestChanceText(t *testing.T) {
	for c := chance(0); c <= always; c++ {
		w := word{text: c.String()}
		if got, err := new(parser).chance(w); err != nil || got != c {
			t.Fatalf("%d millionths: %s is %d, %v", c, w.text, got, err)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	const any = "want a fault (loss, silence, delay, duplicate, corrupt, length, kiss, stratum, leap, wrong-origin, zero-transmit, mode, version or unsynchronised)"
	for _, test := range []struct {
		text   string
		offset int
		says   []string // what the message must contain
	}{
		{"", 0, []string{`fault: "": no text, ` + any}},
		{" \t ", 3, []string{"no text at the end", any}},
		{"los 10%", 0, []string{`fault: "los 10%": unknown word "los" at 1, ` + any + `; did you mean "loss"?`}},
		{"LOSS 10%", 0, []string{`unknown word "LOSS" at 1`, `did you mean "loss"?`}},
		{"Delay 50ms", 0, []string{`did you mean "delay"?`}},
		{"unsynchronized", 0, []string{`did you mean "unsynchronised"?`}},
		{"wrong origin", 0, []string{`did you mean "wrong-origin"?`}},
		{"Zero Transmit", 0, []string{`unknown word "Zero"`}},
		{"zero transmit 5%", 0, []string{`did you mean "zero-transmit"?`}},
		{"wrong_origin", 0, []string{`did you mean "wrong-origin"?`}},
		{"loss10%", 0, []string{`did you mean "loss 10%"?`}},
		{"loss=10%", 0, []string{`did you mean "loss 10%"?`}},
		{"loss: 10%", 0, []string{`did you mean "loss"?`}},
		{"loss:10%", 0, []string{`did you mean "loss 10%"?`}},
		{"delay50ms..90ms", 0, []string{`did you mean "delay 50ms..90ms"?`}},
		{"stratum:16", 0, []string{`did you mean "stratum 16"?`}},
		{"stratum999", 0, []string{`unknown word`}},
		{"drop 10%", 0, []string{`did you mean "loss"?`}},
		{"timeout", 0, []string{`did you mean "silence"?`}},
		{"jitter 5ms", 0, []string{`did you mean "delay"?`}},
		{"dup", 0, []string{`did you mean "duplicate"?`}},
		{"bitflip", 0, []string{`did you mean "corrupt"?`}},
		{"truncate 3", 0, []string{`did you mean "length"?`}},
		{"kod RATE", 0, []string{`did you mean "kiss"?`}},
		{"unsync", 0, []string{`did you mean "unsynchronised"?`}},
		{"qwertyuiop", 0, []string{"unknown word at 1", any}},
		{"10% loss", 0, []string{`no fault's name "10%" at 1`, any, "the fault comes first, then its probability"}},
		{"10%", 0, []string{"no fault's name at 1", any}},
		{"-loss", 0, []string{`did you mean "loss"?`}},
		{"loss, delay 50ms", 4, []string{`unexpected comma "," at 5, want one fault`}},
		{"loss 110%", 5, []string{`bad probability "110%" at 6, want 0% to 100%`}},
		{"loss 100.0001%", 5, []string{"want 0% to 100%"}},
		{"loss 99999999999999999999999%", 5, []string{"want 0% to 100%"}},
		{"loss 10", 5, []string{`no % behind "10" at 6, want a probability such as 10% or 0.5%; did you mean "10%"?`}},
		{"loss 10 %", 5, []string{`no % behind "10"`, `did you mean "10%"?`}},
		{"loss 0.1", 5, []string{`did you mean "10%", or "0.1%"?`}},
		{"loss 1", 5, []string{`did you mean "1%"?`}},
		{"loss 200", 5, []string{`no % behind "200"`}},
		{"loss 0.00001", 5, []string{`no % behind`}},
		{"loss 0.00001%", 5, []string{`too fine a probability "0.00001%" at 6, want steps of 0.0001%`}},
		{"loss .5%", 5, []string{`bad probability ".5%"`, `did you mean "0.5%"?`}},
		{"loss 5.%", 5, []string{`bad probability "5.%"`}},
		{"loss %", 5, []string{`bad probability "%"`}},
		{"loss -5%", 5, []string{`bad probability "-5%"`}},
		{"loss 5%%", 5, []string{`bad probability "5%%"`}},
		{"loss 1e1%", 5, []string{`bad probability "1e1%"`}},
		{"loss 0x10%", 5, []string{`bad probability`}},
		{"loss ten", 5, []string{`unexpected word "ten" at 6, want a probability such as 10% or 0.5%, or the end`}},
		{"duplicate 5% 6%", 13, []string{`unexpected probability "6%" at 14, want the end; one probability a fault`}},
		{"loss 10% please", 9, []string{`unexpected word "please" at 10, want the end`}},
		{"silence please", 8, []string{`unexpected word "please" at 9`}},
		{"delay", 5, []string{`no duration behind "delay" at the end, want a duration such as 50ms, or a range such as 50ms..90ms`}},
		{"delay 10%", 6, []string{`no duration behind "delay" "10%" at 7`}},
		{"delay 5", 6, []string{`no unit after "5" at 7, want w, d, h, m, s, ms, us or ns; "5s" is seconds`}},
		{"delay 5 ms", 6, []string{`did you mean "5ms"?`}},
		{"delay 5x", 7, []string{`unknown unit "x" at 8`}},
		{"delay 5MS", 7, []string{`did you mean "ms"?`}},
		{"delay 5µs", 7, []string{`did you mean "us"?`}},
		{"delay soon", 6, []string{`bad duration "soon" at 7`}},
		{"delay -5ms", 6, []string{`bad delay "-5ms"`, `did you mean "5ms"?`}},
		{"delay +5ms..9ms", 6, []string{`did you mean "5ms..9ms"?`}},
		{"delay -x", 6, []string{"bad duration"}},
		{"delay 90ms..50ms", 6, []string{`falling range "90ms..50ms" at 7, want the shorter delay first; did you mean "50ms..90ms"?`}},
		{"delay 50ms-90ms", 6, []string{`did you mean "50ms..90ms"?`}},
		{"delay 50-90ms", 6, []string{`did you mean "50ms..90ms"?`}},
		{"delay 50..90ms", 6, []string{`did you mean "50ms..90ms"?`}},
		{"delay 50ms..", 12, []string{"no duration at the end"}},
		{"delay ..50ms", 6, []string{"no duration at 7"}},
		{"delay 50ms...90ms", 12, []string{`bad duration ".90ms" at 13`, `did you mean "0.90ms"?`}},
		{"delay 50ms..90", 12, []string{`no unit after "90" at 13`}},
		{"delay 50ms .. 90ms", 6, []string{"a range has no spaces"}},
		{"delay 50ms.. 90ms", 6, []string{"a range has no spaces"}},
		{"delay 50ms 90ms", 6, []string{`did you mean "50ms..90ms"?`}},
		{"delay 0s", 6, []string{`no delay in "0s" at 7, want more than 0`}},
		{"delay 2h", 6, []string{`too long a delay "2h" at 7, want at most 1h`}},
		{"delay 1h..1h1ns", 10, []string{`too long a delay "1h1ns" at 11`}},
		{"delay 999999999999w", 6, []string{"too long"}},
		{"length", 6, []string{`no number behind "length" at the end, want a whole number, 0 to 1472`}},
		{"length 10%", 7, []string{`no number behind "length"`}},
		{"length 2000", 7, []string{`bad length "2000" at 8, want a whole number, 0 to 1472`}},
		{"length 1473", 7, []string{"bad length"}},
		{"length 70000", 7, []string{"bad length"}},
		{"length -1", 7, []string{"bad length"}},
		{"length 1.5", 7, []string{"bad length"}},
		{"length 5 10", 9, []string{`no % behind "10"`}},
		{"kiss", 4, []string{`no kiss code behind "kiss" at the end, want RATE, DENY or RSTR`}},
		{"kiss FOO", 5, []string{`unknown kiss code "FOO" at 6, want RATE, DENY or RSTR`}},
		{"kiss rate", 5, []string{`did you mean "RATE"?`}},
		{"kiss DENNY", 5, []string{`did you mean "DENY"?`}},
		{"stratum 300", 8, []string{`bad stratum "300" at 9, want a whole number, 0 to 255`}},
		{"stratum 256", 8, []string{"bad stratum"}},
		{"stratum", 7, []string{`no number behind "stratum"`}},
		{"leap", 4, []string{`no leap indicator behind "leap" at the end, want none, insert, delete or unknown`}},
		{"leap maybe", 5, []string{`unknown leap indicator "maybe" at 6, want none, insert, delete or unknown`}},
		{"leap Insert", 5, []string{`did you mean "insert"?`}},
		{"leap 3", 5, []string{`did you mean "unknown"?`}},
		{"leap 4", 5, []string{`unknown leap indicator "4"`}},
		{"mode 9", 5, []string{`bad mode "9" at 6, want a whole number, 0 to 7`}},
		{"mode 8", 5, []string{"bad mode"}},
		{"mode Client", 5, []string{`did you mean "3"?`}},
		{"version 8", 8, []string{`bad version "8" at 9, want a whole number, 0 to 7`}},
		{"loss\x00", 0, []string{`did you mean "loss"?`}},
		{"loss \xff\xfe%", 5, []string{`bad probability "\xff\xfe%"`}},
		{strings.Repeat(" ", maxText) + "loss", maxText, []string{"text of 204 bytes goes on", "want at most 200"}},
		{strings.Repeat("y", maxText), 0, []string{"unknown word"}},
	} {
		_, err := Parse(test.text)
		wrong, ok := errors.AsType[*SyntaxError](err)
		if !ok {
			t.Errorf("%q: %v, want a SyntaxError", test.text, err)
			continue
		}
		checkError(t, test.text, wrong)
		if wrong.Offset != test.offset {
			t.Errorf("%q: at %d, want %d (%v)", test.text, wrong.Offset, test.offset, err)
		}
		for _, part := range test.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v, want %q in it", test.text, err, part)
			}
		}
	}
}

// checkError checks what holds for the error of any text.
func checkError(t *testing.T, text string, wrong *SyntaxError) {
	t.Helper()
	if wrong.Text != text || wrong.Offset < 0 || wrong.Offset > len(text) || !strings.HasPrefix(text[wrong.Offset:], wrong.Seen) {
		t.Errorf("%q: %q at %d of %q", text, wrong.Seen, wrong.Offset, wrong.Text)
	}
	line := wrong.Error()
	if wrong.Problem == "" || wrong.Want == "" || !strings.HasPrefix(line, "fault: ") {
		t.Errorf("%q: %+v", text, wrong)
	}
	if !utf8.ValidString(line) || strings.ContainsAny(line, "\n\x00") || len(line) > 1000 {
		t.Errorf("%q: not a line to print: %q", text, line)
	}
}

func TestApplies(t *testing.T) {
	for _, f := range parsed(t, allTexts...) {
		ofNTP := slices.Contains([]string{"kiss", "stratum", "leap", "wrong-origin", "zero-transmit", "mode", "version", "unsynchronised"}, f.Word())
		for _, k := range service.Kinds() {
			if got, want := f.Applies(k, false), k == service.NTP || !ofNTP; got != want {
				t.Errorf("%v applies to %v over UDP: %v, want %v", f, k, got, want)
			}
			echoed := k == service.Echo && (f.Word() == "corrupt" || f.Word() == "length")
			if got, want := f.Applies(k, true), k != service.NTP && !ofNTP && f.Word() != "duplicate" && !echoed; got != want {
				t.Errorf("%v applies to %v over TCP: %v, want %v", f, k, got, want)
			}
		}
		if f.Applies(service.Kind(200), false) {
			t.Errorf("%v applies to what is no service", f)
		}
	}
}

// Each fault has a note of its own, and there is no note of a fault that is none.
func TestNotes(t *testing.T) {
	all := exchange.Unsigned
	for _, f := range parsed(t, allTexts...) {
		if all&f.Note() != 0 {
			t.Errorf("%v: the note %v is another's", f, f.Note())
		}
		all |= f.Note()
	}
	if all != 1<<exchange.NumNotes-1 {
		t.Errorf("notes of faults: %v", all)
	}
}

func TestZeroFault(t *testing.T) {
	var f Fault
	if f.String() != "" || f.Word() != "" || f.Note() != 0 || f.Applies(service.NTP, false) {
		t.Errorf("the zero Fault is %q", f)
	}
	if text, err := f.MarshalText(); err == nil {
		t.Errorf("the zero Fault is written %q", text)
	}
}

func TestMarshalling(t *testing.T) {
	var config struct{ Faults []Fault }
	if err := json.Unmarshal([]byte(`{"Faults": ["loss 10.0%", "delay 50ms..90ms"]}`), &config); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(config)
	if err != nil || string(text) != `{"Faults":["loss 10%","delay 50ms..90ms"]}` {
		t.Errorf("%s, %v", text, err)
	}
	f := config.Faults[1]
	if _, ok := errors.AsType[*SyntaxError](f.UnmarshalText([]byte("delay"))); !ok || f != config.Faults[1] {
		t.Errorf("a wrong text left %v", f)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range allTexts {
		f.Add(text)
	}
	for _, text := range []string{"los 10%", "loss10%", "delay 90ms..50ms", "delay 50-90ms", "delay 1h..2h", "wrong origin", "leap 1", "loss .5%", "10% loss"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := Parse(text)
		if err != nil {
			wrong, ok := errors.AsType[*SyntaxError](err)
			if !ok || fault != (Fault{}) {
				t.Fatalf("%q: %v, %v", text, fault, err)
			}
			checkError(t, text, wrong)
			return
		}
		if again, err := Parse(fault.String()); err != nil || again != fault || again.String() != fault.String() {
			t.Fatalf("%q: %v parses as %v, %v", text, fault, again, err)
		}
		if len(fault.String()) > 80 {
			t.Errorf("%q: canonical text of %d bytes", text, len(fault.String()))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse("delay 50ms..90ms 10%"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestMustParse(t *testing.T) {
	if f := MustParse("loss 10%"); f.String() != "loss 10%" {
		t.Errorf("read %v", f)
	}
	defer func() {
		if err, ok := recover().(*SyntaxError); !ok {
			t.Errorf("panics with %v, want what is wrong with the text", err)
		}
	}()
	MustParse("los 10%")
}
