package probe

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// What goes out comes back as the same request, and any byte that differs is seen, where there is enough of a pattern.
func TestEchoIsHeldAgainstEveryByte(t *testing.T) {
	for _, size := range []int{MinEcho, 17, 23, 24, 56, 1471} {
		q := newQuestions(service.Echo, size)
		for _, seq := range []uint64{0, 1, 1 << 40} {
			sent := q.append([]byte("kept"), seq)
			if string(sent[:4]) != "kept" || len(sent) != 4+size {
				t.Fatalf("size %d: appended %d bytes to 4", size, len(sent)-4)
			}
			sent = sent[4:]
			if got, known, ok := q.read(sent); got != seq || !known || !ok {
				t.Errorf("size %d: request %d read as %d, %v, %v", size, seq, got, known, ok)
			}
			for i := range sent {
				damaged := bytes.Clone(sent)
				damaged[i] ^= 1 << (i % 8)
				if size < MinEcho+8 && i >= 8 && i < MinEcho {
					continue // a sequence number of another request, whose few bytes of pattern may be the same
				}
				if _, _, ok := q.read(damaged); ok {
					t.Errorf("size %d: byte %d was damaged, and that passed", size, i)
				}
			}
			for _, other := range [][]byte{sent[:size-1], append(bytes.Clone(sent), 0), nil} {
				if _, _, ok := q.read(other); ok {
					t.Errorf("size %d: %d bytes passed", size, len(other))
				}
			}
		}
		other := newQuestions(service.Echo, size)
		if _, known, ok := other.read(q.append(nil, 5)); known || ok {
			t.Errorf("size %d: another run's echo passed", size)
		}
	}
}

func TestNTPIsKnownByItsOrigin(t *testing.T) {
	q := newQuestions(service.NTP, 0)
	seen := make(map[ntp.Timestamp]bool)
	for seq := range uint64(10_000) {
		request := q.append(nil, seq)
		h, err := ntp.Parse(request)
		if err != nil || h.Mode != ntp.ModeClient || h.Transmit == 0 || seen[h.Transmit] {
			t.Fatalf("request %d: %+v, %v", seq, h, err)
		}
		seen[h.Transmit] = true
		reply := ntp.Header{Version: 4, Mode: ntp.ModeServer, Stratum: 1, Origin: h.Transmit, Transmit: 1}.Append(nil)
		if got, known, ok := q.read(reply); got != seq || !known || !ok {
			t.Fatalf("the reply to %d read as %d, %v, %v", seq, got, known, ok)
		}
	}
	for name, h := range map[string]ntp.Header{
		"a client's":  {Version: 4, Mode: ntp.ModeClient, Stratum: 1, Origin: q.cookie(3)},
		"a broadcast": {Version: 4, Mode: ntp.ModeBroadcast, Stratum: 1, Origin: q.cookie(3)},
		"RATE":        {Version: 4, Mode: ntp.ModeServer, ReferenceID: ntp.ReferenceID{'R', 'A', 'T', 'E'}, Origin: q.cookie(3)},
	} {
		if _, _, ok := q.read(h.Append(nil)); ok {
			t.Errorf("%s packet passed", name)
		}
	}
	reply := ntp.Header{Version: 4, Mode: ntp.ModeServer, ReferenceID: ntp.ReferenceID{'I', 'N', 'I', 'T'}, Origin: q.cookie(3)}.Append(nil)
	if seq, _, ok := q.read(reply); seq != 3 || !ok {
		t.Error("a server that is not synchronised is as good for measuring")
	}
	if _, _, ok := q.read(reply[:47]); ok {
		t.Error("47 bytes passed")
	}
	for range 1000 { // nobody guesses a cookie
		if seq := q.sequence(ntp.Timestamp(rand.Uint64())); seq < 1<<32 {
			t.Errorf("a random origin is request %d", seq)
		}
	}
}

func TestTimeAndDaytimeReplies(t *testing.T) {
	for _, c := range []struct {
		kind service.Kind
		n    int
		ok   bool
	}{
		{service.Time, 4, true}, {service.Time, 3, false}, {service.Time, 5, false}, {service.Time, 0, false},
		{service.Daytime, 1, true}, {service.Daytime, 26, true}, {service.Daytime, 0, false}, {service.Daytime, 513, false},
	} {
		q := newQuestions(c.kind, 3)
		if _, known, ok := q.read(make([]byte, c.n)); known || ok != c.ok {
			t.Errorf("%v, %d bytes: known %v, ok %v", c.kind, c.n, known, ok)
		}
		if got := q.append(nil, 9); len(got) != 3 {
			t.Errorf("%v: a request of %d bytes, want 3", c.kind, len(got))
		}
	}
}

func TestPatternDiffersFromOneRequestToTheNext(t *testing.T) {
	q := newQuestions(service.Echo, 64)
	a, b := q.append(nil, 1), q.append(nil, 2)
	binary.BigEndian.PutUint64(b[8:], 1) // the same header on the other's pattern
	if _, _, ok := q.read(b); ok || bytes.Equal(a[16:24], b[16:24]) {
		t.Error("the pattern of one request passes for the other's")
	}
}
