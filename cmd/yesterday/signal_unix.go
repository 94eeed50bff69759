//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifySignals asks for SIGUSR1, which prints the counters, and for SIGHUP.
func notifySignals(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR1, syscall.SIGHUP) }

// isReload tells whether the signal says to read the configuration anew.
func isReload(s os.Signal) bool { return s == syscall.SIGHUP }

func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }
