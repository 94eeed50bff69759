package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
)

// serviceOf is the service that a command asks for: what --service says, or what the target's port names, or the one by
// default. It is one of kinds.
func serviceOf(server, flag string, byDefault service.Kind, kinds ...service.Kind) (service.Kind, error) {
	target, err := ask.ParseTarget(server)
	if err != nil {
		return 0, targetError(err)
	}
	var names []string
	for _, k := range kinds {
		names = append(names, k.String())
	}
	named, isNamed := target.Service()
	if flag == "" {
		switch {
		case !isNamed:
			return byDefault, nil
		case !slices.Contains(kinds, named):
			return 0, usagef("%v names %v, want %s or %s", target, named, strings.Join(names[:len(names)-1], ", "), names[len(names)-1])
		}
		return named, nil
	}
	if _, err := oneOf("--service", flag, names...); err != nil {
		return 0, err
	}
	kind, err := service.ParseKind(flag)
	if err != nil {
		return 0, usageError{err}
	}
	if isNamed && kind != named {
		return 0, usagef("--service %v: but %v names %v; want one of them, or the port by its number, %d", kind, target, named,
			named.WellKnownPort())
	}
	return kind, nil
}

// targetError tells bad use from failure.
func targetError(err error) error {
	text := errors.New(strings.TrimPrefix(err.Error(), "ask: "))
	if _, ok := errors.AsType[*ask.TargetError](err); ok {
		return usageError{text}
	}
	return text
}

// resolve finds the addresses that a target stands for.
func resolve(ctx context.Context, server string, kind service.Kind) ([]netip.AddrPort, error) {
	servers, err := new(ask.Client).Resolve(ctx, server, kind)
	if err != nil {
		return nil, targetError(err)
	}
	return servers, nil
}
