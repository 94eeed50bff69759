package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// How much a file may hold. 100,000 rules in braces, with two faults each, are 7 MB and 1.5 million marks. Reading takes
// up to 1 KB a mark for as long as it lasts.
const (
	maxFile  = 16 << 20 // bytes
	maxMarks = 2 << 20  // characters that part values: about half as many as there can be tokens
	maxDepth = 8        // lists and mappings within each other; rules with lists of faults have 4
	maxKey   = 100      // bytes; the parser gives each value a text of all the keys above it
	large    = 1 << 20  // bytes, from which on memory is given back
)

// Load reads a file and parses it. It refuses what is no regular file, without waiting for whoever would write to a
// pipe, and one of more than 16 MiB. An error is a *FileError. The memory that a large file took goes back to the system.
func Load(path string) (*File, error) {
	data, err := read(path)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // the file's name is said once
		}
		return nil, &FileError{File: path, Err: err}
	}
	f, err := Parse(path, data)
	if len(data) > large {
		runtime.GC() // what the parser keeps in a sync.Pool lives through one collection
		debug.FreeOSMemory()
	}
	return f, err
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if kind := kindOf(info.Mode()); kind != "" {
		return nil, fmt.Errorf("%s, want a regular file", kind)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1)) // it may have grown since, and Parse says what is too much
	return data, err
}

// kindOf names what is no regular file.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return ""
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

// scan parts the text into tokens, and refuses what would make the parser take memory or stack without bound.
func (f *File) scan() (token.Tokens, error) {
	if len(f.text) > maxFile {
		return nil, &FileError{File: f.name, Err: fmt.Errorf("more than %d MiB, want less", maxFile>>20)}
	}
	if marks(f.text) > maxMarks {
		return nil, &FileError{File: f.name, Err: fmt.Errorf("more than %d lines, commas, colons, brackets and the like, want fewer", maxMarks)}
	}
	var s scanner.Scanner
	s.Init(f.text)
	var tokens token.Tokens
	for {
		some, err := s.Scan()
		tokens.Add(some...)
		if err != nil { // of the text's end, or told by its last token
			break
		}
	}
	var d depth
	for _, t := range tokens {
		if d.add(t) > maxDepth {
			return nil, f.at(t, fmt.Errorf("nested more than %d deep, want a list or mapping of values", maxDepth))
		}
		if t.Type == token.MappingValueType && t.Prev != nil && len(t.Prev.Value) > maxKey {
			return nil, f.at(t.Prev, fmt.Errorf("a name of %d bytes, want at most %d", len(t.Prev.Value), maxKey))
		}
	}
	return tokens, nil
}

// marks counts the characters without which there are no two tokens, but for those within words, such as IPv6 addresses.
func marks(text string) int {
	n := 0
	for i := range len(text) {
		switch text[i] {
		case '\n', '\r', ',', '[', ']', '{', '}', '"', '\'', '&', '*', '!', '|', '>', '#', '%', '@', '`':
			n++
		case ':', '-', '?':
			if i+1 == len(text) || text[i+1] <= ' ' {
				n++
			}
		}
	}
	return n
}

// A depth follows how deep tokens stand.
type depth struct {
	flow    int   // brackets and braces that are open
	colons  int   // within them, since the last bracket, brace or comma
	prefix  int   // tags and anchors before a value
	columns []int // of the block lists and mappings that are open
}

// add returns how deep t is.
func (d *depth) add(t *token.Token) int {
	prefix := d.prefix
	d.prefix = 0
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		d.flow++
		d.colons = 0
	case token.SequenceEndType, token.MappingEndType:
		d.flow = max(d.flow-1, 0)
		d.colons = 0
	case token.CollectEntryType:
		d.colons = 0
	case token.MappingValueType:
		if d.flow > 0 {
			d.colons++
		} else if t.Prev != nil {
			d.block(t.Prev.Position.Column)
		}
	case token.SequenceEntryType, token.MappingKeyType:
		d.block(t.Position.Column)
	case token.TagType, token.AnchorType, token.AliasType:
		d.prefix = prefix + 1
	case token.DocumentHeaderType, token.DocumentEndType:
		*d = depth{columns: d.columns[:0]}
	default:
		d.prefix = prefix // the name of an anchor
		if t.PreviousType() != token.AnchorType && t.PreviousType() != token.AliasType {
			d.prefix = 0
		}
	}
	return max(d.flow+len(d.columns)+max(d.colons-1, 0), d.prefix)
}

// block opens a list or mapping at a column, or goes on with it, which ends those to the right of it.
func (d *depth) block(column int) {
	n := len(d.columns)
	for n > 0 && d.columns[n-1] > column {
		n--
	}
	d.columns = d.columns[:n]
	if n == 0 || d.columns[n-1] < column {
		d.columns = append(d.columns, column)
	}
}
