package leaks

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// The flags of a page in /proc/PID/pagemap (proc_pid_pagemap(5)).
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
)

// Memory looks at every page of another process that is in memory or swapped out: its
// heap, its stacks, what it shares. It returns how many bytes it read. The caller may
// trace the process (ptrace(2)): root, or an ancestor of the same user.
//
// Registers and what the kernel holds of the process, such as unread bytes of a socket,
// are not among it.
func (s *Search) Memory(pid int) (hits []Hit, read int64, err error) {
	regions, err := regionsOf(pid)
	if err != nil {
		return nil, 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	defer memory.Close()
	pages, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		return nil, 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	defer pages.Close()
	for _, r := range regions {
		runs, err := r.resident(pages)
		if err != nil {
			return hits, read, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		where := fmt.Sprintf("process %d, %s", pid, r.name)
		for _, run := range runs {
			found, n, err := s.Reader(where, &window{memory, run.from, run.to})
			for _, h := range found {
				h.Offset += run.from
				hits = append(hits, h)
			}
			read += n
			if err != nil && !gone(err) {
				return hits, read, fmt.Errorf("memory of process %d: %w", pid, err)
			}
		}
	}
	if read == 0 {
		return hits, 0, fmt.Errorf("memory of process %d: nothing can be read", pid)
	}
	return hits, read, nil
}

// gone reports whether a page went away between looking and reading.
func gone(err error) bool { return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EFAULT) }

// region is a line of /proc/PID/maps.
type region struct {
	from, to int64
	name     string
}

func regionsOf(pid int) ([]region, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []region
	for lines := bufio.NewScanner(file); lines.Scan(); {
		r := region{name: "anonymous"}
		fields := strings.Fields(lines.Text())
		if len(fields) > 5 {
			r.name = fields[5]
		}
		// The kernel's own pages cannot be read from outside, and hold nothing of ours.
		if fields[1][0] != 'r' || strings.HasPrefix(r.name, "[v") {
			continue
		}
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &r.from, &r.to); err != nil {
			return nil, fmt.Errorf("line %q: %w", lines.Text(), err)
		}
		all = append(all, r)
	}
	return all, nil
}

// resident returns the parts of a region that have content, as regions.
func (r region) resident(pages *os.File) ([]region, error) {
	flags := make([]byte, (r.to-r.from)/pageSize*8)
	if n, err := pages.ReadAt(flags, r.from/pageSize*8); err != nil {
		if n == 0 {
			return nil, nil // the region is gone
		}
		return nil, err
	}
	var runs []region
	for at := r.from; at < r.to; at += pageSize {
		flag := binary.NativeEndian.Uint64(flags[(at-r.from)/pageSize*8:])
		switch last := len(runs) - 1; {
		case flag&(pagePresent|pageSwapped) == 0:
		case last >= 0 && runs[last].to == at:
			runs[last].to += pageSize
		default:
			runs = append(runs, region{from: at, to: at + pageSize, name: r.name})
		}
	}
	return runs, nil
}

// window reads from a part of a file.
type window struct {
	file     *os.File
	from, to int64
}

func (w *window) Read(p []byte) (int, error) {
	if w.from >= w.to {
		return 0, io.EOF
	}
	n, err := w.file.ReadAt(p[:min(int64(len(p)), w.to-w.from)], w.from)
	w.from += int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, err
}
