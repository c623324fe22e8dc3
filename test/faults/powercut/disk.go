package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
)

// pageSize is what a disk is taken to write whole.
const pageSize = 4096

// inode names a file of the folder behind, whatever its name is.
type inode struct{ dev, ino uint64 }

// unsynced is what a file was when it was last synced, where it has changed since.
type unsynced struct {
	file  *os.File // the file itself, also when it has no name any more
	size  int64
	pages map[int64][]byte // by number; nil for one that lay beyond the end
}

// disk keeps what a power cut would take back. Names of files, their owners and modes are not
// part of that: they count at once, as on a file system with a journal.
type disk struct {
	mu    sync.Mutex
	off   bool // since a cut: nothing is written
	files map[inode]*unsynced
	syncs int
}

func newDisk() *disk { return &disk{files: map[inode]*unsynced{}} }

// change does what changes a file from offset from to before offset to, after noting what was there.
func (d *disk) change(f *os.File, from, to int64, do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return syscall.EIO
	}
	if err := d.note(f, from, to); err != nil {
		return err
	}
	return do()
}

func (d *disk) note(f *os.File, from, to int64) error {
	id, size, err := stat(f)
	if err != nil {
		return err
	}
	u := d.files[id]
	if u == nil {
		own, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		u = &unsynced{file: own, size: size, pages: map[int64][]byte{}}
		d.files[id] = u
	}
	for page := from / pageSize; page*pageSize < to; page++ {
		if _, noted := u.pages[page]; noted {
			continue
		}
		at := page * pageSize
		if at >= u.size {
			u.pages[page] = nil
			continue
		}
		before := make([]byte, min(pageSize, u.size-at))
		if _, err := u.file.ReadAt(before, at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		u.pages[page] = before
	}
	return nil
}

// sync makes what a file is now what a cut leaves.
func (d *disk) sync(f *os.File) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return syscall.EIO
	}
	d.syncs++
	id, _, err := stat(f)
	if err != nil {
		return err
	}
	if u := d.files[id]; u != nil {
		delete(d.files, id)
		return u.file.Close()
	}
	return nil
}

// cut takes the power away. Of the pages that were not synced, each is lost or, with a random
// source, each may have reached the disk by itself: no order is kept.
func (d *disk) cut(random *rand.Rand) (files, pages int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	ids := make([]inode, 0, len(d.files))
	for id := range d.files {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b inode) int { return cmp.Compare(a.ino, b.ino) }) // a seed is to say what happens
	for _, id := range ids {
		lost, err := d.files[id].lose(random)
		if err != nil {
			return files, pages, err
		}
		if lost > 0 {
			files++
		}
		pages += lost
		delete(d.files, id)
	}
	return files, pages, nil
}

func (u *unsynced) lose(random *rand.Rand) (lost int, err error) {
	defer u.file.Close()
	_, now, err := stat(u.file)
	if err != nil {
		return 0, err
	}
	if now < u.size { // it was cut short, and that was not synced
		if err := u.file.Truncate(u.size); err != nil {
			return 0, err
		}
	}
	numbers := make([]int64, 0, len(u.pages))
	for page := range u.pages {
		numbers = append(numbers, page)
	}
	slices.Sort(numbers)
	end := u.size
	for _, page := range numbers {
		at := page * pageSize
		if random != nil && random.IntN(2) == 0 {
			end = max(end, min(at+pageSize, now)) // this one had been written
			continue
		}
		lost++
		before := make([]byte, pageSize) // zeros where there was nothing
		kept := copy(before, u.pages[page])
		if at < u.size {
			before = before[:kept]
		}
		if _, err := u.file.WriteAt(before, at); err != nil {
			return lost, err
		}
	}
	return lost, u.file.Truncate(end)
}

// on gives the power back.
func (d *disk) on() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = false
}

func stat(f *os.File) (id inode, size int64, err error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return inode{}, 0, err
	}
	return inode{st.Dev, st.Ino}, st.Size, nil
}
