package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/transparency"
)

// Sink takes what a backup holds, in its order. A nil function leaves that part out.
type Sink struct {
	Head   func(Head) error
	File   func(name string, body []byte) error
	Table  func(Table) (io.WriteCloser, error) // closed after the table's last row
	Commit func(Commit) error

	// Roots are of the trees of some sizes: whoever asks gives the sizes, and finds those that the
	// log reaches filled in.
	Roots map[int64]tlog.Hash
}

// Read reads a backup to its end and proves that it is whole: that nothing was cut off, changed or
// added since it was written, and that the log's own key signed the tree of its commits. What a
// sink took counts only if Read returns no error. The MAC is the caller's to check.
func Read(r io.Reader, with Identities, into Sink) (Head, Manifest, error) {
	opened, err := age.Decrypt(r, with.all...)
	var other *age.NoIdentityMatchError
	switch {
	case errors.As(err, &other):
		return Head{}, Manifest{}, errors.New("the backup is for other recipients than this identity's")
	case err != nil:
		return Head{}, Manifest{}, fmt.Errorf("%w: it is not an age file, or not a whole one: %w", ErrDamaged, err)
	}
	in := &reader{tar: tar.NewReader(bufio.NewReaderSize(opened, 1<<20)), sink: into, rest: opened, kept: map[int64]tlog.Hash{}}
	if err := in.all(); err != nil {
		return in.head, in.manifest, err
	}
	return in.head, in.manifest, in.prove()
}

type reader struct {
	tar  *tar.Reader
	rest io.Reader
	sink Sink

	entry    entry
	head     Head
	manifest Manifest
	files    []string
	tree     transparency.Frontier

	kept map[int64]tlog.Hash // by sizes of the head's checkpoints, roots of that many of the commits
}

// entry is what was read last.
type entry struct {
	name string
	body []byte
}

func (r *reader) next() error {
	e := &r.entry
	header, err := r.tar.Next()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it ends after %q", ErrDamaged, e.name)
	}
	if err != nil {
		return fmt.Errorf("%w: after %q: %w", ErrDamaged, e.name, err)
	}
	if header.Typeflag != tar.TypeReg || header.Size > maxEntry {
		return fmt.Errorf("%w: entry %q is no file of at most %d bytes", ErrDamaged, header.Name, maxEntry)
	}
	body, err := io.ReadAll(r.tar)
	if err != nil {
		return fmt.Errorf("%w: in %q: %w", ErrDamaged, header.Name, err)
	}
	e.name, e.body = header.Name, body
	return nil
}

