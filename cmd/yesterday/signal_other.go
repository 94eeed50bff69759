//go:build !unix

package main

import "os"

// notifyCounters does nothing: there is no such signal here.
func notifyCounters(chan<- os.Signal) {}

// notifyReload does nothing: there is no such signal here.
func notifyReload(chan<- os.Signal) {}

func ignoreBrokenPipe() {}
