package client

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

var (
	textAnswer = form{"text/plain", 1 << 20, callTimeout}                // checkpoints and proofs
	tileAnswer = form{"application/octet-stream", 64 << 10, callTimeout} // 256 hashes
	pageAnswer = form{"application/x-ndjson", maxAnswer, reportTimeout}  // of commits
)

// Text asks for what is a text: a checkpoint, or a proof.
func Text(ctx context.Context, c *Client, path string, query url.Values) ([]byte, error) {
	return exchange(ctx, c, textAnswer, http.MethodGet, path, query, nil, again)
}

// Tile asks for hashes of the log by the path of their tile, as c2sp.org/tlog-tiles has it, without
// "tile/".
func Tile(ctx context.Context, c *Client, tile string) ([]byte, error) {
	return exchange(ctx, c, tileAnswer, http.MethodGet, Path(append([]string{"audit", "log", "tile"}, strings.Split(tile, "/")...)...), nil, nil, again)
}

// Commits asks for a page of the log's stored bytes, one commit a line, and says how many there are.
// None are behind the last.
func Commits(ctx context.Context, c *Client, after uint64, limit int) (lines []byte, n int, err error) {
	q := url.Values{"after": {strconv.FormatUint(after, 10)}, "limit": {strconv.Itoa(limit)}}
	lines, err = exchange(ctx, c, pageAnswer, http.MethodGet, Path("audit", "log", "commits"), q, nil, again)
	if err == nil && len(lines) > 0 && lines[len(lines)-1] != '\n' {
		err = fmt.Errorf("%w: it breaks off", ErrAnswer)
	}
	if n = bytes.Count(lines, []byte("\n")); err == nil && n > limit {
		err = fmt.Errorf("%w: it has %d commits, of %d", ErrAnswer, n, limit)
	}
	return lines, n, err
}
