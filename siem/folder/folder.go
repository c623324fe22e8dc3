// Package folder writes records into files of one folder, one a line.
//
// A file is named for the first fact in it and its day, so names sort as the log does, and for its
// format: audit-00000000000000184211-20261128.cloudevents.jsonl. Another begins with another day
// (UTC, of the fact), above [MaxFile] bytes, and with another format. What was written once is
// never changed, and written once only: the last line says where to go on.
package folder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"secretsbridge/events"
	"secretsbridge/siem"
)

// MaxFile is from how many bytes on another file begins.
const MaxFile = 64 << 20

// longestLine bounds a line: a commit of the longest, with what records add to it, and escaped.
const longestLine = 8 << 20

const (
	fileMode   = 0o600
	folderMode = 0o700
	lockName   = ".lock"
	originName = ".log"
)

var (
	// ErrInUse says that another process writes to the folder.
	ErrInUse = errors.New("another process writes to the folder of the audit")

	// ErrForeign says that the folder holds facts of another log.
	ErrForeign = errors.New("the folder holds facts of another log; give this one a folder of its own")

	// ErrDamaged says that the end of the newest file is no record.
	ErrDamaged = errors.New("the end of a file of the audit is no record; move the file elsewhere")
)

var extensions = map[siem.Format]string{siem.CloudEvents: ".cloudevents.jsonl", siem.OCSF: ".ocsf.jsonl", siem.CEF: ".cef"}

// Folder is a sink. One goroutine at a time uses it, and one process.
type Folder struct {
	Dir    string
	Format siem.Format

	// Origin returns what no other log has, such as the hash of its first commit.
	Origin func(context.Context) (string, error)

	Max int64 // of a file, in bytes; 0 is [MaxFile]

	lock   *os.File // nil: it is not open
	file   *os.File // nil: none was begun
	size   int64
	day    string
	last   place
	buffer []byte
}

// place is where a record stands; the zero place is before all.
type place struct {
	seq   events.Seq
	place int
}

func (p place) before(r siem.Record) bool {
	return p.seq < r.Seq || p.seq == r.Seq && p.place < r.Place
}

