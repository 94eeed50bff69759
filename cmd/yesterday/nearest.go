package main

import (
	"fmt"

	"github.com/yesterday-time/yesterday/internal/nearest"
)

// didYouMean returns a hint at the word nearest to the one seen, or nothing where none is near.
func didYouMean(seen string, words ...string) string {
	if near := nearest.Word(seen, words...); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
