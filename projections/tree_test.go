package projections_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"filippo.io/torchwood"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/postgres"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/projections"
	"secretsbridge/transparency"
)

var _ torchwood.TileReader = projections.Tree{}

// treeOf is the tree of a whole log.
func treeOf(t *testing.T, log *commandtest.Memory) tlog.Tree {
	t.Helper()
	var b transparency.Builder
	last, err := log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := events.Seq(1); seq <= last; seq++ {
		c, err := log.At(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		b.Append(transparency.LeafHash(c.Raw))
	}
	return b.Tree()
}

func TestTheAuditProvesEachCommitOfTheLog(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	for _, size := range []int{300, 303, 512, 1100} { // with restarts in the middle of tiles, and at the end of one
		for w.n < size {
			w.append(events.AccessStream("user:u_1"), "user:u_1", events.SignedIn{User: "u_1", Session: "s_1"})
		}
		catchUp(t, db.App, log)
		tree := treeOf(t, log)
		reader := torchwood.TileHashReaderWithContext(t.Context(), tree, projections.Tree{Pool: db.App})
		for leaf := int64(0); leaf < tree.N; leaf += 7 {
			proof, err := tlog.ProveRecord(tree.N, leaf, reader)
			if err != nil {
				t.Fatal(err)
			}
			c, err := log.At(t.Context(), transparency.SeqOf(leaf))
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, leaf, transparency.LeafHash(c.Raw)); err != nil {
				t.Fatalf("leaf %d of %d: %v", leaf, tree.N, err)
			}
		}
	}
}

func TestTilesThatAreNotThereAreNotMadeUp(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 600)
	catchUp(t, db.App, log)
	tree := projections.Tree{Pool: db.App}
	two := []tlog.Tile{{H: 8, L: 1, N: 0, W: 2}, {H: 8, L: 0, N: 2, W: 88}}
	data, err := tree.ReadTiles(t.Context(), two)
	if err != nil || len(data[0]) != 64 || len(data[1]) != 88*32 {
		t.Fatalf("two tiles: %v", err)
	}
	for tile, want := range map[tlog.Tile]error{
		{H: 8, L: 0, N: 2, W: 89}: projections.ErrNotFound, {H: 8, L: 1, N: 0, W: 3}: projections.ErrNotFound, {H: 8, L: 2, N: 0, W: 1}: projections.ErrNotFound,
		{H: 8, L: -1, N: 0, W: 1}: nil, {H: 4, L: 0, N: 0, W: 1}: nil, {H: 8, L: 0, N: 0, W: 257}: nil, {H: 8, L: 0, N: -1, W: 1}: nil, {H: 8, L: 0, N: 1 << 60, W: 1}: nil,
	} {
		if _, err := tree.ReadTiles(t.Context(), []tlog.Tile{two[0], tile}); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("tile %+v: %v", tile, err)
		}
	}
}

func TestStoredBytesAreReadInPieces(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 120)
	catchUp(t, db.App, log)
	for _, step := range []struct{ limit, bytes int }{{7, 1 << 20}, {1000, 3000}, {1000, 1}} {
		pieces := 0
		var got [][]byte
		for {
			found, err := projections.Tree{Pool: db.App}.Commits(t.Context(), events.Seq(len(got)), step.limit, step.bytes)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				break
			}
			if n := len(bytes.Join(found, nil)); len(found) > step.limit || n > step.bytes && len(found) > 1 {
				t.Errorf("%+v: %d commits of %d bytes at once", step, len(found), n)
			}
			got = append(got, found...)
			pieces++
		}
		if len(got) != 120 || pieces < 10 {
			t.Fatalf("%+v: %d commits in %d pieces", step, len(got), pieces)
		}
		for i, raw := range got {
			if c, err := log.At(t.Context(), transparency.SeqOf(int64(i))); err != nil || !bytes.Equal(raw, c.Raw) {
				t.Fatalf("commit %d has other bytes, %v", i+1, err)
			}
		}
	}
	asSuperuser(t, db, "DELETE FROM audit.commits WHERE seq = 50")
	for _, after := range []events.Seq{40, 49} {
		if _, err := (projections.Tree{Pool: db.App}).Commits(t.Context(), after, 100, 1<<20); err == nil || !strings.Contains(err.Error(), "no commit 50") {
			t.Errorf("after %d, over a gap: %v", after, err)
		}
	}
}

