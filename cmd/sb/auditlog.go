package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/spf13/cobra"

	"secretsbridge/transparency"
	"secretsbridge/web/api/client"
)

const (
	// commitsAtOnce is how many commits are asked for at a time. The server may send fewer.
	commitsAtOnce = 4096

	// maxPause is how long a download waits where the server says that it was asked too much.
	maxPause = 2 * time.Minute
)

// paced asks, and waits as long as the server says where that is too much for a minute: a whole log
// is more than a person reads.
func paced[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	for {
		got, err := ask()
		var refused *client.Refused
		if !errors.As(err, &refused) || refused.Problem.Status != http.StatusTooManyRequests || refused.RetryAfter <= 0 || refused.RetryAfter > maxPause {
			return got, err
		}
		timer := time.NewTimer(refused.RetryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return got, ctx.Err()
		}
	}
}

// serverTiles reads tiles of a server, and remembers those that were read last: verifying reads the
// right edge of the tree again and again.
type serverTiles struct {
	to    *client.Client
	known map[tlog.Tile][]byte
}

// tilesKept is how many tiles are remembered, of 8 KiB each.
const tilesKept = 64

func (s *serverTiles) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		known, ok := s.known[tile]
		if !ok {
			path := strings.TrimPrefix(torchwood.TilePath(tile), "tile/")
			var err error
			if known, err = paced(ctx, func() ([]byte, error) { return client.Tile(ctx, s.to, path) }); err != nil {
				return nil, err
			}
			if s.known == nil || len(s.known) >= tilesKept {
				s.known = map[tlog.Tile][]byte{}
			}
			s.known[tile] = known
		}
		data[i] = known
	}
	return data, nil
}

// serverCommits reads the stored bytes of commits behind one, up to another, one a line.
type serverCommits struct {
	ctx         context.Context // of the one command that reads
	to          *client.Client
	after, upto uint64
	page        bytes.Reader
}

func (s *serverCommits) Read(p []byte) (int, error) {
	if s.page.Len() == 0 {
		if s.after >= s.upto {
			return 0, io.EOF
		}
		lines, n, err := s.next()
		if err != nil {
			return 0, err
		}
		if n == 0 {
			return 0, io.EOF // the server has fewer than its checkpoint says: the verifier names what is missing
		}
		s.after += uint64(n)
		s.page.Reset(lines)
	}
	return s.page.Read(p)
}

func (s *serverCommits) next() (lines []byte, n int, err error) {
	limit := int(min(commitsAtOnce, s.upto-s.after))
	lines, err = paced(s.ctx, func() (lines []byte, err error) {
		lines, n, err = client.Commits(s.ctx, s.to, s.after, limit)
		return lines, err
	})
	return lines, n, err
}

// newestCheckpoint is the newest one that satisfies a policy. Cosignatures follow the signature by
// some seconds, so where the newest has too few an older one is asked for that has them.
func newestCheckpoint(ctx context.Context, to *client.Client, policy *transparency.Policy) (transparency.Opened, error) {
	signed, err := client.Text(ctx, to, client.Path("audit", "log", "checkpoint"), nil)
	if err != nil {
		return transparency.Opened{}, err
	}
	opened, first := policy.Open(signed)
	names := policy.Witnesses()
	for n := 1; first != nil && n <= len(names); n++ {
		signed, err := client.Text(ctx, to, client.Path("audit", "log", "checkpoint"), url.Values{"witnesses": {strconv.Itoa(n)}, "witness": names})
		var refused *client.Refused
		if errors.As(err, &refused) && refused.Problem.Status == http.StatusNotFound {
			break
		}
		if err != nil {
			return transparency.Opened{}, err
		}
		if opened, err = policy.Open(signed); err == nil {
			return opened, nil
		}
	}
	return opened, first
}

// openCommits reads the commits that the checkpoint of an exported folder says are there, as an
// events file.
func openCommits(dir string) (io.ReadCloser, error) {
	signed, err := readSome(filepath.Join(dir, "checkpoint"), 1<<20)
	if err != nil {
		return nil, err
	}
	tree, _, err := transparency.ReadCheckpoint(signed)
	if err != nil {
		return nil, err
	}
	return transparency.Bundles(os.DirFS(dir), tree.N), nil
}

// exportCommits writes an events file: what the stream of the log holds, exactly, one commit a line.
func exportCommits(c *cobra.Command, to *client.Client, after uint64) error {
	if isTerminal(c.OutOrStdout()) {
		return usage("these bytes are written as they are stored, which may mean something to a terminal; write them to a file: > events.jsonl")
	}
	out := bufio.NewWriter(c.OutOrStdout())
	_, err := io.Copy(out, &serverCommits{ctx: c.Context(), to: to, after: after, upto: math.MaxUint64})
	return errors.Join(err, out.Flush())
}

// commitSeq reads the number of a commit.
func commitSeq(text string) (uint64, error) {
	seq, err := strconv.ParseUint(text, 10, 53)
	if err != nil || seq < 1 {
		return 0, usage("SEQ is the number of a commit, from 1 on")
	}
	return seq, nil
}

func commits(n int64) string {
	if n == 1 {
		return "1 commit"
	}
	return fmt.Sprintf("%d commits", n)
}
