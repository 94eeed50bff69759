package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/yesterday-time/yesterday/internal/nearest"
)

// A decoder reads a file's Settings from its syntax tree. Each value is taken as it was written: 010 is no 8, and
// 2036-02-07 no time. So are names: 0x1F is no 31.
type decoder struct {
	file    *File
	anchors map[string]ast.Node
	left    int // values that may still be read: aliases can make many of few
	merging int // merges within each other
}

// A pair is one entry of a mapping.
type pair struct {
	name  string
	key   *token.Token
	value ast.Node
}

// settings reads the whole. An error is a *FileError.
func (d *decoder) settings(body ast.Node) error {
	pairs, err := d.pairs("", body, "settings, such as clock: yesterday")
	if err != nil {
		return err
	}
	s := reflect.ValueOf(&d.file.Settings).Elem()
	names := keys(s.Type())
	for _, p := range pairs {
		i := slices.Index(names, p.name)
		if i < 0 {
			return d.unknown(p, names)
		}
		d.file.places[p.name] = placeOf(p.key)
		var err error
		switch field := s.Field(i).Addr().Interface().(type) {
		case **Text:
			*field = new(Text)
			**field, err = d.text(p.name, p.value)
		case **bool:
			*field = new(bool)
			**field, err = d.bool(p.name, p.value)
		case *List:
			*field, err = d.list(p.name, p.value, func(i int, at place) {
				d.file.places[fmt.Sprintf("%s[%d]", p.name, i)] = at
			})
		case *Clocks:
			*field, err = d.clocks(p.value)
		case *[]*Rule:
			*field, err = d.rules(p.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) clocks(n ast.Node) (Clocks, error) {
	pairs, err := d.pairs("clocks", n, "names with clock texts, such as {lab: leap-second}")
	if err != nil {
		return nil, err
	}
	clocks := make(Clocks, len(pairs))
	for _, p := range pairs {
		key := "clocks." + p.name
		d.file.places[key] = placeOf(p.key)
		if clocks[p.name], err = d.text(key, p.value); err != nil {
			return nil, err
		}
	}
	return clocks, nil
}

func (d *decoder) rules(n ast.Node) ([]*Rule, error) {
	const want = "a list of rules, such as [{from: 10.0.4.7, clock: lab}]"
	n, err := d.resolve("rules", n)
	if err != nil {
		return nil, err
	}
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		return nil, d.wrong("rules", n, want)
	}
	rules := make([]*Rule, len(sequence.Values))
	d.file.rules = make([]rulePlaces, len(rules))
	for i, v := range sequence.Values {
		if rules[i], err = d.rule(i, v); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

func (d *decoder) rule(i int, n ast.Node) (*Rule, error) {
	key := fmt.Sprintf("rules[%d]", i)
	pairs, err := d.pairs(key, n, "a rule, such as {from: 10.0.4.7, clock: lab}")
	if err != nil {
		return nil, err
	}
	r, at := new(Rule), &d.file.rules[i]
	at.whole = placeOf(n.GetToken())
	if len(pairs) > 0 { // a mapping's own token is its first colon, or brace
		at.whole = placeOf(pairs[0].key)
	}
	for _, p := range pairs {
		switch value := placeOf(p.value.GetToken()); p.name {
		case "from":
			at.from = value
			r.From, err = d.text(key+".from", p.value)
		case "clock":
			at.clock = value
			r.Clock, err = d.text(key+".clock", p.value)
		case "start":
			at.start = value
			r.Start, err = d.text(key+".start", p.value)
		case "faults":
			at.faults = placeOf(p.key)
			r.Faults, err = d.list(key+".faults", p.value, func(_ int, word place) { at.words = append(at.words, word) })
		default:
			return nil, d.unknown(p, keys(reflect.TypeFor[Rule]()))
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// pairs reads a mapping, each name once: what "<<" merges comes after the rest, without what is there already.
func (d *decoder) pairs(key string, n ast.Node, want string) ([]pair, error) {
	n, err := d.resolve(key, n)
	if err != nil {
		return nil, err
	}
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, d.wrong(key, n, want)
	}
	pairs := make([]pair, 0, len(values))
	seen := make(map[string]*token.Token, len(values))
	var merged []ast.Node
	for _, v := range values {
		if v.Key.Type() == ast.MergeKeyType {
			merged = append(merged, v.Value)
			continue
		}
		name, err := d.resolve(key, v.Key)
		if err != nil {
			return nil, err
		}
		if explicit, ok := name.(*ast.MappingKeyNode); ok {
			if name, err = d.resolve(key, explicit.Value); err != nil {
				return nil, err
			}
		}
		text, ok := scalar(name)
		if _, null := name.(*ast.NullNode); null {
			text, ok = name.GetToken().Value, true
		}
		if !ok {
			return nil, d.wrong(key, name, "a name")
		}
		p := pair{text, name.GetToken(), v.Value}
		if first := seen[p.name]; first != nil {
			return nil, d.file.at(p.key, fmt.Errorf("%s is set already, on line %d", shown(join(key, p.name)), first.Position.Line))
		}
		seen[p.name] = p.key
		pairs = append(pairs, p)
		if d.left--; d.left < 0 {
			return nil, d.tooMany(p.key)
		}
	}
	for _, m := range merged {
		if d.merging >= maxDepth {
			return nil, d.file.at(m.GetToken(), errors.New("merges within merges, want none that merges itself"))
		}
		sources := []ast.Node{m}
		if r, err := d.resolve(key, m); err != nil {
			return nil, err
		} else if list, ok := r.(*ast.SequenceNode); ok {
			sources = list.Values
		}
		for _, source := range sources {
			d.merging++
			more, err := d.pairs(join(key, "<<"), source, "a mapping to merge, such as *name")
			d.merging--
			if err != nil {
				return nil, err
			}
			for _, p := range more {
				if seen[p.name] == nil {
					seen[p.name] = p.key
					pairs = append(pairs, p)
				}
			}
		}
	}
	return pairs, nil
}

// list reads a sequence, or one text, which may hold several with commas. at is told where each value stands.
func (d *decoder) list(key string, n ast.Node, at func(int, place)) (List, error) {
	n, err := d.resolve(key, n)
	if err != nil {
		return nil, err
	}
	values := []ast.Node{n}
	if sequence, ok := n.(*ast.SequenceNode); ok {
		values = sequence.Values
	}
	list, words := make(List, 0, len(values)), 0
	for _, v := range values {
		if _, null := v.(*ast.NullNode); null && len(values) > 1 {
			return nil, d.bad(v.GetToken(), key, errors.New("a value of the list is missing"))
		}
		t, err := d.text(key, v)
		if e, ok := errors.AsType[*kindError](err); ok {
			e.want = "a value, or a list of values"
		}
		if err != nil {
			return nil, err
		}
		for range (List{t}).Words() {
			at(words, placeOf(v.GetToken()))
			words++
		}
		list = append(list, t)
	}
	return list, nil
}

func (d *decoder) text(key string, n ast.Node) (Text, error) {
	n, err := d.resolve(key, n)
	if err != nil {
		return "", err
	}
	text, ok := scalar(n)
	if !ok {
		return "", d.wrong(key, n, "one value")
	}
	if d.left--; d.left < 0 {
		return "", d.tooMany(n.GetToken())
	}
	return Text(text), nil
}

func (d *decoder) bool(key string, n ast.Node) (bool, error) {
	t, err := d.text(key, n)
	if err != nil {
		return false, err
	}
	switch strings.ToLower(string(t)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, d.file.at(n.GetToken(), wantWord(key, string(t), "true", "false"))
}

// resolve looks through anchors, aliases and the tag !!str.
func (d *decoder) resolve(key string, n ast.Node) (ast.Node, error) {
	for range maxDepth {
		switch v := n.(type) {
		case *ast.AnchorNode:
			d.anchors[v.Name.GetToken().Value] = v.Value
			n = v.Value
		case *ast.AliasNode:
			name := v.Value.GetToken().Value
			target, ok := d.anchors[name]
			if !ok {
				return nil, d.bad(v.GetToken(), key, fmt.Errorf("*%s stands for nothing, want an anchor &%s before it", clip(name), clip(name)))
			}
			n = target
		case *ast.TagNode:
			if tag := v.Start.Value; tag != "!!str" && tag != "!" {
				return nil, d.bad(v.Start, key, fmt.Errorf("tag %s, want none, or !!str", clip(tag)))
			}
			n = v.Value
		default:
			return n, nil
		}
	}
	return nil, d.bad(n.GetToken(), key, errors.New("an alias that stands for itself, want a value"))
}

// scalar returns the text of a value as it was written.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// A kindError is what a value cannot be.
type kindError struct{ seen, want string }

func (e *kindError) Error() string { return e.seen + ", want " + e.want }

// wrong says that n, the value of key, is of another kind than wanted.
func (d *decoder) wrong(key string, n ast.Node, want string) error {
	seen := "a value"
	switch n.(type) {
	case *ast.NullNode:
		if key != "" {
			return d.file.at(n.GetToken(), fmt.Errorf("%s has no value, want %s", shown(key), want))
		}
	case *ast.SequenceNode:
		seen = "a list"
	case *ast.MappingNode, *ast.MappingValueNode, *ast.MappingKeyNode:
		seen = "a mapping"
	}
	return d.bad(n.GetToken(), key, &kindError{seen, want})
}

// bad says what is wrong with a setting, or with the whole where key is empty.
func (d *decoder) bad(t *token.Token, key string, err error) error {
	if key != "" {
		err = &Error{Key: key, Err: err}
	}
	return d.file.at(t, err)
}

// unknown is the error of a name that is no setting's.
func (d *decoder) unknown(p pair, names []string) error {
	hint := nearest.Hint(p.name, names...)
	if hint == "" {
		hint = ", want one of " + strings.Join(names, ", ")
	}
	return d.file.at(p.key, fmt.Errorf("unknown setting %q%s", clip(p.name), hint))
}

func (d *decoder) tooMany(t *token.Token) error {
	return d.file.at(t, fmt.Errorf("more than %d values with those that aliases stand for, want fewer", maxMarks))
}

// join names a setting within another.
func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}
