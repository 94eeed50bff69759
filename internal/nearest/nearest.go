// Package nearest finds the word that somebody may have meant.
package nearest

import (
	"strconv"
	"strings"
)

// Word returns the candidate that differs least from word, letters' case aside, if that is little enough to be a slip:
// some insertions, deletions, replacements and swaps of neighbours, at most a third of word's letters and at most 3. It
// returns "" where there is none.
func Word(word string, candidates ...string) string {
	if len(word) > 32 {
		return ""
	}
	word = strings.ToLower(word)
	best, least := "", max(1, min(3, len(word)/3))+1
	for _, candidate := range candidates {
		if d := slips(word, candidate); d < least && d < len(candidate) {
			best, least = candidate, d
		}
	}
	return best
}

// slips counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func slips(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// Hint returns what to append to an error about the word that was seen, such as `; did you mean "tcp"?`, or nothing where
// none is near.
func Hint(seen string, words ...string) string {
	if near := Word(seen, words...); near != "" {
		return "; did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}
