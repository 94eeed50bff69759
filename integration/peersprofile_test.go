//go:build linux

package integration

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/yesterday-time/yesterday/integration/peers"
)

// samplesPerSecond of the core: often enough for a share to be right by a hundredth, seldom enough not to slow it down.
const samplesPerSecond = 1999

// recording is perf(1) recording what a core does, into a file, while the command that follows runs.
func recording(perf string, core int, file string) []string {
	return []string{perf, "record", "-C", strconv.Itoa(core), "-e", "cpu-clock", "-F", strconv.Itoa(samplesPerSecond), "-g", "-q", "-o", file, "--"}
}

// findPerf returns perf(1), if it is there and may look into the kernel.
func findPerf(ctx context.Context, core int, dir string) (string, error) {
	perf, err := exec.LookPath("perf")
	if err != nil {
		return "", fmt.Errorf("%w (Debian's linux-perf: make deps)", err)
	}
	argv := append(recording(perf, core, filepath.Join(dir, "perf")), "taskset", "-c", strconv.Itoa(core), "sleep", "0.01")
	if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("perf record: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return perf, nil
}

// profile saturates a peer once more and tells where the time of its core goes.
func (r *route) profile(ctx context.Context, perf string, p *peer, service string, load peers.Load, dir string) (peers.Parts, error) {
	file := filepath.Join(dir, "perf")
	if _, err := r.benchUnder(ctx, recording(perf, r.cores.server, file), p, service, load.Window, load.Single); err != nil {
		return peers.Parts{}, fmt.Errorf("perf record: %w", err)
	}
	var failed bytes.Buffer
	cmd := exec.CommandContext(ctx, perf, "script", "-i", file, "-F", "ip,sym")
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return peers.Parts{}, fmt.Errorf("perf script: %w: %s", err, strings.TrimSpace(failed.String()))
	}
	return peers.ReadParts(bytes.NewReader(out))
}
