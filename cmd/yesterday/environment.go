package main

import (
	"os"
	"regexp"
	"slices"

	"github.com/alecthomas/kong"
)

// fromEnvironment is a message about flags, with the variables that set those which the command line did not.
func fromEnvironment(command *kong.Context, message string) string {
	said := func(f *kong.Flag) bool {
		return slices.ContainsFunc(command.Path, func(p *kong.Path) bool { return p.Flag == f })
	}
	for _, f := range command.Flags() {
		if said(f) || !regexp.MustCompile(`--`+regexp.QuoteMeta(f.Name)+`\b[^-]`).MatchString(message+" ") {
			continue
		}
		for _, name := range f.Envs {
			if os.Getenv(name) != "" {
				message += " (--" + f.Name + " comes from $" + name + ")"
				break
			}
		}
	}
	return message
}
