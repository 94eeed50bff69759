package ask

import (
	"crypto/rand"
	"encoding/binary"
	"slices"

	"github.com/yesterday-time/yesterday/wire/ntp"
)

// askedVersion is the version of NTP that is asked with.
const askedVersion = 4

// newCookie returns what goes out as the transmit time of a question: a random number rather than our clock. Nobody who
// has not seen the question can answer it, and it says nothing about this host. It is never zero, which means no time.
func newCookie() ntp.Timestamp {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails
		if c := ntp.Timestamp(binary.BigEndian.Uint64(b[:])); c != 0 {
			return c
		}
	}
}

// ntpQuestion returns a client's packet of 48 bytes, in which nothing but the version, the mode and the cookie is set: a
// server looks at nothing else.
func ntpQuestion(cookie ntp.Timestamp) []byte {
	return ntp.Header{Version: askedVersion, Mode: ntp.ModeClient, Transmit: cookie}.Append(nil)
}

// match returns the answer if it is to a datagram that was sent on p, be it an earlier one, with the time when that was
// sent. Otherwise it keeps it, a packet rather than what is too short for one, and returns nil.
func (in *inquiry) match(p *path, answer *Answer) *Answer {
	cookie := p.sent[len(p.sent)-1].cookie
	if h, ok := headerOf(answer.Raw); ok {
		if i := slices.IndexFunc(p.sent, func(s sending) bool { return s.cookie == h.Origin }); i >= 0 {
			in.cookie, answer.Sent = h.Origin, p.sent[i].at
			return answer
		}
	}
	in.strays++
	in.stray = answer.Raw
	if in.passed == nil || len(answer.Raw) >= ntp.HeaderSize || len(in.passed.Raw) < ntp.HeaderSize {
		in.passed, in.cookie = answer, cookie
	}
	return nil
}

// headerOf reads the header of what is at least one, whatever follows it.
func headerOf(packet []byte) (ntp.Header, bool) {
	if len(packet) < ntp.HeaderSize {
		return ntp.Header{}, false
	}
	h, err := ntp.Parse(packet[:ntp.HeaderSize])
	return h, err == nil
}
