// Package fault is how to fail on purpose: it loses, delays, doubles, cuts and corrupts replies, and makes NTP's say what no
// server should. A [Fault] is written as one line of text, which [Parse] reads; an [Injector] makes faults in the replies of
// a service, at random but repeatably.
//
// # Text
//
//	loss 10%               one reply in ten is lost
//	silence                no reply at all
//	delay 50ms             each reply is held back
//	delay 50ms..90ms 5%    one in twenty, for as long as chance has it
//	duplicate 0.5%         one in two hundred is sent twice
//	corrupt                one bit of each reply is wrong
//	length 3               each reply has three bytes
//	kiss RATE, stratum 16, leap unknown, wrong-origin, zero-transmit, mode 3, version 2, unsynchronised
//
// The grammar, of words separated by spaces, lower-case but for the kiss codes:
//
//	text        = failure [ probability ] .
//	failure     = "loss" | "silence" | "duplicate" | "corrupt" | "delay" delay | "length" number | ntp .
//	ntp         = "kiss" ( "RATE" | "DENY" | "RSTR" ) | "stratum" number | "leap" leap | "wrong-origin" |
//	              "zero-transmit" | "mode" number | "version" number | "unsynchronised" .
//	delay       = duration [ ".." duration ] .
//	leap        = "none" | "insert" | "delete" | "unknown" .
//	probability = digit { digit } [ "." digit { digit } ] "%" .
//	number      = digit { digit } .
//
// A duration is one of clock text, such as 50ms or 1.5s, from 0s to 1h; of a range the first is not the longer one, and not
// both are 0s. A length is 0 to 1472, a stratum 0 to 255, a mode and a version 0 to 7. A probability is 0% to 100% in steps of
// 0.0001%; without one it is 100%.
//
// # What each does
//
// To every service, over UDP and TCP:
//
//   - loss and silence: the request is not answered, and nothing is sent in its place. A connection stays open and silent until
//     the asker ends it or it was idle for too long. They differ in name: the network lost it, or the server does not speak.
//   - delay: the reply is made, with its time in it, and then held back as a slow network would: for one time, or for any
//     nanosecond of a range, each as likely. What time and daytime say is that much too old. NTP's receive and transmit
//     timestamps do not know of it, so the round trip is longer by the delay and the offset lower by half of it (RFC 5905,
//     section 8). Several delays add up, to an hour at most. Replies may overtake each other. On a connection the first byte
//     is held back, and with it all.
//   - duplicate: the same bytes are sent once more, at the same moment, as UDP may (RFC 768); NTP's clients look for it (RFC
//     5905, section 8). Several add up. A stream has no duplicates: over TCP there is nothing to do.
//   - corrupt: one bit of the reply's data, each as likely, is turned over. The checksum is made afterwards, and right. Time is
//     off by a second or by up to 68 years (RFC 868), daytime's line may be none (RFC 867), an echo is not what was sent (RFC
//     862), and of NTP's header it may be any field (RFC 5905, section 7.3). An empty reply has nothing to corrupt.
//   - length N: the reply has N bytes, its first ones, with zeros behind them where it is shorter. N may be 0: a datagram
//     without data, or a connection that is closed without a byte. Time has 4 bytes (RFC 868) and daytime at most 26 (RFC 867).
//     NTP has 48: fewer, or a number that is no multiple of 4, are no packet; in more, the zeros stand where extension fields or
//     a MAC do (RFC 5905, sections 7.3 and 7.5), and 52 end in a crypto-NAK. Echo's reply is as long as its request (RFC 862).
//
// Echo over TCP answers with what comes later, which does not pass here: it can be lost, silent or delayed, and for the others
// there is nothing to do.
//
// To NTP alone, in the header of RFC 5905, section 7.3, figure 8, counting bytes from 0. What is not named stays as the service
// wrote it, the timestamps above all:
//
//   - kiss CODE: a kiss-o'-death (section 7.4): the leap indicator is 3, the stratum in byte 1 is 0, and the reference ID in
//     bytes 12 to 15 is the code. RATE: ask less often. DENY and RSTR: do not ask again.
//   - unsynchronised: as our own server at stratum 16: the leap indicator is 3, the stratum is 0, the reference ID is INIT.
//   - stratum N: byte 1 is N, as given: 16 is not made 0, and 17 to 255 are reserved (figure 11).
//   - leap NAME: bits 7 and 6 of byte 0 are 0 for none, 1 for insert, 2 for delete, 3 for unknown (figure 9).
//   - version N: bits 5 to 3 of byte 0.
//   - mode N: bits 2 to 0 of byte 0: 4 is a server's, 3 a client's (figure 10).
//   - wrong-origin: bytes 24 to 31, which should be the asker's transmit timestamp, are random and never that: what somebody
//     sends who did not see the question, and a client must drop (section 8).
//   - zero-transmit: bytes 40 to 47 are 0: the time is not known (section 6).
//
// # Several at once
//
// Whatever the order in which faults are written, they are made in these stages, and within one in the order written: loss and
// silence, of which the first to happen ends it; NTP's fields; length; corrupt; duplicate and delay. Each happens, or not, by a
// chance of its own.
//
// A fault that was made is noted in the Reply, by the note of its name. One that is not of the service, or finds nothing to do
// (a stratum that is that already, a length likewise, no byte to corrupt), is not noted and draws no random number. Reply.Told
// is zero where the reply no longer says a time: with zero-transmit, and where a length leaves no whole time, line or header.
// What a corrupted reply says is not told: Told stays what the service told.
//
// # Repeatable
//
// The random numbers are those of math/rand/v2's PCG, seeded by whoever makes the Injector; no clock and no address has a part
// in them. They are no secret: who sees enough replies can foresee the next.
package fault
