package ask

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/yesterday-time/yesterday/service"
)

// A TargetError is a text that names no server, or a name or address in it that cannot be one.
type TargetError struct {
	Text    string // as given
	Problem string // what was seen, and what was wanted
}

func (e *TargetError) Error() string { return fmt.Sprintf("ask: %q: %s", e.Text, e.Problem) }

// A TooLongError tells of data that no datagram can hold. TCP has no such limit.
type TooLongError struct {
	Size int // bytes to send
	Most int // 65507 to an IPv4 address, 65527 to an IPv6 one
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("ask: %d bytes to send, want at most %d: a datagram holds no more", e.Size, e.Most)
}

// A ServerError tells why one address of a server could not be asked.
type ServerError struct {
	Server netip.AddrPort
	Err    error // from the system
}

func (e ServerError) Error() string { return e.Server.String() + ": " + reason(e.Err) }

// Unwrap returns what the system said.
func (e ServerError) Unwrap() error { return e.Err }

// A RefusedError tells that a host is there but nothing listens on the port: it refused the datagram (ICMP port
// unreachable) or the connection. Addresses that were out of reach altogether are among Servers too.
type RefusedError struct {
	Service   service.Kind
	Transport Transport
	Servers   []ServerError // all that were asked; at least one of them refused
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("ask: nothing listens for %v/%v there: %s", e.Service, e.Transport, listErrors(e.Servers))
}

// Unwrap returns the errors of the single addresses.
func (e *RefusedError) Unwrap() []error { return asErrors(e.Servers) }

// An UnreachableError tells that no address of a server is in reach, by what this host's system says.
type UnreachableError struct {
	Service   service.Kind
	Transport Transport
	Servers   []ServerError
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("ask: cannot ask for %v/%v: %s", e.Service, e.Transport, listErrors(e.Servers))
}

// Unwrap returns the errors of the single addresses.
func (e *UnreachableError) Unwrap() []error { return asErrors(e.Servers) }

// A NoReplyError tells that no good reply came: not in the time of all tries, or not before the context ended.
type NoReplyError struct {
	Service   service.Kind
	Transport Transport
	Servers   []netip.AddrPort // asked until the end
	Dropped   []ServerError    // refused or out of reach
	Attempts  int              // datagrams sent, or connections begun
	Took      time.Duration
	Strays    int    // replies that were not to what was sent, of an echo or of NTP
	Stray     []byte // the last of them
	Err       error  // the context's, where it ended the wait; else over TCP how the last connection failed, or nil
}

func (e *NoReplyError) Error() string {
	servers := make([]string, len(e.Servers))
	for i, s := range e.Servers {
		servers[i] = s.String()
	}
	what := "datagram"
	if e.Transport == TCP {
		what = "connection"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "ask: no reply for %v/%v from %s: ", e.Service, e.Transport, strings.Join(servers, " or "))
	if e.Transport == TCP {
		fmt.Fprintf(&b, "%s tried in %s", count(e.Attempts, what), round(e.Took))
	} else {
		fmt.Fprintf(&b, "%s sent in %s", count(e.Attempts, what), round(e.Took))
	}
	switch {
	case e.Strays > 0 && e.Service == service.NTP:
		fmt.Fprintf(&b, ", %s came back but none for what was sent, the last of %s", count(e.Strays, what), count(len(e.Stray), "byte"))
	case e.Strays > 0:
		fmt.Fprintf(&b, ", %s came back but not what was sent, the last %s", count(e.Strays, what), shown(e.Stray))
	case e.Transport == UDP:
		b.WriteString(", nothing came back")
	}
	if len(e.Dropped) > 0 {
		b.WriteString("; " + listErrors(e.Dropped))
	}
	if e.Err != nil {
		b.WriteString("; " + reason(e.Err))
	}
	return b.String()
}

// Unwrap returns Err.
func (e *NoReplyError) Unwrap() error { return e.Err }

// Timeout is true, as net.Error has it.
func (e *NoReplyError) Timeout() bool { return true }

func (e *NoReplyError) hasDropped(server netip.AddrPort) bool {
	for _, d := range e.Dropped {
		if d.Server == server {
			return true
		}
	}
	return false
}

// A BadReplyError is a reply that is no answer: for the time one that has not 4 bytes, for the daytime one that is empty
// or too long, for an echo over TCP one that is not what was sent.
type BadReplyError struct {
	Service   service.Kind
	Transport Transport
	Server    netip.AddrPort
	Raw       []byte // the reply, or where it was too long the first bytes of it
	Err       error  // what is wrong with it
}

func (e *BadReplyError) Error() string {
	return fmt.Sprintf("ask: bad reply for %v/%v from %v: %v", e.Service, e.Transport, e.Server, e.Err)
}

// Unwrap returns Err.
func (e *BadReplyError) Unwrap() error { return e.Err }

// reason is what the system said, without the layers of the net package, which name the addresses once more.
func reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	return err.Error()
}

func listErrors(list []ServerError) string {
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

func asErrors(list []ServerError) []error {
	errs := make([]error, len(list))
	for i, e := range list {
		errs[i] = e
	}
	return errs
}

// count is "1 datagram" or "3 datagrams".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// round leaves about two digits, which is what a person reads.
func round(d time.Duration) time.Duration {
	for unit := time.Duration(1); unit < time.Second; unit *= 10 {
		if d < 100*unit {
			return d.Round(unit)
		}
	}
	return d.Round(100 * time.Millisecond)
}
