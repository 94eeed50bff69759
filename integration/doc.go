// Package integration tests the built program from outside: with clients that nobody here wrote, with the lesson's
// programs, in network namespaces, by signals, and under a load of rubbish.
//
// What real clients make of the answers is in docs/clients.md, whose tables these tests check, and write where `make docs`
// asks for it. The tests of a moment, a rollover or a leap second, live through it with them: they take its time.
//
// TestPeers, by `make peers`, measures the program beside other servers, and writes docs/performance.md; what it finds is held and
// compared in the package peers.
//
// A test whose client is missing, or that needs root and is not, skips and says so. Under YESTERDAY_REQUIRE=1, which CI
// sets after `make deps`, it fails instead. All traffic stays on loopback or inside namespaces of the tests' own.
package integration
