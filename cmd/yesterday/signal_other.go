//go:build !unix

package main

import "os"

// notifySignals does nothing: there are no such signals here.
func notifySignals(chan<- os.Signal) {}

func isReload(os.Signal) bool { return false }

func ignoreBrokenPipe() {}
