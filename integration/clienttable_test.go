//go:build linux

package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// clientsDoc is where the tables are that say what real clients do.
const clientsDoc = "../docs/clients.md"

// docs guards clientsDoc, which several tests write.
var docs sync.Mutex

// A table is one of clientsDoc, between two comments that name it. The tests fill it anew; what they find must be what it
// says, and under YESTERDAY_WRITE_DOCS=1 it is made to say what they find.
type table struct {
	name    string
	columns []string // the first is of the rows' names
	rows    []string
	loose   []string // columns that may differ: from one machine to the other

	mu    sync.Mutex
	cells map[[2]string]string // by row and column
}

// set says what is in a cell. Cells that nobody sets, for want of a client, are not compared.
func (a *table) set(row, column, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cells == nil {
		a.cells = make(map[[2]string]string)
	}
	a.cells[[2]string{row, column}] = text
}

// written returns the document's lines of the table, and what is before and after it, with the comments.
func (a *table) written(t *testing.T) (lines [][]string, before, after string) {
	t.Helper()
	data, err := os.ReadFile(clientsDoc)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Sprintf("<!-- %s: written by make docs -->\n", a.name), fmt.Sprintf("<!-- end of %s -->\n", a.name)
	before, rest, found := strings.Cut(string(data), begin)
	now, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no lines %q and %q", clientsDoc, begin, end)
	}
	for line := range strings.Lines(now) {
		if strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "| -") {
			lines = append(lines, splitRow(line))
		}
	}
	return lines, before + begin, end + after
}

// cell returns what the document says in a cell; empty where it has none.
func (a *table) cell(t *testing.T, row, column string) string {
	t.Helper()
	docs.Lock()
	defer docs.Unlock()
	lines, _, _ := a.written(t)
	for _, line := range lines {
		if i := slices.Index(lines[0], column); line[0] == row && 0 < i && i < len(line) {
			return line[i]
		}
	}
	return ""
}

// settle compares the table with the document, or writes it there.
func (a *table) settle(t *testing.T) {
	t.Helper()
	docs.Lock()
	defer docs.Unlock()
	lines, before, after := a.written(t)
	if os.Getenv("YESTERDAY_WRITE_DOCS") == "1" {
		if len(a.cells) != len(a.rows)*(len(a.columns)-1) || t.Failed() {
			t.Fatalf("%s is not written: %d of %d cells of %s were found out", clientsDoc, len(a.cells), len(a.rows)*(len(a.columns)-1), a.name)
		}
		if err := os.WriteFile(clientsDoc, []byte(before+"\n"+a.markdown()+"\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	const remedy = `; "make docs" writes what the tests find`
	if len(lines) == 0 || !slices.Equal(lines[0], a.columns) {
		t.Fatalf("the columns of %s in %s are not %q%s", a.name, clientsDoc, a.columns, remedy)
	}
	var rows []string
	for _, line := range lines[1:] {
		rows = append(rows, line[0])
		for i, column := range a.columns[1:] {
			found, ok := a.cells[[2]string{line[0], column}]
			if ok && found != line[i+1] && !slices.Contains(a.loose, column) {
				t.Errorf("%s, %s, %s: %s says %q, the test finds %q%s", a.name, line[0], column, clientsDoc, line[i+1], found, remedy)
			}
		}
	}
	if !slices.Equal(rows, a.rows) {
		t.Errorf("the rows of %s in %s are %q, want %q%s", a.name, clientsDoc, rows, a.rows, remedy)
	}
}

// splitRow gives the cells of a line of a table.
func splitRow(line string) []string {
	cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// markdown gives the table as GitHub shows it, its columns aligned for those who read it as it is.
func (a *table) markdown() string {
	lines := [][]string{a.columns, nil}
	for _, row := range a.rows {
		line := []string{row}
		for _, column := range a.columns[1:] {
			line = append(line, a.cells[[2]string{row, column}])
		}
		lines = append(lines, line)
	}
	width := make([]int, len(a.columns))
	for _, line := range lines {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, w := range width {
		lines[1] = append(lines[1], strings.Repeat("-", w))
	}
	var b strings.Builder
	for _, line := range lines {
		for i, cell := range line {
			fmt.Fprintf(&b, "| %s%s ", cell, strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)))
		}
		b.WriteString("|\n")
	}
	return b.String()
}
