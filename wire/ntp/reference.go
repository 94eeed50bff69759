package ntp

import "fmt"

// A ReferenceID says what a clock is set by: at stratum 1 up to four letters, at stratum 0 a kiss code, beyond the
// upstream server's IPv4 address or a digest of its IPv6 one (RFC 5905, section 7.3, figures 12 and 13).
type ReferenceID [4]byte

// Kiss codes that ask something of a client (RFC 5905, section 7.4).
var (
	KissDeny     = ReferenceID{'D', 'E', 'N', 'Y'} // leave this server alone
	KissRestrict = ReferenceID{'R', 'S', 'T', 'R'} // likewise
	KissRate     = ReferenceID{'R', 'A', 'T', 'E'} // ask less often
)

// ParseReferenceID reads one to four printable ASCII characters.
func ParseReferenceID(text string) (id ReferenceID, err error) {
	if text == "" || len(text) > len(id) {
		return id, fmt.Errorf("ntp: reference ID %q has %d bytes, want 1 to 4", text, len(text))
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return id, fmt.Errorf("ntp: reference ID %q, want printable ASCII without spaces", text)
		}
	}
	copy(id[:], text)
	return id, nil
}

// Text returns the ID as letters, without the zeros (or, of some servers, spaces) behind them, and whether it can be read
// so.
func (id ReferenceID) Text() (string, bool) {
	n := 0
	for n < len(id) && ' ' < id[n] && id[n] <= '~' {
		n++
	}
	for _, c := range id[n:] {
		if c != 0 && c != ' ' {
			return "", false
		}
	}
	return string(id[:n]), n > 0
}

// Format returns the ID as a server of that stratum means it: letters at strata 0, 1 and from 16 up, where servers that
// are not synchronised say why; a dotted address from 2 to 15. Bytes that are no letters are hexadecimal there.
func (id ReferenceID) Format(stratum uint8) string {
	if 2 <= stratum && stratum <= 15 {
		return fmt.Sprintf("%d.%d.%d.%d", id[0], id[1], id[2], id[3])
	}
	if text, ok := id.Text(); ok {
		return text
	}
	return fmt.Sprintf("0x%x", id[:])
}

// Kiss returns the kiss code of a packet, and whether it has one: four letters at stratum 0. Codes that begin with X are
// somebody's experiment and count as none (RFC 5905, section 7.4).
func (h Header) Kiss() (ReferenceID, bool) {
	text, ok := h.ReferenceID.Text()
	return h.ReferenceID, ok && h.Stratum == 0 && len(text) == len(h.ReferenceID) && text[0] != 'X'
}
