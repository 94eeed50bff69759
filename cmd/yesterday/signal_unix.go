//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyCounters asks for SIGUSR1, which prints the counters.
func notifyCounters(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR1) }

// notifyReload asks for SIGHUP, which reads the configuration anew.
func notifyReload(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP) }

func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }
