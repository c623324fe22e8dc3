package main

import "path/filepath"

// socketPath is where the agent answers `sb-agent status`.
func socketPath(dir, configured string) string {
	if configured != "" {
		return configured
	}
	return filepath.Join(dir, "agent.sock")
}