func (r *reader) all() error {
	sum := sha256.New()
	if err := r.next(); err != nil {
		return err
	}
	e := &r.entry
	if e.name != headName {
		return fmt.Errorf("%w: it begins with %q", ErrDamaged, e.name)
	}
	if err := decodeStrict(bytes.NewReader(e.body), &r.head); err != nil {
		return headError(e.body, err)
	}
	if err := r.head.check(); err != nil {
		return err
	}
	for _, text := range r.head.Kept {
		kept, _, err := transparency.ReadCheckpoint([]byte(text))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		r.kept[kept.N] = tlog.Hash{}
	}
	if r.sink.Head != nil {
		if err := r.sink.Head(r.head); err != nil {
			return err
		}
	}
	advance := func() error {
		digested(sum, e.name, e.body)
		return r.next()
	}
	if err := advance(); err != nil {
		return err
	}
	for strings.HasPrefix(e.name, filesDir) {
		if err := r.file(strings.TrimPrefix(e.name, filesDir), e.body); err != nil {
			return err
		}
		if err := advance(); err != nil {
			return err
		}
	}
	for _, t := range r.head.Tables {
		if err := r.table(t, advance); err != nil {
			return err
		}
	}
	for number := 1; e.name == pieceName(logDir, number); number++ {
		if err := r.commits(e.body); err != nil {
			return err
		}
		if err := advance(); err != nil {
			return err
		}
	}
	if e.name != manifestName {
		return fmt.Errorf("%w: %q is out of its order", ErrDamaged, e.name)
	}
	if err := decodeStrict(bytes.NewReader(e.body), &r.manifest); err != nil {
		return err
	}
	if !bytes.Equal(r.manifest.Digest, sum.Sum(nil)) || fmt.Sprint(r.manifest.Files) != fmt.Sprint(r.files) {
		return fmt.Errorf("%w: its manifest is of something else", ErrDamaged)
	}
	if _, err := r.tar.Next(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its manifest", ErrDamaged)
	}
	// age tells only at the end of its last chunk that nothing was cut off.
	if _, err := io.Copy(io.Discard, r.rest); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// headError says that a head is of another format, where its fields are not known.
func headError(body []byte, err error) error {
	var h struct {
		Format  int    `json:"format"`
		Version string `json:"version"`
	}
	if json.Unmarshal(body, &h) == nil && h.Format != Format {
		return Head{Format: h.Format, Version: h.Version}.check()
	}
	return err
}

func (r *reader) file(name string, body []byte) error {
	if !local(name) {
		return fmt.Errorf("%w: file %q is not within the data directory", ErrDamaged, name)
	}
	r.files = append(r.files, name)
	if r.sink.File == nil {
		return nil
	}
	return r.sink.File(name, body)
}

// table hands the pieces of one table on. One without rows has none.
func (r *reader) table(t Table, advance func() error) (err error) {
	var to io.WriteCloser
	if r.sink.Table != nil {
		if to, err = r.sink.Table(t); err != nil {
			return err
		}
	}
	e := &r.entry
	for number := 1; e.name == pieceName(privateDir+t.Name+"/", number) && err == nil; number++ {
		if to != nil {
			if _, err = to.Write(e.body); err != nil {
				err = fmt.Errorf("restore table %s: %w", t.Name, err)
			}
		}
		if err == nil {
			err = advance()
		}
	}
	if to != nil {
		if closed := to.Close(); err == nil && closed != nil {
			err = fmt.Errorf("restore table %s: %w", t.Name, closed)
		}
	}
	return err
}

func (r *reader) commits(body []byte) error {
	lines := json.NewDecoder(bytes.NewReader(body))
	lines.DisallowUnknownFields()
	for lines.More() {
		var c Commit
		if err := lines.Decode(&c); err != nil {
			return fmt.Errorf("%w: after commit %d: %w", ErrDamaged, r.tree.Size(), err)
		}
		if want := transparency.SeqOf(r.tree.Size()); c.Seq != want {
			return fmt.Errorf("%w: commit %d comes where %d is next", ErrDamaged, c.Seq, want)
		}
		r.tree.Append(transparency.LeafHash(c.Data))
		if _, asked := r.sink.Roots[r.tree.Size()]; asked {
			r.sink.Roots[r.tree.Size()] = r.tree.Tree().Hash
		}
		if _, kept := r.kept[r.tree.Size()]; kept {
			r.kept[r.tree.Size()] = r.tree.Tree().Hash
		}
		if r.sink.Commit != nil {
			if err := r.sink.Commit(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// prove compares the tree that was read with what the log's key signed.
func (r *reader) prove() error {
	head, m, tree := r.head, r.manifest, r.tree.Tree()
	if tree.N != int64(head.Commits) || m.Commits != head.Commits || tree.Hash != m.Root {
		return fmt.Errorf("%w: it has %d commits of root %s, and says %d of root %s", ErrDamaged, tree.N, tree.Hash, m.Commits, m.Root)
	}
	if tree.N == 0 {
		return nil // nothing was ever signed
	}
	verifiers, err := transparency.NewVerifiers(m.Keys...)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	signed, origin, err := verifiers.Open([]byte(m.Signed))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if signed != tree || origin != head.Origin {
		return fmt.Errorf("%w: what was signed is another tree than that of its commits", ErrDamaged)
	}
	for _, text := range head.Kept {
		kept, origin, err := verifiers.Open([]byte(text))
		if err != nil {
			return fmt.Errorf("%w: a checkpoint: %w", ErrDamaged, err)
		}
		if kept.N > tree.N || kept.Hash != r.kept[kept.N] || origin != head.Origin {
			return fmt.Errorf("%w: its checkpoint of %d commits is of another log", ErrDamaged, kept.N)
		}
	}
	return nil
}
