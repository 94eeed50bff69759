package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A File is a configuration file that was read and is good.
type File struct {
	Settings Settings

	name   string
	text   string
	places map[string]place // of all settings but those of rules
	rules  []rulePlaces
}

// A place is where something stands in a file, each from 1; the zero place is none.
type place struct{ line, column int32 }

// rulePlaces is where a rule's parts stand.
type rulePlaces struct {
	whole, from, clock, start, faults place
	words                             []place // each fault
}

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{int32(t.Position.Line), int32(t.Position.Column)}
}

// A FileError says what is wrong in a file, and where.
type FileError struct {
	File   string
	Line   int    // from 1; 0 where it is the whole file
	Source string // the line, or of a long one what is around the mistake; safe for a terminal
	Err    error
}

// Error has a second line, which quotes the file's.
func (e *FileError) Error() string {
	if e.Line == 0 {
		return safe(e.File+": ") + message(e.Err)
	}
	return safe(fmt.Sprintf("%s:%d: ", e.File, e.Line)) + message(e.Err) + fmt.Sprintf("\n%5d | %s", e.Line, e.Source)
}

func (e *FileError) Unwrap() error { return e.Err }

// Parse reads a file's text, in YAML, and checks all that it sets. An error is a *FileError. An empty file sets nothing.
func Parse(name string, data []byte) (*File, error) {
	const byteOrderMark = "\ufeff" // some editors put one first
	f := &File{name: name, text: strings.TrimPrefix(string(data), byteOrderMark), places: make(map[string]place)}
	tokens, err := f.scan()
	if err != nil {
		return nil, err
	}
	root, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // which the decoder tells better
	if err != nil {
		return nil, f.yamlError(err)
	}
	var body ast.Node
	for _, doc := range root.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); directive { // %YAML 1.2, before the document
			continue
		}
		if body != nil {
			return nil, f.at(doc.Start, errors.New("a second document, want one"))
		}
		body = doc.Body
	}
	if body != nil {
		d := &decoder{file: f, anchors: make(map[string]ast.Node), left: maxMarks}
		if err := d.settings(body); err != nil {
			return nil, err
		}
	}
	_, err = f.Settings.Plan()
	if unused := f.Settings.Unused(); err == nil && unused != nil {
		err = unused
	}
	if err != nil {
		return nil, f.Locate(err)
	}
	return f, nil
}

// yamlError words an error of the parser.
func (f *File) yamlError(err error) error {
	e, ok := errors.AsType[yaml.Error](err)
	if !ok || e.GetToken() == nil {
		return &FileError{File: f.name, Err: err}
	}
	t, message := e.GetToken(), clip(e.GetMessage())
	if message == "unexpected scalar value type" {
		message = fmt.Sprintf("%q where a value is to be, want one, or nothing there", clip(t.Value))
	}
	return f.at(t, errors.New(message))
}

// Locate adds to an *Error of the file's settings where it stands.
func (f *File) Locate(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return &FileError{File: f.name, Err: err}
	}
	return f.located(f.find(e.Key), e)
}

// Line returns the line on which a setting stands, or 0.
func (f *File) Line(key string) int { return int(f.find(key).line) }

// find returns where a setting stands. What is missing, or one of several in one text, is where its parent is.
func (f *File) find(key string) place {
	if rest, ok := strings.CutPrefix(key, "rules["); ok {
		number, field, _ := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(number); err == nil && i < len(f.rules) {
			return f.rules[i].find(strings.TrimPrefix(field, "."))
		}
	}
	at, ok := f.places[key]
	if !ok {
		list, _, _ := strings.Cut(key, "[")
		at = f.places[list]
	}
	return at
}

func (r *rulePlaces) find(field string) place {
	at := r.whole
	switch name, index, _ := strings.Cut(field, "["); name {
	case "from":
		at = r.from
	case "clock":
		at = r.clock
	case "start":
		at = r.start
	case "faults":
		at = r.faults
		if i, err := strconv.Atoi(strings.TrimSuffix(index, "]")); err == nil && i < len(r.words) {
			at = r.words[i]
		}
	}
	if at == (place{}) {
		return r.whole
	}
	return at
}

func (f *File) at(t *token.Token, err error) error { return f.located(placeOf(t), err) }

func (f *File) located(at place, err error) error {
	e := &FileError{File: f.name, Err: err}
	rest := f.text
	for n := int32(1); n < at.line; n++ {
		_, after, more := strings.Cut(rest, "\n")
		if !more {
			return e
		}
		rest = after
	}
	if at.line > 0 {
		line, _, _ := strings.Cut(rest, "\n")
		e.Line, e.Source = int(at.line), around(strings.TrimRight(line, "\r"), int(at.column))
	}
	return e
}

// around returns of a long line the 200 bytes around a column, which counts characters from 1, safe for a terminal.
func around(line string, column int) string {
	const most = 200
	if len(line) <= most {
		return safe(line)
	}
	middle := 0
	for ; column > 1 && middle < len(line); column-- {
		_, size := utf8.DecodeRuneInString(line[middle:])
		middle += size
	}
	from := max(min(middle-most/2, len(line)-most), 0)
	to := from + most
	for from < to && !utf8.RuneStart(line[from]) {
		from++
	}
	for to > from && to < len(line) && !utf8.RuneStart(line[to]) {
		to--
	}
	before, after := "", ""
	if from > 0 {
		before = "…"
	}
	if to < len(line) {
		after = "…"
	}
	return before + safe(line[from:to]) + after
}

// safe writes what a terminal might obey, or not show, as an escape sequence of Go's.
func safe(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteString(s[:size])
		} else {
			quoted := strconv.Quote(s[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// message is one line of an error, cut in its middle where it quotes too much: what was wanted stands at the end.
func message(err error) string {
	const begin, end = 500, 300
	s := safe(err.Error())
	if len(s) > begin+end {
		s = strings.ToValidUTF8(s[:begin], "") + " … " + strings.ToValidUTF8(s[len(s)-end:], "")
	}
	return s
}

// clip cuts a text that is quoted in an error to a length that fits a line.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
