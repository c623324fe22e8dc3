package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/transparency"
	"secretsbridge/web/api"
)

// fakeAudit is a log, with what is signed of it.
type fakeAudit struct {
	signing, verifying string
	before             string // the key that was rotated, while it signs as well
	commits            [][]byte
	hashes             []tlog.Hash
	lent               map[int][]byte // by sequence, what is served in place of a commit
	pages              int            // of commits that were asked for
}

const fakeOrigin = "secrets-bridge/fake"

// ReadHashes implements [tlog.HashReader].
func (l *fakeAudit) ReadHashes(indexes []int64) (read []tlog.Hash, err error) {
	for _, at := range indexes {
		read = append(read, l.hashes[at])
	}
	return read, nil
}

// ReadTiles implements [transparency.Tiles].
func (l *fakeAudit) ReadTiles(_ context.Context, tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		one, err := tlog.ReadTileData(tile, l)
		if err != nil {
			return nil, err
		}
		data = append(data, one)
	}
	return data, nil
}

func (l *fakeAudit) add(fact events.Fact, stream events.Stream) error {
	n := len(l.commits) + 1
	raw, err := events.Encode([]events.Event{{
		ID: events.EventID(fmt.Sprintf("c_%d.0", n)), Stream: stream, Time: time.Unix(int64(n), 0), Actor: "user:u_1",
		Correlation: "c_1", Command: events.CommandID(fmt.Sprintf("c_%d", n)), Fact: fact,
	}})
	if err != nil {
		return err
	}
	return l.put(raw)
}

func (l *fakeAudit) put(raw []byte) error {
	grown, err := tlog.StoredHashes(int64(len(l.commits)), raw, l)
	l.commits, l.hashes = append(l.commits, raw), append(l.hashes, grown...)
	return err
}

// again hashes other commits: another history, signed by the same key.
func (l *fakeAudit) again(commits [][]byte) error {
	l.commits, l.hashes = nil, nil
	for _, raw := range commits {
		if err := l.put(raw); err != nil {
			return err
		}
	}
	return nil
}

func (l *fakeAudit) tree() (tlog.Tree, error) {
	root, err := tlog.TreeHash(int64(len(l.commits)), l)
	return tlog.Tree{N: int64(len(l.commits)), Hash: root}, err
}

func (l *fakeAudit) checkpoint() ([]byte, error) {
	keys := []string{l.signing}
	if l.before != "" {
		keys = append(keys, l.before)
	}
	signer, err := transparency.NewSigner(keys...)
	if err != nil {
		return nil, err
	}
	tree, err := l.tree()
	if err != nil {
		return nil, err
	}
	return signer.Sign(tree)
}

func (l *fakeAudit) policy() string { return transparency.PolicyText(l.verifying, nil, 0) }

// steer does what a script says: a number of commits more; cut N; fork N, another commit there in
// another history; edit N, a row that is not what was hashed; anew, with another key; rotate, to a
// key that the log vouches for; ended, the key before signs no more; export DIR.
func (l *fakeAudit) steer(how []string, abs func(string) string) (err error) {
	n := 0
	if len(how) > 1 {
		n, _ = strconv.Atoi(how[1])
	}
	switch how[0] {
	case "anew":
		*l = fakeAudit{}
		l.signing, l.verifying, err = transparency.GenerateKey(fakeOrigin)
		return err
	case "rotate":
		signing, verifying, err := transparency.GenerateKey(fakeOrigin)
		if err == nil {
			err = l.add(events.CheckpointKeyRotated{Serial: 2, Key: verifying}, events.CheckpointStream())
		}
		l.signing, l.verifying, l.before = signing, verifying, l.signing
		return err
	case "ended":
		l.before = ""
		return nil
	case "cut":
		return l.again(l.commits[:n])
	case "fork":
		other := append([][]byte{}, l.commits...)
		other[n-1] = bytes.Replace(other[n-1], []byte("user:u_1"), []byte("user:u_2"), 1)
		return l.again(other)
	case "edit":
		l.lent = map[int][]byte{n: bytes.Replace(l.commits[n-1], []byte("user:u_1"), []byte("user:u_2"), 1)}
		return nil
	case "export":
		return l.export(abs(how[1]))
	}
	if n, err = strconv.Atoi(how[0]); err != nil {
		return err
	}
	for range n {
		if err := l.add(events.AuditRead{Reading: events.ReadingEvents}, events.Stream{Aggregate: events.AggregateAccess, ID: "u_1"}); err != nil {
			return err
		}
	}
	return nil
}

// export writes what a server's folder has.
func (l *fakeAudit) export(dir string) error {
	signed, err := l.checkpoint()
	if err != nil {
		return err
	}
	files := map[string][]byte{"checkpoint": signed, "policy": []byte(l.policy())}
	n := int64(0)
	for bundle := range slices.Chunk(l.commits, transparency.Width) {
		files[transparency.BundlePath(n, len(bundle))] = append(bytes.Join(bundle, []byte("\n")), '\n')
		n++
	}
	for level, left := 0, len(l.commits); left > 0; level, left = level+1, left/transparency.Width {
		for i := 0; i*transparency.Width < left; i++ {
			tile := tlog.Tile{H: torchwood.TileHeight, L: level, N: int64(i), W: min(transparency.Width, left-i*transparency.Width)}
			if files[torchwood.TilePath(tile)], err = tlog.ReadTileData(tile, l); err != nil {
				return err
			}
		}
	}
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// queryAudit answers as the server does.
func (f *fake) queryAudit(w *httptest.ResponseRecorder, path string, q func(string) int) {
	l := &f.audit
	signed, err := l.checkpoint()
	if err != nil {
		f.t.Errorf("sign: %v", err)
	}
	answer := func(kind string, body []byte, err error) {
		if err != nil {
			problem(w, 404, "tile_unknown")
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(body)
	}
	what, rest, _ := strings.Cut(path, "/")
	switch what {
	case "checkpoint":
		answer("text/plain; charset=utf-8", signed, nil)
	case "keys":
		reply(w, 200, api.LogKeys{Origin: fakeOrigin, Keys: []api.LogKey{{Key: l.verifying}}, Witnesses: []api.LogWitness{}, Policy: l.policy()})
	case "tile":
		tile, err := torchwood.ParseTilePath("tile/" + rest)
		var data []byte
		if err == nil {
			data, err = tlog.ReadTileData(tile, l)
		}
		answer("application/octet-stream", data, err)
	case "commits":
		l.pages++
		var lines bytes.Buffer
		for seq := q("after") + 1; seq <= min(q("after")+q("limit"), len(l.commits)); seq++ {
			raw := l.commits[seq-1]
			if lent, ok := l.lent[seq]; ok {
				raw = lent
			}
			lines.Write(append(raw[:len(raw):len(raw)], '\n'))
		}
		answer("application/x-ndjson", lines.Bytes(), nil)
	case "proof":
		seq, err := strconv.Atoi(rest)
		tree, _ := l.tree()
		if err != nil || seq > len(l.commits) {
			problem(w, 404, "commit_unknown")
			return
		}
		text, err := transparency.Prover{Tree: tree, Tiles: l}.Proof(context.Background(), events.Seq(seq), signed)
		answer("text/plain; charset=utf-8", text, err)
	}
}
