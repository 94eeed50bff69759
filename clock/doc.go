// Package clock tells what time it is on a clock of one's choice: yesterday's, one that stands ten seconds before a
// rollover, one that runs sixty times too fast, or one of these after the other. It is pure: it asks no host for the time
// and opens no socket.
//
// A [Clock] is a function from real time, what the host's clock says, to served time. It consists of straight pieces, each
// a [Segment]: two instants and a [Rate]. All arithmetic is exact, in whole nanoseconds and rates in fixed point; a
// time.Duration, which ends at 292 years, is nowhere in it. Served time stops at the edges of the years 1 and 9999, in a
// segment that is frozen.
//
// # Clock text
//
// A clock is written as one line of text, which [Parse] reads:
//
//	yesterday                                        24 hours behind real time; so are now and tomorrow
//	-24h, +1h30m, -7d, yesterday +5m                 an offset to real time
//	2038-01-19T03:14:00Z, 2036-02-07                 reads that instant when it starts, then ticks
//	ntp-rollover                                     a preset: an instant with a name
//	now frozen, yesterday x60, now x0.5, now +20ppm  stands still, or runs at a rate
//	now leap, now leap-, leap-second                 a leap second inserted, or deleted, at the end of the day
//	now smear 24h                                    the same second spread evenly
//	yesterday for 10m then now for 5m then epoch     a timeline
//	yesterday for 10m then now for 5m repeat         a loop
//	yesterday x60 at 2026-11-22T10:00:00Z            started at that real instant
//
// The presets read ten seconds before a moment: ntp-rollover 2036-02-07T06:28:16Z, unix-rollover 2038-01-19T03:14:08Z,
// gps-rollover 2038-11-20T23:59:42Z, y2k 2000-01-01T00:00:00Z, epoch 1970-01-01T00:00:00Z, and
// leap-second the end of 2016-12-31 with the second inserted: it is 2016-12-31T23:59:50Z leap.
//
// The grammar, of lower-case words separated by spaces:
//
//	text     = ( timeline | piece ) [ "at" instant ] .
//	timeline = timed { "then" timed } ( "then" piece | "repeat" ) .
//	timed    = piece "for" duration .
//	piece    = base { offset } [ rate | second ] .
//	base     = "yesterday" | "now" | "tomorrow" | preset | offset | instant .
//	rate     = "frozen" | "x" number | sign number "ppm" .
//	second   = "leap" | "leap-" | "smear" duration .
//	instant  = date [ "T" hh ":" mm ":" ss [ "." digit{1,9} ] zone ] .
//	zone     = "Z" | sign hh ":" mm .
//	offset   = sign duration .
//	duration = number unit { number unit } .      units w d h m s ms us ns, falling, each once
//	number   = digit { digit } [ "." digit { digit } ] .
//
// A date alone is midnight UTC. A duration comes to whole nanoseconds. What follows "for" counts real time. Instants and
// presets restart, and rates pivot, at the start of each piece and so at each repeat; offsets are against real time always.
// Before its start a clock goes on as its first piece does. A text has at most 1,000 pieces and 128 KiB, and the pieces with a
// "for" last at most 292 years together.
//
// # Leap seconds
//
// What leap, leap- and smear do, they do once in a piece, around the end of the served UTC day in which the piece starts:
// M is that midnight. They need rate 1.
//
// With leap a second is inserted: at M the clock reads 23:59:59 once more, and M a second later. From M-24h until then, so
// also in the repeated second, Segment.Leap is LeapInsert. With leap- a second is deleted: where it would be 23:59:59 the
// clock reads M. From M-24h until then Segment.Leap is LeapDelete. A piece that would start in the deleted second finds it
// gone already, and reads one second more.
//
// With smear W, of at most 7d, the second is inserted little by little and never announced: the W of served time around M
// take W and a second of real time, so that the clock is behind by half a second at M and by a second from M+W/2 on. A piece
// that starts within these reads its instant there, and has the rest of the smear before it. The smear's rate is rounded down
// to a Rate: at its end served time is up to some nanoseconds short, which it jumps.
//
// A piece that ends before that has none of it, a piece before its start has what was before, and there is no midnight at
// the end of the year 9999.
//
// # From text to clock
//
// [Parse] gives a [Recipe], which says what the clock reads but not when it starts; [Recipe.Start] starts it and gives a
// [Timeline], which is a Clock. The text of a started clock has an "at" wherever that changes a reading: parsed again
// and started at any time, it gives an equal clock.
package clock
