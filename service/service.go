// Package service holds what is served: a [exchange.Handler] each for Time (RFC 868), Daytime (RFC 867), Echo (RFC 862)
// and NTP (RFC 5905). The handlers are pure: they read the request and its clock, and write the reply. They allocate nothing and
// may be used by any number of goroutines at once.
package service

import "fmt"

// A Kind is one of the services. Its zero value is [Time].
type Kind uint8

const (
	Time Kind = iota
	Daytime
	Echo
	NTP
	numKinds
)

// PortOffset is what is added to a service's well-known port by default, so that no privilege is needed: time is
// answered on port 12345.
const PortOffset = 12308

var kinds = [numKinds]struct {
	name string
	port uint16
}{
	Time:    {"time", 37},
	Daytime: {"daytime", 13},
	Echo:    {"echo", 7},
	NTP:     {"ntp", 123},
}

// Kinds returns all services in the order of their well-known ports.
func Kinds() []Kind { return []Kind{Echo, Daytime, Time, NTP} }

// String returns the service's name as the system's services file has it: "time", "daytime", "echo" or "ntp".
func (k Kind) String() string {
	if k < numKinds {
		return kinds[k].name
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// WellKnownPort returns the port that IANA assigned: 37, 13, 7 or 123.
func (k Kind) WellKnownPort() uint16 { return kinds[k].port }

// OverTCP tells whether the service has a standard over TCP: NTP has none.
func (k Kind) OverTCP() bool { return k != NTP }

// ParseKind finds a service by its name.
func ParseKind(name string) (Kind, error) {
	for _, k := range Kinds() {
		if k.String() == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("service: unknown service %q, want echo, daytime, time or ntp", name)
}