// Check makes the folder if there is none, and tries whether it can be written to.
func Check(dir string) error {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// Write appends the records that are not there yet. Nothing of it is sure before [Folder.Settle].
// Errors: [ErrInUse], [ErrForeign], [ErrDamaged], and those of files.
func (f *Folder) Write(ctx context.Context, records []siem.Record) error {
	if f.lock == nil {
		if err := f.open(ctx); err != nil {
			f.Close()
			return fmt.Errorf("open the folder of the audit %s: %w", f.Dir, err)
		}
	}
	if err := f.write(records); err != nil {
		f.Close() // what stands at the end is looked at again
		return fmt.Errorf("write to the folder of the audit: %w", err)
	}
	return nil
}

func (f *Folder) write(records []siem.Record) error {
	f.buffer = f.buffer[:0]
	for _, r := range records {
		if place := (place{r.Seq, r.Place}); !f.last.before(r) {
			continue
		} else if err := f.rotate(r); err != nil {
			return err
		} else {
			f.last = place
		}
		line, err := f.Format.Append(f.buffer, r, 0)
		if err != nil {
			return err
		}
		f.buffer = append(line, '\n')
	}
	return f.flush()
}

func (f *Folder) flush() error {
	if len(f.buffer) == 0 {
		return nil
	}
	n, err := f.file.Write(f.buffer)
	f.size += int64(n)
	f.buffer = f.buffer[:0]
	return err
}

// rotate begins another file where a record belongs into another.
func (f *Folder) rotate(r siem.Record) error {
	most := f.Max
	if most == 0 {
		most = MaxFile
	}
	day := r.Time.UTC().Format("20060102")
	if f.file != nil && day <= f.day && f.size+int64(len(f.buffer)) < most {
		return nil
	}
	if err := errors.Join(f.flush(), f.finish()); err != nil {
		return err
	}
	name := fmt.Sprintf("audit-%020d-%s%s", r.Seq, day, extensions[f.Format])
	if r.Place > 0 { // the day, or the bound, came in the middle of a commit
		name = fmt.Sprintf("audit-%020d.%03d-%s%s", r.Seq, r.Place, day, extensions[f.Format])
	}
	file, err := os.OpenFile(filepath.Join(f.Dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, fileMode)
	if err != nil {
		return err
	}
	f.file, f.size, f.day = file, 0, day
	return syncFolder(f.Dir)
}

// finish has what the file holds on disk, and closes it.
func (f *Folder) finish() error {
	if f.file == nil {
		return nil
	}
	err := errors.Join(f.file.Sync(), f.file.Close())
	f.file = nil
	return err
}

// Settle has everything on disk.
func (f *Folder) Settle(context.Context) error {
	if f.file == nil {
		return nil
	}
	if err := f.file.Sync(); err != nil {
		f.Close()
		return fmt.Errorf("sync a file of the audit: %w", err)
	}
	return nil
}

// Close gives the folder back.
func (f *Folder) Close() {
	if f.file != nil {
		_ = f.file.Close()
	}
	if f.lock != nil {
		_ = f.lock.Close()
	}
	f.file, f.lock, f.size, f.day, f.last, f.buffer = nil, nil, 0, "", place{}, f.buffer[:0]
}

// open takes the folder, proves that it is of this log, and finds where it ends.
func (f *Folder) open(ctx context.Context) error {
	if err := os.MkdirAll(f.Dir, folderMode); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(f.Dir, lockName), os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	f.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	if err := f.prove(ctx); err != nil {
		return err
	}
	names, err := f.names()
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(names) {
		empty, err := f.resume(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !empty {
			return nil
		}
	}
	return nil
}

// prove compares the log with that of the folder, which a fresh folder gets.
func (f *Folder) prove(ctx context.Context) error {
	origin, err := f.Origin(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(f.Dir, originName)
	told, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	case strings.TrimSpace(string(told)) != origin:
		return ErrForeign
	default:
		return nil
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, []byte(origin+"\n"), fileMode); err != nil {
		return err
	}
	return errors.Join(os.Rename(fresh, path), syncFolder(f.Dir))
}

// names are the files of the folder in the order of the log.
func (f *Folder) names() (all []string, err error) {
	entries, err := os.ReadDir(f.Dir)
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), "audit-") && formatOf(e.Name()) != "" {
			all = append(all, e.Name())
		}
	}
	slices.Sort(all)
	return all, err
}

func formatOf(name string) siem.Format {
	for format, extension := range extensions {
		if strings.HasSuffix(name, extension) {
			return format
		}
	}
	return ""
}

// resume looks where a file ends, and goes on in it if it is of the same format. What a crash left
// of a last line goes: it was never settled. A file without a whole line is removed.
func (f *Folder) resume(name string) (empty bool, err error) {
	path := filepath.Join(f.Dir, name)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer file.Close()
	line, end, err := lastLine(file)
	if err != nil {
		return false, err
	}
	if line == nil {
		return true, errors.Join(os.Remove(path), syncFolder(f.Dir))
	}
	if f.last.seq, f.last.place, err = formatOf(name).At(line); err != nil {
		return false, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := file.Truncate(end); err != nil {
		return false, err
	}
	if err := file.Sync(); err != nil { // what was read may be in memory alone
		return false, err
	}
	if formatOf(name) != f.Format {
		return false, nil
	}
	f.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	f.size, f.day = end, dayOf(name)
	return false, err
}

// dayOf is the day in the name of a file.
func dayOf(name string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(name, "audit-"), "-")
	day, _, _ := strings.Cut(rest, ".")
	return day
}

// lastLine returns the last whole line of a file, and where it ends; nil if there is none.
func lastLine(file *os.File) (line []byte, end int64, err error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, err
	}
	tail := make([]byte, min(size, longestLine))
	if _, err := file.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	last := bytes.LastIndexByte(tail, '\n')
	if last < 0 {
		if size > longestLine {
			return nil, 0, ErrDamaged
		}
		return nil, 0, nil
	}
	begin := bytes.LastIndexByte(tail[:last], '\n') + 1
	return tail[begin:last], size - int64(len(tail)) + int64(last) + 1, nil
}

// syncFolder has the names in a folder on disk.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
