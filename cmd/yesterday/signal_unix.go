//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyCounters asks for SIGUSR1: print the counters.
func notifyCounters(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR1) }

func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }
