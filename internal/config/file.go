package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A File is a configuration file that was read and is good.
type File struct {
	Settings Settings

	name  string
	lines []string
	root  *ast.File
}

// A FileError says what is wrong in a file, and where.
type FileError struct {
	File   string
	Line   int    // from 1; 0 where it is the whole file
	Source string // the line
	Err    error
}

// Error has a second line, which quotes the file's.
func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v\n%5d | %s", e.File, e.Line, e.Err, e.Line, e.Source)
}

func (e *FileError) Unwrap() error { return e.Err }

// Parse reads a file, in YAML, and checks all that it sets. An error is a *FileError. An empty file sets nothing.
func Parse(name string, data []byte) (*File, error) {
	f := &File{name: name, lines: strings.Split(string(data), "\n")}
	var err error
	if f.root, err = parser.ParseBytes(data, 0); err != nil {
		return nil, f.yamlError(err)
	}
	if len(f.root.Docs) > 1 {
		return nil, f.at(f.root.Docs[1].Start, errors.New("a second document, want one"))
	}
	if len(f.root.Docs) == 0 || f.root.Docs[0].Body == nil {
		return f, nil
	}
	body := f.root.Docs[0].Body
	if _, comment := body.(*ast.CommentGroupNode); comment {
		return f, nil
	}
	if err := f.strict(body); err != nil {
		return nil, err
	}
	if err := yaml.NodeToValue(body, &f.Settings, yaml.Strict()); err != nil {
		return nil, f.yamlError(err)
	}
	if _, err := f.Settings.Plan(); err != nil {
		return nil, f.Locate(err)
	}
	return f, nil
}

// strict refuses what the decoder lets pass: keys without a value, and keys that are no words.
func (f *File) strict(body ast.Node) (err error) {
	ast.Walk(visitor(func(n ast.Node) bool {
		pair, ok := n.(*ast.MappingValueNode)
		if !ok || err != nil {
			return err == nil
		}
		if _, null := pair.Value.(*ast.NullNode); null {
			err = f.at(pair.Key.GetToken(), fmt.Errorf("%s has no value", pair.Key.GetToken().Value))
		}
		return true
	}), body)
	if err != nil {
		return err
	}
	mapping, ok := body.(*ast.MappingNode)
	if !ok {
		return f.at(body.GetToken(), errors.New("want settings, such as clock: yesterday"))
	}
	for _, pair := range mapping.Values {
		key := pair.Key.GetToken()
		if !slices.Contains(keys(reflect.TypeFor[Settings]()), key.Value) && pair.Key.Type() != ast.MergeKeyType {
			return f.unknown(key)
		}
	}
	return nil
}

type visitor func(ast.Node) bool

func (v visitor) Visit(n ast.Node) ast.Visitor {
	if v(n) {
		return v
	}
	return nil
}

// unknown is the error of a key that is no setting's.
func (f *File) unknown(key *token.Token) error {
	known := append(keys(reflect.TypeFor[Settings]()), keys(reflect.TypeFor[Rule]())...)
	hint := didYouMean(key.Value, known...)
	if hint == "" {
		hint = ", want one of " + strings.Join(keys(reflect.TypeFor[Settings]()), ", ")
	}
	return f.at(key, fmt.Errorf("unknown setting %q%s", key.Value, hint))
}

// yamlError words an error of the decoder.
func (f *File) yamlError(err error) error {
	if e, ok := errors.AsType[*nodeError](err); ok {
		return f.at(e.node.GetToken(), e)
	}
	e, ok := errors.AsType[yaml.Error](err)
	if !ok || e.GetToken() == nil {
		return &FileError{File: f.name, Err: err}
	}
	switch e := e.(type) {
	case *yaml.UnknownFieldError:
		return f.unknown(e.Token)
	case *yaml.TypeError:
		return f.at(e.Token, fmt.Errorf("%q: want %s", e.Token.Value, e.DstType))
	}
	return f.at(e.GetToken(), errors.New(e.GetMessage()))
}

// Locate adds to an *Error of the file's settings where it stands.
func (f *File) Locate(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return &FileError{File: f.name, Err: err}
	}
	// What is missing, or one of several in one text, is where its parent is.
	for key := e.Key; key != ""; key = key[:max(strings.LastIndexAny(key, ".["), 0)] {
		if t := f.find(key); t != nil {
			return f.at(t, e)
		}
	}
	return &FileError{File: f.name, Err: err}
}

// Line returns the line on which a setting stands, or 0.
func (f *File) Line(key string) int {
	if t := f.find(key); t != nil {
		return t.Position.Line
	}
	return 0
}

func (f *File) find(key string) *token.Token {
	if name, ok := strings.CutPrefix(key, "clocks."); ok {
		key = "clocks.'" + name + "'"
	}
	path, err := yaml.PathString("$." + key)
	if err != nil {
		return nil
	}
	node, err := path.FilterFile(f.root)
	if err != nil || node == nil {
		return nil
	}
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 { // a mapping's own token is its first colon, or brace
		return m.Values[0].Key.GetToken()
	}
	return node.GetToken()
}

func (f *File) at(t *token.Token, err error) error {
	line := t.Position.Line
	e := &FileError{File: f.name, Line: line, Err: err}
	if line >= 1 && line <= len(f.lines) {
		e.Source = strings.TrimRight(f.lines[line-1], "\r")
	}
	return e
}

// A nodeError is what a Text or a List cannot be.
type nodeError struct {
	node ast.Node
	want string
}

func (e *nodeError) Error() string {
	return fmt.Sprintf("%s, want %s", strings.ToLower(e.node.Type().YAMLName()), e.want)
}

// UnmarshalYAML takes a scalar as it was written: 010 is no 8, and 2036-02-07 no time.
func (t *Text) UnmarshalYAML(n ast.Node) error {
	switch n := n.(type) {
	case *ast.StringNode:
		*t = Text(n.Value)
	case *ast.LiteralNode:
		*t = Text(n.Value.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		*t = Text(n.GetToken().Value)
	default:
		return &nodeError{n, "one value"}
	}
	return nil
}

// UnmarshalYAML takes a sequence, or one text.
func (l *List) UnmarshalYAML(n ast.Node) error {
	values := []ast.Node{n}
	if sequence, ok := n.(*ast.SequenceNode); ok {
		values = sequence.Values
	}
	*l = List{}
	for _, v := range values {
		var t Text
		if err := t.UnmarshalYAML(v); err != nil {
			return &nodeError{v, "a value, or a list of values"}
		}
		*l = append(*l, t)
	}
	return nil
}
