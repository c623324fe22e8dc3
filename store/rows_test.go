package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
	"secretsbridge/identity/factors"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/store"
)

// idle are the columns that decide nothing: what is shown, and data keys that open one box alone.
var idle = map[string][]string{
	"people":        {"created_at", "description", "signed_in_at", "roles"},
	"tokens":        {"used_at"},
	"identities":    {"created_at"},
	"factors":       {"wrapped", "kms_key"},
	"sessions":      {},
	"former_tokens": {}, "links": {}, "logins": {}, "sign_in_codes": {}, "recovery_codes": {}, "challenges": {},
}

// mutations change a column of a type to something else that is possible.
var mutations = map[string]string{
	"text":                     "coalesce(%[1]s, '') || 'x'",
	"bytea":                    `coalesce(sha256(%[1]s), sha256(''))`,
	"timestamp with time zone": "coalesce(%[1]s, '2026-11-24 09:00:30+00') + interval '1 second'",
	"boolean":                  "NOT %[1]s",
	"integer":                  "coalesce(%[1]s, 0) + 1",
	"bigint":                   "coalesce(%[1]s, 0) + 1",
}

// guarded is somebody with a row in every table that lets them in.
type guarded struct {
	t     *testing.T
	db    *postgrestest.DB
	told  []store.Denounced
	opens map[string]func() error // by table; nil where its row opened something
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{t: t, db: cluster.New(t)}
	clock := newClock()
	rows := rowsTelling(func(d store.Denounced) { g.told = append(g.told, d) })
	people, sessions := store.People{Pool: g.db.App, Rows: rows, Now: clock.Now}, store.Sessions{Pool: g.db.App, Rows: rows, Now: clock.Now}
	links, tokens := store.Links{Pool: g.db.App, Rows: rows, Now: clock.Now}, store.Tokens{Pool: g.db.App, Rows: rows, Now: clock.Now}
	ids, second := store.Identities{Pool: g.db.App, Rows: rows, Now: clock.Now}, store.Factors{Pool: g.db.App, Rows: rows}
	ctx, now := t.Context(), clock.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	ada, err := people.Create(ctx, store.Person{Email: "ada@example.org", Name: "Ada"}, text("correct horse"))
	must(err)
	cheap(t, g.db, ada.ID, "correct horse")
	link, err := links.Issue(ctx, ada.ID, events.LinkReset, now.Add(time.Hour))
	must(err)
	machine, err := people.Add(ctx, store.Account{ID: events.NewUserID(), Kind: events.UserMachine, Name: "ci"})
	must(err)
	token, err := tokens.Issue(ctx, machine.ID, "t_1", now.Add(time.Hour))
	must(err)
	bea, err := ids.Create(ctx, "https://issuer", "bea", store.Person{Email: "bea@example.org", Name: "Bea"})
	must(err)
	login := store.Login{State: sha256.Sum256([]byte("state")), Cookie: sha256.Sum256([]byte("cookie")), Nonce: "n", Verifier: "v", Return: "/", Port: 1, Challenge: "c", Ends: now.Add(time.Hour)}
	must(ids.Begin(ctx, login))
	code := sha256.Sum256([]byte("code"))
	must(ids.KeepCode(ctx, code, store.Code{Challenge: "c", Person: bea.ID, Origin: store.Origin{Issuer: "https://issuer", Subject: "bea", Session: "sid"}, Ends: now.Add(time.Hour)}))
	session, former, err := ids.Open(ctx, bea.ID, seal.VerifyKey{}, store.Origin{Issuer: "https://issuer", Subject: "bea", Session: "sid", Token: text("id token")})
	must(err)
	clock.Add(time.Minute)
	current, err := sessions.Renew(ctx, session, former, func() error { return nil })
	must(err)
	must(sessions.StepUp(ctx, session.ID, events.FactorTOTP, clock.Now()))
	f := factors.Factor{
		ID: events.NewFactorID(), User: ada.ID, Kind: events.FactorPasskey, Name: "key", Credential: []byte("credential"), Box: []byte("box"), Wrapped: []byte("wrapped"),
		KMSKey: "k", Created: now, Enrolled: now,
	}
	must(second.Enrol(ctx, f, true, kept))
	must(second.PutCodes(ctx, ada.ID, [][]byte{make([]byte, 32)}, now, kept))
	must(second.PutChallenge(ctx, session.ID, "step-up", []byte("asked"), now.Add(time.Hour)))

	lookup := func(token secret.Value) func() error {
		return func() error { _, err := sessions.Lookup(ctx, token); return err }
	}
	g.opens = map[string]func() error{
		"people":        func() error { _, err := people.Verify(ctx, ada.Email, text("correct horse"), "n"); return err },
		"sessions":      lookup(current),
		"former_tokens": lookup(former),
		"links":         func() error { _, err := links.Look(ctx, link); return err },
		"tokens":        func() error { _, err := tokens.Lookup(ctx, token); return err },
		"identities":    func() error { _, err := ids.Find(ctx, "https://issuer", "bea"); return err },
		"logins":        func() error { _, err := ids.Take(ctx, login.State); return err },
		"sign_in_codes": func() error { _, err := ids.TakeCode(ctx, code); return err },
		"factors": func() error {
			standing, err := second.Standing(ctx, ada.ID)
			if err == nil && (len(standing.Factors) == 0 || standing.Factors[0].ID != f.ID) {
				err = factors.ErrUnknown
			}
			return err
		},
		"recovery_codes": func() error { return second.UseCode(ctx, ada.ID, make([]byte, 32), now, clock.Now(), kept) },
		"challenges":     func() error { _, err := second.TakeChallenge(ctx, session.ID, "step-up", clock.Now()); return err },
	}
	g.loosen()
	return g
}

