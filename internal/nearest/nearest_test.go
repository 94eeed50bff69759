package nearest

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	for _, test := range []struct{ word, want string }{
		{"yesturday", "yesterday"}, {"YESTERDAY", "yesterday"}, {"yseterday", "yesterday"}, {"tomorow", "tomorrow"},
		{"nwo", "now"}, {"wno", ""}, {"no", "now"}, {"n", ""}, {"", ""}, {"noon", ""}, {"never", ""},
		{"xyz", ""}, {strings.Repeat("yesterday", 9), ""},
	} {
		if got := Word(test.word, "yesterday", "now", "tomorrow"); got != test.want {
			t.Errorf("Word(%q) = %q, want %q", test.word, got, test.want)
		}
	}
	if got := Word("udp"); got != "" {
		t.Errorf("no candidates: %q", got)
	}
}

func TestHint(t *testing.T) {
	for seen, want := range map[string]string{"upd": `; did you mean "udp"?`, "whatever": ""} {
		if got := Hint(seen, "udp", "tcp"); got != want {
			t.Errorf("%q: %q, want %q", seen, got, want)
		}
	}
}
