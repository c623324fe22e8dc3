package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/transparency"
)

// Source is what is backed up. Each function is called once, in this order.
type Source struct {
	Files   func(put func(name string, body []byte) error) error
	Rows    func(table Table, to io.Writer) (rows int64, err error) // once a table
	Commits func(take func(Commit) error) error                     // up to the head's, in order

	// Prove completes the manifest: the checkpoint of the tree, and what is known beside.
	Prove func(tree tlog.Tree, m *Manifest) error

	// MAC is the installation's own, over [Manifest.Vouched].
	MAC func(vouched []byte) ([]byte, error)
}

// Write writes a backup and returns what its manifest says. The memory that it needs does not grow
// with what is written. If it fails, what was written has no end and nothing reads it.
func Write(w io.Writer, to Recipients, head Head, from Source) (Manifest, error) {
	head.Format = Format
	if err := head.check(); err != nil {
		return Manifest{}, err
	}
	sealed, err := age.Encrypt(w, to.all...)
	if err != nil {
		return Manifest{}, fmt.Errorf("encrypt the backup: %w", err)
	}
	out := &writer{tar: tar.NewWriter(sealed), digest: sha256.New(), at: head.At}
	m, err := out.all(head, from)
	if err != nil {
		return Manifest{}, err
	}
	if err := out.tar.Close(); err != nil {
		return Manifest{}, fmt.Errorf("write the backup: %w", err)
	}
	if err := sealed.Close(); err != nil {
		return Manifest{}, fmt.Errorf("write the backup: %w", err)
	}
	return m, nil
}

type writer struct {
	tar    *tar.Writer
	digest hash.Hash
	at     time.Time
}

func (w *writer) all(head Head, from Source) (Manifest, error) {
	m := Manifest{Commits: head.Commits, Rows: map[string]int64{}, Files: []string{}}
	if err := w.document(headName, head); err != nil {
		return m, err
	}
	err := from.Files(func(name string, body []byte) error {
		if !local(name) {
			return fmt.Errorf("file %q is not within the data directory", name)
		}
		m.Files = append(m.Files, name)
		return w.entry(filesDir+name, body)
	})
	if err != nil {
		return m, fmt.Errorf("back up the keys: %w", err)
	}
	for _, t := range head.Tables {
		p := &pieces{to: w, dir: privateDir + t.Name + "/"}
		if m.Rows[t.Name], err = from.Rows(t, p); err == nil {
			err = p.flush()
		}
		if err != nil {
			return m, fmt.Errorf("back up table %s: %w", t.Name, err)
		}
	}
	tree, err := w.commits(head.Commits, from)
	if err != nil {
		return m, fmt.Errorf("back up the log: %w", err)
	}
	m.Root = tree.Hash
	if err := from.Prove(tree, &m); err != nil {
		return m, err
	}
	m.Digest = w.digest.Sum(nil)
	if m.MAC, err = from.MAC(m.Vouched()); err != nil {
		return m, fmt.Errorf("vouch for the backup: %w", err)
	}
	return m, w.document(manifestName, m)
}

// commits writes the log and grows its tree.
func (w *writer) commits(upto events.Seq, from Source) (tlog.Tree, error) {
	var tree transparency.Frontier
	p := &pieces{to: w, dir: logDir}
	lines := json.NewEncoder(p)
	err := from.Commits(func(c Commit) error {
		if want := transparency.SeqOf(tree.Size()); c.Seq != want {
			return fmt.Errorf("commit %d came where %d was next", c.Seq, want)
		}
		tree.Append(transparency.LeafHash(c.Data))
		return lines.Encode(c)
	})
	if err == nil {
		err = p.flush()
	}
	if err == nil && events.Seq(tree.Size()) != upto {
		err = fmt.Errorf("it ended at %d, and %d commits were there", tree.Size(), upto)
	}
	return tree.Tree(), err
}

func (w *writer) document(name string, doc any) error {
	raw, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	return w.entry(name, append(raw, '\n'))
}

func (w *writer) entry(name string, body []byte) error {
	if len(body) > maxEntry {
		return fmt.Errorf("%s has %d bytes, and no entry has more than %d", name, len(body), maxEntry)
	}
	digested(w.digest, name, body)
	err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(body)), Mode: 0o600, ModTime: w.at.Truncate(time.Second)})
	if err == nil {
		_, err = w.tar.Write(body)
	}
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

// digested adds an entry to a digest: the lengths keep name and body apart.
func digested(to hash.Hash, name string, body []byte) {
	var lengths [16]byte
	binary.BigEndian.PutUint64(lengths[:8], uint64(len(name)))
	binary.BigEndian.PutUint64(lengths[8:], uint64(len(body)))
	to.Write(lengths[:])
	to.Write([]byte(name))
	to.Write(body)
}

// pieces writes a stream as entries of about [pieceBytes] each.
type pieces struct {
	to     *writer
	dir    string
	number int
	buf    bytes.Buffer
}

// Write implements [io.Writer].
func (p *pieces) Write(b []byte) (int, error) {
	p.buf.Write(b)
	if p.buf.Len() < pieceBytes {
		return len(b), nil
	}
	return len(b), p.flush()
}

func (p *pieces) flush() error {
	if p.buf.Len() == 0 {
		return nil
	}
	p.number++
	err := p.to.entry(pieceName(p.dir, p.number), p.buf.Bytes())
	p.buf.Reset()
	return err
}

func pieceName(dir string, number int) string { return fmt.Sprintf("%s%08d", dir, number) }
