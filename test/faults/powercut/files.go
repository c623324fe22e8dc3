package main

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or folder of the mount; go-fuse's own loopback does what has nothing to do with
// what files hold.
type node struct {
	fs.LoopbackNode
	disk *disk
}

var (
	_ fs.NodeOpener         = (*node)(nil)
	_ fs.NodeCreater        = (*node)(nil)
	_ fs.NodeSetattrer      = (*node)(nil)
	_ fs.NodeCopyFileRanger = (*node)(nil)
)

func (n *node) behind(name ...string) string {
	return filepath.Join(append([]string{n.RootData.Path, n.Path(n.Root())}, name...)...)
}

func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	f, err := os.OpenFile(n.behind(), int(flags)&^(os.O_APPEND|os.O_TRUNC|syscall.O_DIRECT|fuse.FMODE_EXEC), 0)
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	h := &handle{f, n.disk}
	if int(flags)&os.O_TRUNC != 0 {
		if err := h.truncate(0); err != nil {
			_ = f.Close()
			return nil, 0, fs.ToErrno(err)
		}
	}
	return h, 0, fs.OK
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	off := n.disk.off
	n.disk.mu.Unlock()
	if off {
		return nil, nil, 0, syscall.EIO
	}
	made, made2, _, errno := n.LoopbackNode.Create(ctx, name, flags&^uint32(os.O_TRUNC), mode, out)
	if errno != fs.OK {
		return nil, nil, 0, errno
	}
	_ = made2.(fs.FileReleaser).Release(ctx)
	f, err := os.OpenFile(n.behind(name), os.O_RDWR, 0)
	if err != nil {
		return nil, nil, 0, fs.ToErrno(err)
	}
	return made, &handle{f, n.disk}, 0, fs.OK
}

// Setattr takes sizes by the disk, and leaves the rest to go-fuse.
func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		h, open := f.(*handle)
		if !open {
			file, err := os.OpenFile(n.behind(), os.O_RDWR, 0)
			if err != nil {
				return fs.ToErrno(err)
			}
			defer file.Close()
			h = &handle{file, n.disk}
		}
		if err := h.truncate(int64(size)); err != nil {
			return fs.ToErrno(err)
		}
		in.Valid &^= fuse.FATTR_SIZE
	}
	return n.LoopbackNode.Setattr(ctx, nil, in, out)
}

// CopyFileRange would go past the disk.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// handle is an open file.
type handle struct {
	file *os.File
	disk *disk
}

var (
	_ fs.FileReader    = (*handle)(nil)
	_ fs.FileWriter    = (*handle)(nil)
	_ fs.FileFsyncer   = (*handle)(nil)
	_ fs.FileFlusher   = (*handle)(nil)
	_ fs.FileReleaser  = (*handle)(nil)
	_ fs.FileAllocater = (*handle)(nil)
)

func (h *handle) Read(_ context.Context, to []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return fuse.ReadResultFd(h.file.Fd(), off, len(to)), fs.OK
}

func (h *handle) Write(_ context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	var n int
	err := h.disk.change(h.file, off, off+int64(len(data)), func() (err error) {
		n, err = syscall.Pwrite(int(h.file.Fd()), data, off)
		return err
	})
	return uint32(n), fs.ToErrno(err)
}

func (h *handle) truncate(size int64) error {
	_, now, err := stat(h.file)
	if err != nil {
		return err
	}
	return h.disk.change(h.file, min(size, now), max(size, now), func() error { return syscall.Ftruncate(int(h.file.Fd()), size) })
}

// Allocate only makes a file longer; what it holds counts as written.
func (h *handle) Allocate(_ context.Context, off, size uint64, mode uint32) syscall.Errno {
	if mode != 0 {
		return syscall.EOPNOTSUPP
	}
	_, now, err := stat(h.file)
	if err != nil {
		return fs.ToErrno(err)
	}
	if int64(off+size) <= now {
		return fs.OK
	}
	return fs.ToErrno(h.truncate(int64(off + size)))
}

func (h *handle) Fsync(context.Context, uint32) syscall.Errno { return fs.ToErrno(h.disk.sync(h.file)) }

// Flush is a close of one of the descriptors, which makes nothing durable.
func (h *handle) Flush(context.Context) syscall.Errno { return fs.OK }

func (h *handle) Release(context.Context) syscall.Errno { return fs.ToErrno(h.file.Close()) }
