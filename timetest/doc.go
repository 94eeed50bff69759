// Package timetest is the httptest of time: it starts a time server inside a Go test, set to any time, and lets it fail on
// purpose.
//
//	func TestRollover(t *testing.T) {
//		s := timetest.NewServer(t, "ntp-rollover") // ten seconds before the end of NTP's first era
//		got, err := mylib.Ask(s.Addr(service.NTP)) // "127.0.0.1:34567"
//		…
//	}
//
// The server answers on free ports of 127.0.0.1 until the test ends. The text is any clock text of package clock: "yesterday",
// "now x60", "2038-01-19T03:14:00Z frozen", "leap-second". [Server.SetClock] sets another one at any time.
//
// # Faults
//
// What does the client do without an answer, with a wrong one, or with a kiss of death?
//
//	s.SetFaults("silence")
//	s.SetFaults("wrong-origin", "delay 50ms..90ms", "loss 10%")
//	s.SetFaults() // all is well again
//
// Package fault lists them all.
//
// # What was asked
//
// [Server.Exchanges] returns what the server was asked and told. An exchange is in it before its reply can be read: no test
// need wait for it. A test that fails prints it:
//
//	timetest: all 2 exchanges with the server that started at 2026-11-22T10:00:00.000000Z: real time, who asked what, and what came of it
//	2026-11-22T10:00:00.012345Z (+12.345ms) 127.0.0.1:40321 ntp/udp: answered 2036-02-07T06:28:06.012350Z on "ntp-rollover at 2026-11-22T10:00:00Z"
//	2026-11-22T10:00:01.013210Z (+1.01321s) 127.0.0.1:40321 ntp/udp: not answered: fault (silence) on "ntp-rollover at 2026-11-22T10:00:00Z"
//
// # Three hours in milliseconds
//
// In a bubble of testing/synctest time passes as soon as everybody waits for it. No socket can be in there, so the server comes
// without: [NewMemoryServer]. The client connects by [Server.Dial] or [Server.DialContext], for which good libraries have a
// place: here ask.Client, which asks every minute for three hours around the end of a day that has a leap second.
//
//	func TestLeapSecond(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			s := timetest.NewMemoryServer(t, "2016-12-31T22:30:00Z leap")
//			client := ask.Client{Dial: s.DialContext}
//			for range 180 {
//				answer, err := client.NTP(t.Context(), s.Addr(service.NTP))
//				…
//				time.Sleep(time.Minute)
//			}
//		})
//	}
//
// A client whose library cannot be given a connection is to be tested with NewServer, in real time: set the clock to just before
// the moment that matters, or let it run faster ("2016-12-31T22:30:00Z x60").
//
// # Many clients
//
// Each client can have a clock and faults of its own, by rules on its address: [Server.SetLab] takes them all, as package lab
// describes, and [Server.From] connects from an address, which in memory may be any.
//
//	s.SetLab(lab.Config{
//		Clocks: map[string]clock.Recipe{"scenario": clock.MustParse("leap-second")},
//		Rules:  []lab.Rule{{From: netip.MustParsePrefix("10.0.3.0/24"), Clock: "scenario", Start: lab.FirstRequest}},
//	})
//	phone := ask.Client{Dial: s.From(netip.MustParseAddr("10.0.3.7")).DialContext}
//
// # What to know
//
// NewServer's is the server that the program serves with, its guard included: echo, time and daytime do not answer the source
// ports of such services, lest they answer each other for ever. Loopback addresses have no limit. In memory there is no guard.
// On every host NTP is answered at stratum 1, without root delay or dispersion; Daytime's line is in the host's zone.
package timetest
