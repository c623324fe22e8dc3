// Package harden takes from a process what could carry plaintext out of it.
package harden

import (
	"fmt"
	"syscall"
)

// NoCore forbids core dumps for good, in this process and those that it starts: a dump
// would write every value and key in memory to the disk.
func NoCore() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}
