package ntp

import "encoding/binary"

const (
	cryptoNAK    = 4      // a key's number of zero: the MAC was wrong
	minExtension = 16     // bytes of an extension field
	minMAC       = 4 + 16 // a key's number and the shortest digest
	maxMAC       = 4 + 20
	minOldMAC    = 4 + 8  // up to version 3, which has no extension fields: that of DES (RFC 1305, appendix C)
	maxOldMAC    = 4 + 68 // and Microsoft's, with flags and two digests
)

// Trailer tells what follows the header of a packet: how many extension fields, and how many bytes of MAC, a key's number
// and a digest, or the 4 bytes of a crypto-NAK (RFC 5905, sections 7.3 and 7.5; RFC 7822, section 7.5). It is not ok where
// the bytes are neither, or too few for a header. It looks at lengths alone.
func Trailer(b []byte) (fields, mac int, ok bool) {
	if len(b) < HeaderSize {
		return 0, 0, false
	}
	rest := b[HeaderSize:]
	if version := b[0] >> 3 & 7; version < 4 {
		n := len(rest)
		return 0, n, n == 0 || n == cryptoNAK || minOldMAC <= n && n <= maxOldMAC && n%4 == 0
	}
	for len(rest) > maxMAC { // so much is no MAC: an extension field, which begins with its type and its length
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if n < minExtension || n%4 != 0 || n > len(rest) {
			return fields, 0, false
		}
		rest = rest[n:]
		fields++
	}
	switch n := len(rest); n {
	case 0, cryptoNAK, minMAC, maxMAC:
		return fields, n, true
	}
	return fields, 0, false
}

// HasMAC tells whether a packet ends in a MAC, or in a crypto-NAK, as [Trailer] tells them.
func HasMAC(b []byte) bool {
	_, mac, ok := Trailer(b)
	return ok && mac > 0
}
