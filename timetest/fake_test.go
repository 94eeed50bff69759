package timetest_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
)

// A fakeT stands in for a test's *testing.T, to see what it is told.
type fakeT struct {
	testing.TB
	failed   bool
	errors   []string // of Errorf and Fatalf
	logs     []string
	helpers  int
	cleanups []func()
}

// run calls test, then the cleanups, as package testing does.
func (t *fakeT) run(test func(t testing.TB)) {
	inGoroutine := func(f func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			f()
		}()
		<-done
	}
	inGoroutine(func() { test(t) })
	for _, f := range slices.Backward(t.cleanups) {
		inGoroutine(f)
	}
}

func (t *fakeT) Helper()                  { t.helpers++ }
func (t *fakeT) Context() context.Context { return context.Background() }
func (t *fakeT) Failed() bool             { return t.failed }
func (t *fakeT) Cleanup(f func())         { t.cleanups = append(t.cleanups, f) }
func (t *fakeT) Log(args ...any)          { t.logs = append(t.logs, fmt.Sprint(args...)) }

func (t *fakeT) Errorf(format string, args ...any) {
	t.failed = true
	t.errors = append(t.errors, fmt.Sprintf(format, args...))
}

func (t *fakeT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *fakeT) Fatal(args ...any) { t.Fatalf("%s", fmt.Sprintln(args...)) }
