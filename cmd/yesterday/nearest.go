package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yesterday-time/yesterday/internal/nearest"
)

// didYouMean returns a hint at the word nearest to the one seen, or nothing where none is near.
func didYouMean(seen string, words ...string) string {
	if near := nearest.Word(seen, words...); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// oneOf returns value if it is one of words.
func oneOf(flag, value string, words ...string) (string, error) {
	if !slices.Contains(words, value) {
		last := len(words) - 1
		want := strings.Join(words[:last], ", ") + " or " + words[last]
		return "", usagef("%s %q: want %s%s", flag, value, want, didYouMean(value, words...))
	}
	return value, nil
}