// asSuperuser does what the triggers refuse, as a hostile operator of the database would.
func asSuperuser(t testing.TB, db *postgrestest.DB, sql string) int64 {
	t.Helper()
	var n int64
	err := pgx.BeginFunc(context.Background(), db.Owner, func(tx pgx.Tx) error {
		for _, table := range []string{"commits", "events", "nodes"} {
			if _, err := tx.Exec(context.Background(), "ALTER TABLE audit."+table+" DISABLE TRIGGER ALL"); err != nil {
				return err
			}
		}
		done, err := tx.Exec(context.Background(), sql)
		if err != nil {
			return err
		}
		n = done.RowsAffected()
		for _, table := range []string{"commits", "events", "nodes"} {
			if _, err := tx.Exec(context.Background(), fmt.Sprintf(
				"ALTER TABLE audit.%[1]s ENABLE ALWAYS TRIGGER %[1]s_are_never_changed, ENABLE ALWAYS TRIGGER %[1]s_are_never_emptied", table)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// An AnySeq commit can be appended again by whoever may publish; nobody else would notice.
func TestACommitThatStandsInTheLogTwiceIsRefused(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 200)
	catchUp(t, db.App, log)
	again, err := log.At(t.Context(), 150)
	if err != nil {
		t.Fatal(err)
	}
	log.Replay(again.Seq)
	err = (&projections.Follower{Pool: db.App}).Run(t.Context(), log)
	if !errors.Is(err, command.LogReplayed) || !errors.Is(err, command.ErrLogUnsafe) || !strings.Contains(err.Error(), string(again.Events[0].ID)) {
		t.Errorf("the follower: %v", err)
	}
	if _, err := projections.Rebuild(t.Context(), db.Owner, log); !errors.Is(err, command.LogReplayed) {
		t.Errorf("a rebuild: %v", err)
	}
}

// before are the migrations of an audit that had no tree.
func before(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{"001_audit.sql", "002_decisions.sql"} {
		b, err := os.ReadFile("migrations/audit/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: b}
	}
	return files
}

// withoutTree puts an audit that had no tree in the place of the one there, with the same rows.
func withoutTree(t *testing.T, db *postgrestest.DB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.OwnerDSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "ALTER SCHEMA audit RENAME TO former"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), conn, before(t), "audit"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `
		INSERT INTO audit.commits SELECT seq, sha256(raw), raw FROM former.commits;
		INSERT INTO audit.events SELECT * FROM former.events;
		UPDATE views.positions p SET hash = c.hash FROM audit.commits c WHERE c.seq = p.seq;
		DROP SCHEMA former CASCADE`); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestAnAuditOfBeforeThereWasATreeGetsOne(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	fill(t, log, 600)
	catchUp(t, db.App, log)
	want := dump(t, db.App)
	conn := withoutTree(t, db)
	if err := projections.Migrate(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if got := dump(t, db.App); got != want {
		t.Error("the migrated audit has other bytes than one that is folded")
	}
	leaves, err := projections.NewProgress(db.App).Leaves(t.Context(), 0, 1<<20)
	if last, _ := log.Last(t.Context()); err != nil || len(leaves) != int(last) {
		t.Errorf("%d leaves of %d commits, %v", len(leaves), last, err)
	}
	(&writer{t: t, log: log, n: 1000}).append(events.ConnectionStream("file"), "user:u_1", events.ConnectionDisabled{})
	catchUp(t, db.App, log)
}

func TestAMigratedTreeHasEachLevel(t *testing.T) {
	t.Parallel()
	const commits = 66_000 // 257 tiles, of which one level 2 hash stands over 256
	db := cluster.New(t)
	conn := withoutTree(t, db)
	if _, err := conn.Exec(t.Context(), "INSERT INTO audit.commits SELECT n, sha256(''), int8send(n) FROM generate_series(1, $1::bigint) n", commits); err != nil {
		t.Fatal(err)
	}
	if err := projections.Migrate(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	var b transparency.Builder
	var want []transparency.Node
	for n := int64(1); n <= commits; n++ {
		want = append(want, b.Append(transparency.LeafHash([]byte{0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}))...)
	}
	rows, err := conn.Query(t.Context(), "SELECT level, number, hash FROM audit.nodes ORDER BY (number + 1) << (8 * level), level")
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n transparency.Node, err error) {
		var hash []byte
		err = row.Scan(&n.Level, &n.Index, &hash)
		copy(n.Hash[:], hash)
		return n, err
	})
	if err != nil || len(got) != len(want) || len(want) != 258 {
		t.Fatalf("%d nodes, want %d of 258: %v", len(got), len(want), err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("node %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}
