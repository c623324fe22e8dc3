package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// dataDir is a data directory that no other process uses meanwhile.
type dataDir struct {
	lock  *os.File
	fresh bool // nothing was ever stored in it
}

// openDataDir makes the directory if it is missing and locks it. One that a restore has not finished
// is refused.
func openDataDir(s settings) (*dataDir, error) {
	dir, err := lockDataDir(s)
	if err != nil {
		return nil, err
	}
	if err := wholeDataDir(s); err != nil {
		dir.close()
		return nil, err
	}
	return dir, nil
}

// lockDataDir makes the directory if it is missing and locks it, whatever is in it.
func lockDataDir(s settings) (*dataDir, error) {
	if err := os.MkdirAll(s.DataDir, 0o711); err != nil { // the user postgres passes through
		return nil, fmt.Errorf("SB_DATA_DIR: %w", err)
	}
	lock, err := os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("SB_DATA_DIR: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another sb-server uses %s: stop it, or set SB_DATA_DIR to another folder", s.DataDir)
	}
	_, err = os.Stat(s.path("nats"))
	return &dataDir{lock: lock, fresh: errors.Is(err, fs.ErrNotExist)}, nil
}

func (d *dataDir) close() { d.lock.Close() }

// leafAddr is where agents link: the configured address, or a free loopback port that
// is kept for the next start, because agents remember it.
func leafAddr(s settings) (string, error) {
	if s.LeafAddr != "" {
		return s.LeafAddr, nil
	}
	kept := s.path("leaf-addr")
	if text, err := os.ReadFile(kept); err == nil {
		return strings.TrimSpace(string(text)), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", err
	}
	return addr, writeFile(kept, []byte(addr+"\n"), 0o600)
}

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	return host
}
