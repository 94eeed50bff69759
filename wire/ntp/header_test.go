package ntp_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/yesterday-time/yesterday/wire/ntp"
)

// reply is a packet with another value in each field.
var reply = ntp.Header{
	Leap:           ntp.LeapInsert,
	Version:        4,
	Mode:           ntp.ModeServer,
	Stratum:        2,
	Poll:           6,
	Precision:      -23,
	RootDelay:      0x0001_8000,
	RootDispersion: 0x0000_0421,
	ReferenceID:    ntp.ReferenceID{192, 0, 2, 1},
	Reference:      0xecb2_0f13_0102_0304,
	Origin:         0x0123_4567_89ab_cdef,
	Receive:        0xecb2_0f14_8000_0000,
	Transmit:       0xecb2_0f14_8000_1000,
}

const replyHex = "64" + "02" + "06" + "e9" + "00018000" + "00000421" + "c0000201" +
	"ecb20f1301020304" + "0123456789abcdef" + "ecb20f1480000000" + "ecb20f1480001000"

func TestHeader(t *testing.T) {
	want, err := hex.DecodeString(replyHex)
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.Append([]byte("ab")); !bytes.Equal(got, append([]byte("ab"), want...)) {
		t.Errorf("appended it is\n% x, want\n% x after what was there", got, want)
	}
	got, err := ntp.Parse(want)
	if err != nil || got != reply {
		t.Errorf("parsed it is\n%+v, %v, want\n%+v", got, err, reply)
	}
	if got, err := ntp.Parse(append(want, make([]byte, 20)...)); err != nil || got != reply {
		t.Errorf("with 20 bytes behind it is\n%+v, %v, want the same", got, err)
	}
}

// TestFirstByte goes through all leap indicators, versions and modes.
func TestFirstByte(t *testing.T) {
	packet := make([]byte, ntp.HeaderSize)
	for b := range 256 {
		packet[0] = byte(b)
		h, err := ntp.Parse(packet)
		if err != nil || int(h.Leap) != b/64 || int(h.Version) != b/8%8 || int(h.Mode) != b%8 {
			t.Errorf("%#02x is leap %d, version %d, mode %d, %v", b, h.Leap, h.Version, h.Mode, err)
		}
		if got := h.Append(nil); !bytes.Equal(got, packet) {
			t.Errorf("%#02x appended is %#02x", b, got[0])
		}
	}
	h := ntp.Header{Leap: 4 + 1, Version: 8 + 4, Mode: 8 + 3} // bits that have no place
	if got := h.Append(nil)[0]; got != 1<<6|4<<3|3 {
		t.Errorf("the first byte is %#02x, want the low bits alone", got)
	}
}

func TestParseErrors(t *testing.T) {
	for n := range 300 {
		h, err := ntp.Parse(bytes.Repeat([]byte{0xff}, n))
		if good := n >= 48 && n%4 == 0; good != (err == nil) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[ntp.LengthError](err); !ok || int(e) != n || h != (ntp.Header{}) {
			t.Errorf("%d bytes: %+v, %#v, want a LengthError", n, h, err)
		}
	}
	_, err := ntp.Parse([]byte("time?"))
	if want := "ntp: packet has 5 bytes, want at least 48 and a multiple of 4"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestNames(t *testing.T) {
	var got []string
	for l := range ntp.Leap(5) {
		got = append(got, l.String())
	}
	for m := range ntp.Mode(9) {
		got = append(got, m.String())
	}
	want := "none, insert, delete, unknown, Leap(4), reserved, symmetric active, symmetric passive, client, server, broadcast, control, private, Mode(8)"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got %s, want %s", text, want)
	}
}

func FuzzParse(f *testing.F) {
	packet := reply.Append(nil)
	f.Add([]byte{})
	f.Add(packet)
	f.Add(packet[:47])
	f.Add(append(bytes.Clone(packet), make([]byte, 20)...))
	f.Add(withField(append(bytes.Clone(packet), make([]byte, 28)...), 48, 28))
	f.Add(withField(append(bytes.Clone(packet), make([]byte, 40)...), 48, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, mac, ok := ntp.Trailer(b)
		if ntp.HasMAC(b) != (ok && mac > 0) {
			t.Fatalf("% x has a MAC: %v, and a trailer of %d fields, %d bytes of MAC, %v", b, ntp.HasMAC(b), fields, mac, ok)
		}
		if ok && len(b) < ntp.HeaderSize+16*fields+mac {
			t.Fatalf("% x has %d fields and %d bytes of MAC", b, fields, mac)
		}
		h, err := ntp.Parse(b)
		if (err == nil) != (len(b) >= ntp.HeaderSize && len(b)%4 == 0) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err != nil {
			return
		}
		again := h.Append(nil)
		if !bytes.Equal(again, b[:ntp.HeaderSize]) {
			t.Fatalf("% x parsed and appended is % x", b, again)
		}
		if twice, err := ntp.Parse(again); err != nil || twice != h {
			t.Fatalf("%+v appended and parsed is %+v, %v", h, twice, err)
		}
		if text, ok := h.ReferenceID.Text(); ok {
			if id, err := ntp.ParseReferenceID(text); err != nil || !bytes.HasPrefix(id[:], []byte(text)) {
				t.Fatalf("%q: %v, %v", text, id, err)
			}
		}
	})
}

// withField writes an extension field's length at an offset.
func withField(b []byte, at, length int) []byte {
	binary.BigEndian.PutUint16(b[at+2:], uint16(length))
	return b
}

func TestAllocs(t *testing.T) {
	var (
		buf    = make([]byte, 0, 2*ntp.HeaderSize)
		moment = at(t, "2026-11-21T09:29:09.25Z")
		signed = make([]byte, ntp.HeaderSize+24)
	)
	n := testing.AllocsPerRun(100, func() {
		h := reply
		h.Transmit = ntp.TimestampOf(moment)
		h.RootDispersion = ntp.ShortOf(1_000_000)
		buf = h.Append(buf[:0])
		got, err := ntp.Parse(buf)
		if err != nil || got != h || !got.Transmit.Near(moment).Equal(moment) || got.Receive.Sub(got.Transmit) == 0 {
			t.Fatal(got, err)
		}
		if !ntp.HasMAC(signed) {
			t.Fatal("no MAC")
		}
		if _, err := ntp.Parse(buf[:47]); err == nil {
			t.Fatal("47 bytes are a packet")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	packet := reply.Append(nil)
	for b.Loop() {
		if _, err := ntp.Parse(packet); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, ntp.HeaderSize)
	for b.Loop() {
		buf = reply.Append(buf[:0])
	}
}

func BenchmarkTimestampOf(b *testing.B) {
	b.ReportAllocs()
	moment := at(b, "2026-11-21T09:29:09.123456789Z")
	var s ntp.Timestamp
	for b.Loop() {
		s = ntp.TimestampOf(moment)
	}
	if !s.Near(moment).Equal(moment) {
		b.Fatal(s)
	}
}

func BenchmarkNear(b *testing.B) {
	b.ReportAllocs()
	pivot := at(b, "2026-11-21T09:29:09.123456789Z")
	s := ntp.TimestampOf(pivot)
	near := pivot
	for b.Loop() {
		near = s.Near(pivot)
	}
	if !near.Equal(pivot) {
		b.Fatal(near)
	}
}