// loosen takes every constraint away that would refuse a forged row: a superuser can.
func (g *guarded) loosen() {
	g.t.Helper()
	g.exec(`DO $$
		DECLARE c record;
		BEGIN
			FOR c IN SELECT conrelid::regclass AS at, conname AS name FROM pg_constraint WHERE connamespace = 'private'::regnamespace AND contype IN ('c', 'f') LOOP
				EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.at, c.name);
			END LOOP;
		END $$`)
	for table := range g.opens {
		g.exec("CREATE TABLE kept_" + table + " AS SELECT * FROM private." + table)
	}
}

func (g *guarded) exec(sql string) {
	g.t.Helper()
	if _, err := g.db.Owner.Exec(g.t.Context(), sql); err != nil {
		g.t.Fatalf("%s: %v", sql, err)
	}
}

// restore puts a table back as it was.
func (g *guarded) restore(table string) {
	g.t.Helper()
	g.exec("DELETE FROM private." + table)
	g.exec("INSERT INTO private." + table + " SELECT * FROM kept_" + table)
}

// columns are those of a table with their types.
func (g *guarded) columns(table string) map[string]string {
	g.t.Helper()
	rows, err := g.db.Owner.Query(g.t.Context(), "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'private' AND table_name = $1", table)
	if err != nil {
		g.t.Fatal(err)
	}
	found := map[string]string{}
	var name, typ string
	if _, err := pgx.ForEachRow(rows, []any{&name, &typ}, func() error { found[name] = typ; return nil }); err != nil {
		g.t.Fatal(err)
	}
	return found
}

// TestEachColumnThatDecidesIsUnderTheMAC changes one column of one row after another, as whoever
// runs the database can. What is not in [idle] opens nothing then, and a table that has a MAC and is
// not here fails.
func TestEachColumnThatDecidesIsUnderTheMAC(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	var tables []string
	err := g.db.Owner.QueryRow(t.Context(), "SELECT array_agg(table_name::text) FROM information_schema.columns WHERE table_schema = 'private' AND column_name = 'mac'").Scan(&tables)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		open, known := g.opens[table]
		if !known {
			t.Errorf("no way is tried that a row of %s opens", table)
			continue
		}
		if err := open(); err != nil {
			t.Fatalf("%s opens nothing as it is: %v", table, err)
		}
		g.restore(table)
		if len(g.told) > 0 {
			t.Fatalf("%s as it is was denounced: %+v", table, g.told)
		}
		for column, typ := range g.columns(table) {
			mutation, known := mutations[typ]
			if slices.Contains(idle[table], column) {
				continue
			}
			if !known {
				t.Fatalf("%s.%s is a %s, and nothing changes it", table, column, typ)
			}
			g.exec("UPDATE private." + table + " SET " + column + " = " + fmt.Sprintf(mutation, column))
			if err := open(); err == nil {
				t.Errorf("%s.%s: a row that was changed opens something", table, column)
			}
			g.restore(table)
		}
		g.exec("UPDATE private." + table + " SET mac = NULL")
		if err := open(); err == nil {
			t.Errorf("%s: a row without a MAC opens something", table)
		}
		g.restore(table)
		if !slices.ContainsFunc(g.told, func(d store.Denounced) bool { return d.Table == table && d.Why == store.RowForged }) {
			t.Errorf("nobody was told of rows of %s: %+v", table, g.told)
		}
		g.told = nil
	}
}

// TestAMACIsOfOneRow: no two rows have the same text under the MAC, and no row that of another table.
func TestAMACIsOfOneRow(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	// A MAC of another row, and of another table, of which each is right where it is.
	g.exec("UPDATE private.people SET mac = (SELECT mac FROM private.people WHERE email = 'bea@example.org') WHERE email = 'ada@example.org'")
	if g.opens["people"]() == nil {
		t.Error("the MAC of another person counts")
	}
	g.restore("people")
	g.exec("UPDATE private.sessions SET mac = (SELECT mac FROM private.links)")
	if g.opens["sessions"]() == nil {
		t.Error("the MAC of another table counts")
	}
}

func TestAShortKeyOfRowsIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := store.NewRows(make([]byte, 31), func(context.Context, store.Denounced) {}); err == nil || !strings.Contains(err.Error(), "31 bytes") {
		t.Errorf("31 bytes: %v", err)
	}
}

// BenchmarkSessionLookup is what each call of the API asks first.
func BenchmarkSessionLookup(b *testing.B) {
	db := cluster.New(b)
	people := store.People{Pool: db.App, Rows: vouching}
	person, err := people.Create(b.Context(), store.Person{Email: "ada@example.org", Name: "Ada"}, text("correct horse"))
	if err != nil {
		b.Fatal(err)
	}
	sessions := store.Sessions{Pool: db.App, Rows: vouching}
	_, token, err := sessions.Open(b.Context(), person.ID, seal.VerifyKey{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := sessions.Lookup(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
