// Package probe measures a server over UDP from outside: [Ping] its round trips one by one, [Bench] what it does under
// load. Both ask any of the services, of this project's server or of anybody's, match each reply to its request, and check
// it; neither prints.
//
// What a request and its reply are known by:
//
//   - Echo carries 16 bytes, a random number of the run and the request's sequence number, and behind them a pattern that
//     follows from both. A reply is held against them byte for byte.
//   - NTP carries a random-looking cookie in its transmit time, from which the sequence number can be had again. A reply
//     bears it as its origin.
//   - Time and daytime carry nothing that comes back. Ping gives each request a source port of its own, so that what comes
//     to that port is its reply. Bench has lanes, pairs of a source port and a source address, and matches the replies on a
//     lane to its requests in their order: exact as long as no lane has more than one request under way. Where a lane has
//     several and one is lost, the replies behind it count for the requests before theirs, which makes them seem slow,
//     until the lane has come to rest; a doubled reply then stands in for a lost one. [LimitShared] says so.
//
// Each request that was sent ends as one of these: answered in time; late, where its first good reply took longer than the
// time-out; lost, where none came; or pending, where measuring was cut short before its time-out. A server of NTP may also
// decline to answer, by a kiss code: Ping counts such a request as kissed, and asks no more; to Bench the reply is wrong. What
// came doubled, or was not what a reply has to be, is counted beside these.
package probe

import "github.com/yesterday-time/yesterday/service"

// MinEcho is how many bytes an echo carries at least: what it is known by.
const MinEcho = 16

// sizeOf is how long the requests of a service are, where size is what was asked for.
func sizeOf(kind service.Kind, size int) int {
	if kind == service.NTP {
		return 48
	}
	return size
}
