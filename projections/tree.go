package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/transparency"
)

// tileHeight is the height of tiles of 256 hashes (c2sp.org/tlog-tiles).
const tileHeight = 8

// maxTileLevel is the highest level that a tile can have: its hashes stand over 256^6 commits.
const maxTileLevel = 6

// Tree reads the log's tree as the audit has it. It satisfies torchwood.TileReader. Nothing
// that it returns is proven: a hash of the audit is what its row says, until it was checked
// against a checkpoint.
type Tree struct{ Pool *pgxpool.Pool }

// ReadTiles returns the hashes of each tile, as many as its width says. Tiles of level 0 are
// hashes of commits. It returns [ErrNotFound] for a tile that the audit does not have in full,
// and refuses what is no tile of hashes of height 8.
func (t Tree) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	which, levels, first := []int32{}, []int32{}, []int64{}
	last := []int64{}
	for i, tile := range tiles {
		if tile.H != tileHeight || tile.L < 0 || tile.L > maxTileLevel || tile.N < 0 || tile.N >= 1<<(62-tileHeight) || tile.W < 1 || tile.W > transparency.Width {
			return nil, fmt.Errorf("read tile %+v: not a tile of at most %d hashes", tile, transparency.Width)
		}
		which, levels = append(which, int32(i)), append(levels, int32(tile.L))
		first = append(first, tile.N*transparency.Width)
		last = append(last, tile.N*transparency.Width+int64(tile.W)-1)
	}
	rows, err := t.Pool.Query(ctx, `
		SELECT t.tile,
		       CASE t.level
		       WHEN 0 THEN (SELECT string_agg(c.hash, '' ORDER BY c.seq)
		                    FROM   audit.commits c
		                    WHERE  c.seq BETWEEN t.first + 1 AND t.last + 1)
		       ELSE        (SELECT string_agg(n.hash, '' ORDER BY n.number)
		                    FROM   audit.nodes n
		                    WHERE  n.level = t.level
		                    AND    n.number BETWEEN t.first AND t.last)
		       END
		FROM   unnest($1::integer[], $2::integer[], $3::bigint[], $4::bigint[]) AS t (tile, level, first, last)`, planned, which, levels, first, last)
	if err != nil {
		return nil, fmt.Errorf("read %d tiles: %w", len(tiles), err)
	}
	data := make([][]byte, len(tiles))
	var tile int32
	var hashes []byte
	_, err = pgx.ForEachRow(rows, []any{&tile, &hashes}, func() error {
		data[tile] = append([]byte(nil), hashes...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %d tiles: %w", len(tiles), err)
	}
	for i, tile := range tiles {
		if len(data[i]) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("read tile %s: %w: the audit has %d of its %d hashes", tile.Path(), ErrNotFound, len(data[i])/tlog.HashSize, tile.W)
		}
	}
	return data, nil
}

// SaveTiles does nothing: tiles are rows already.
func (Tree) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadEndpoint has no checkpoint: those are kept outside of the audit.
func (Tree) ReadEndpoint(_ context.Context, path string) ([]byte, error) {
	return nil, fmt.Errorf("read %s of the audit: %w", path, errors.ErrUnsupported)
}

// Commits returns the stored bytes of the commits after a sequence, in order: at most limit of
// them and as many bytes, but one at least if there is any. It refuses to step over a gap.
func (t Tree) Commits(ctx context.Context, after events.Seq, limit, maxBytes int) ([][]byte, error) {
	rows, err := t.Pool.Query(ctx, `
		SELECT seq, raw
		FROM   (
			SELECT seq, raw, sum(octet_length(raw)) OVER (ORDER BY seq) AS bytes
			FROM   (
				SELECT   seq, raw
				FROM     audit.commits
				WHERE    seq > $1
				ORDER BY seq
				LIMIT    $2
			) AS next
		) AS counted
		WHERE  bytes <= $3
		OR     seq = $1 + 1
		ORDER  BY seq`, planned, int64(after), limit, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("read commits after %d: %w", after, err)
	}
	var found [][]byte
	var seq events.Seq
	var raw []byte
	_, err = pgx.ForEachRow(rows, []any{&seq, &raw}, func() error {
		if want := after + 1 + events.Seq(len(found)); seq != want {
			return fmt.Errorf("the audit has no commit %d", want)
		}
		found = append(found, append([]byte(nil), raw...))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read commits after %d: %w", after, err)
	}
	return found, nil
}

// readTree takes up the tree of the first size commits where the audit has it.
func readTree(ctx context.Context, conn *pgx.Conn, size events.Seq) (*transparency.Builder, error) {
	var edge [][]tlog.Hash
	for level, left := 0, int64(size); left > 0; level, left = level+1, left/transparency.Width {
		begin := left - left%transparency.Width
		sql := "SELECT hash FROM nodes WHERE level = $1 AND number >= $2 AND number < $3 ORDER BY number"
		if level == 0 {
			sql = "SELECT hash FROM commits WHERE $1 = 0 AND seq > $2 AND seq <= $3 ORDER BY seq"
		}
		rows, err := conn.Query(ctx, sql, planned, level, begin, left)
		if err != nil {
			return nil, fmt.Errorf("read the tree of %d commits: %w", size, err)
		}
		hashes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h tlog.Hash, err error) {
			var b []byte
			err = row.Scan(&b)
			copy(h[:], b)
			return h, err
		})
		if err != nil {
			return nil, fmt.Errorf("read the tree of %d commits: %w", size, err)
		}
		edge = append(edge, hashes)
	}
	tree, err := transparency.Continue(int64(size), edge)
	if err != nil {
		return nil, fmt.Errorf("%w: the audit lost part of its tree; fold it again with `sb-server rebuild`: %w", command.ErrLogUnsafe, err)
	}
	return tree, nil
}
