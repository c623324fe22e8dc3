package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// maxSocketPath is what a Unix socket's address holds, without its last zero (unix(7)).
const maxSocketPath = 107

// socketPath is where the agent answers `sb-agent status`.
func socketPath(dir, configured string) string {
	if configured != "" {
		return configured
	}
	return filepath.Join(dir, "agent.sock")
}

// atSocket does something with a name of path that fits into a socket's address. A longer
// path is named through its folder's descriptor (proc(5), /proc/pid/fd), which holds for
// as long as do runs.
func atSocket(path string, do func(short string) error) error {
	if len(path) <= maxSocketPath {
		return do(path)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return do(fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path)))
}
