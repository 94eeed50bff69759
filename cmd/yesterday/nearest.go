package main

import (
	"slices"
	"strings"

	"github.com/yesterday-time/yesterday/internal/nearest"
)

// oneOf returns value if it is one of words.
func oneOf(flag, value string, words ...string) (string, error) {
	if !slices.Contains(words, value) {
		last := len(words) - 1
		want := strings.Join(words[:last], ", ") + " or " + words[last]
		return "", usagef("%s %q: want %s%s", flag, value, want, nearest.Hint(value, words...))
	}
	return value, nil
}
