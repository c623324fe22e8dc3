package web_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/notices"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// holding are the tables of who people are, and of what is theirs, in which some row has one of
// these texts anywhere.
func (r *rig) holding(texts ...string) (tables []string) {
	r.t.Helper()
	rows, err := r.db.Owner.Query(r.t.Context(), `
		SELECT table_name
		FROM   information_schema.tables
		WHERE  table_schema = 'private'
		ORDER  BY table_name`)
	if err != nil {
		r.t.Fatal(err)
	}
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, name)
	}
	if err := rows.Err(); err != nil || len(all) < 10 {
		r.t.Fatalf("%d tables: %v", len(all), err)
	}
	for _, name := range all {
		var n int
		sql := fmt.Sprintf(`SELECT count(*) FROM private.%q t, unnest($1::text[]) x WHERE position(x IN t::text) > 0`, name)
		if err := r.db.Owner.QueryRow(r.t.Context(), sql, texts).Scan(&n); err != nil {
			r.t.Fatal(err)
		}
		if n > 0 {
			tables = append(tables, name)
		}
	}
	return tables
}

// TestNothingOfWhoWasErasedIsLeft looks at every column of every table: a new one that keeps
// something of people is found here.
func TestNothingOfWhoWasErasedIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.join("developer"))
	r.stepUp(who, api.StepUp{TOTPCode: r.addApp(who).shows(0)}).wants(t, 200, "")
	r.addPasskey(who)
	r.call(who, "POST", "/me/recovery-codes", nil).wants(t, 201, "")
	r.asked(who) // a challenge that waits
	r.call(who, "POST", "/me/factors/totp", api.NewTOTP{Name: "another"}).wants(t, 201, "")
	r.signIn(who.Email, "wrong horse battery").wants(t, 401, "sign_in_failed")
	r.signIn(who.Email, password).wants(t, 201, "")
	r.signIn(who.Email, "wrong horse battery").wants(t, 401, "sign_in_failed")
	r.call(r.admin, "POST", people(string(who.ID), "/reset-link"), nil).wants(t, 201, "")
	session, err := r.sessions.Lookup(context.Background(), secret.New([]byte(who.token)))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.vault.SetPersonal(t.Context(), who.ID, secret.New([]byte("https://hooks.example.org/theirs")), func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	told := notices.Test(events.NewCommandID(), notices.ToUser(who.ID), r.clock.Now())
	if _, err := (store.Deliveries{Pool: r.pool}).Put(t.Context(), []notices.Delivery{told}); err != nil {
		t.Fatal(err)
	}
	b := r.signedInTab(who)
	r.clock.Add(time.Minute)
	b.renew().wants(t, 200, "")
	theirs := []string{string(who.ID), who.Email, who.Name, string(session.ID)}
	for _, s := range read[api.Page[api.OpenSession]](t, b.do("GET", "/me/sessions", nil)).Items {
		theirs = append(theirs, s.ID)
	}
	const all = "challenges deliveries factors failures former_tokens integration_secrets known_networks links people recovery_codes sessions"
	if got := strings.Join(r.holding(theirs...), " "); got != all {
		t.Fatalf("before: %s", got)
	}
	r.call(r.admin, "POST", people(string(who.ID), "/erase"), nil).wants(t, 200, "")
	if got := r.holding(theirs...); len(got) > 0 {
		t.Errorf("something of them is in %v", got)
	}
	if err := (store.Factors{Pool: r.pool, Rows: r.macs}).PutCodes(t.Context(), who.ID, [][]byte{make([]byte, 32)}, r.clock.Now(), func() error { return nil }); err == nil {
		t.Error("codes were stored for nobody")
	}
	if err := r.vault.SetPersonal(t.Context(), who.ID, secret.New([]byte("https://hooks.example.org/theirs")), func() error { return nil }); err == nil {
		t.Error("an address was stored for nobody")
	}
}
