package yesterday

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers is the order of the packages: each imports what stands above it, never below.
var layers = []string{
	"internal/nearest",
	"internal/cpus",
	"internal/ipv6",
	"internal/mmsg",
	"clock",
	"wire/rfc868",
	"wire/rfc867",
	"wire/ntp",
	"exchange",
	"internal/golden",
	"service",
	"guard",
	"fault",
	"lab",
	"udp",
	"tcp",
	".", // the Server
	"ask",
	"timetest",
	"internal/config",
	"internal/probe",
	"cmd/yesterday",
}

func TestLayers(t *testing.T) {
	const module = "github.com/yesterday-time/yesterday"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	layer := func(path string) int {
		rel := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if rel == "" {
			rel = "."
		}
		return slices.Index(layers, rel)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		paths := strings.Fields(line)
		at := layer(paths[0])
		if at < 0 {
			t.Errorf("%s has no place among the layers", paths[0])
			continue
		}
		seen++
		for _, imported := range paths[1:] {
			if imported != module && !strings.HasPrefix(imported, module+"/") {
				continue
			}
			if layer(imported) >= at {
				t.Errorf("%s imports %s, which does not stand above it", paths[0], imported)
			}
		}
	}
	if seen != len(layers) {
		t.Errorf("%d packages, and %d layers", seen, len(layers))
	}
}
