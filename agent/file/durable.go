package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"secretsbridge/agent"
)

// tempPrefix begins the name of a file that is still being written.
const tempPrefix = ".tmp-"

// readBounded reads a whole file of at most maxFile bytes.
func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s is larger than any file of this store", path)
	}
	return content, nil
}

// writeNew writes a file that must not exist, for its owner only, and makes it last.
func writeNew(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory last.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// makeFolder makes the folder of a secret that has no version yet. It is made to last
// also if it is there: a writer may have crashed before doing so.
func (p *Provider) makeFolder(folder string) error {
	if err := p.step("make folder"); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := p.step("sync folder's parent"); err != nil {
		return err
	}
	return syncDir(filepath.Dir(folder))
}

// replace puts content under name in one step: others see the old file or the new one,
// also after a power cut. A failed one leaves its temporary file to the next prune.
func (p *Provider) replace(folder, name string, content []byte) error {
	if err := p.step("write " + name); err != nil {
		return err
	}
	temp, err := os.CreateTemp(folder, tempPrefix+"*") // mode 0600
	if err != nil {
		return err
	}
	defer temp.Close()
	half := len(content) / 2
	if _, err := temp.Write(content[:half]); err != nil {
		return err
	}
	if err := p.step("write the rest of " + name); err != nil {
		return err
	}
	if _, err := temp.Write(content[half:]); err != nil {
		return err
	}
	if err := p.step("sync " + name); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := p.step("rename " + name); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), filepath.Join(folder, name)); err != nil {
		return err
	}
	if err := p.step("sync folder after " + name); err != nil {
		return err
	}
	return syncDir(folder)
}

// lock makes the caller the only writer, among the goroutines of this process by a
// token and among processes by flock, which the system gives back if we die.
func (p *Provider) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case p.writer <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: wait for another writer: %w", agent.ErrUnavailable, ctx.Err())
	}
	file, err := p.flock(ctx)
	if err != nil {
		<-p.writer
		return nil, fmt.Errorf("%w: lock the store: %w", agent.ErrUnavailable, err)
	}
	return func() {
		_ = file.Close() // gives the lock back
		<-p.writer
	}, nil
}

// flock asks again and again, because waiting inside the system call could not be
// ended by ctx. A write takes about as long as the longest pause.
func (p *Provider) flock(ctx context.Context) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(p.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	const longestPause = 10 * time.Millisecond
	for pause := time.Millisecond; ; pause = min(2*pause, longestPause) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			_ = file.Close()
			return nil, ctx.Err()
		}
	}
}
