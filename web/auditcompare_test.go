package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// compare asks for the rows that differ.
func (r *rig) compare() (named []string, outcome api.AuditCompared) {
	r.t.Helper()
	got := r.call(r.admin, "POST", "/audit/compare", nil).wants(r.t, 200, "")
	if kind := got.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		r.t.Errorf("content type %s", kind)
	}
	lines := strings.Split(strings.TrimSuffix(string(got.body), "\n"), "\n")
	for i, line := range lines {
		var l api.AuditComparison
		if err := json.Unmarshal([]byte(line), &l); err != nil || (l.Outcome != nil) != (i == len(lines)-1) {
			r.t.Fatalf("line %d of %d: %s, %v", i, len(lines), line, err)
		}
		if l.Outcome != nil {
			outcome = *l.Outcome
		} else {
			named = append(named, strings.SplitN(l.Difference.String(), "\n", 2)[0])
		}
	}
	return named, outcome
}

func TestRowsThatDifferAreNamedAndPutOnRecord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.submit(r.developer)
	r.call(r.admin, "GET", "/requests/"+string(id), nil, r.newest()).wants(t, 200, "")
	if named, outcome := r.compare(); len(named) > 0 || outcome.Differences != 0 || outcome.UpTo == 0 {
		t.Fatalf("as it was folded: %q, %+v", named, outcome)
	}
	if _, err := r.db.Owner.Exec(t.Context(), "UPDATE views.requests SET state = 'approved'; INSERT INTO views.connections SELECT 'zzz', seq, last_seq, state, provider, cluster, description, disabled_reason, created_at, created_by, changed_at, discover_every FROM views.connections LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	named, outcome := r.compare()
	want := []string{`views.connections added name="zzz"`, `views.requests changed id="` + string(id) + `"`}
	slices.Sort(named)
	if diff := cmp.Diff(want, named); diff != "" || outcome.Differences != 2 || outcome.Named != 2 || !slices.Equal(outcome.Tables, []string{"views.connections", "views.requests"}) {
		t.Errorf("%+v (-want +got):\n%s", outcome, diff)
	}
	compared := facts[events.AuditCompared](r)
	if len(compared) != 2 || compared[1].Actor != events.UserActor(r.admin.ID) || compared[1].Fact.(events.AuditCompared).Differences != 2 {
		t.Errorf("facts: %+v", compared)
	}
	r.call(r.developer, "POST", "/audit/compare", nil).wants(t, 403, "forbidden")
	r.call(r.admin, "POST", "/audit/compare?table=views.requests", nil).wants(t, 400, "parameter_invalid")
	r.breaks(always(commandtest.Fails))
	if got := r.call(r.admin, "POST", "/audit/compare", nil).wants(t, 503, "unavailable"); strings.Contains(string(got.body), "zzz") {
		t.Errorf("rows were told without a record: %s", got.body)
	}
	r.breaks(nil)
	if n := len(facts[events.AuditCompared](r)); n != 2 {
		t.Errorf("%d facts in the end", n)
	}
}

func TestOneComparisonIsMadeAtATimeAndEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan error)
	busy := false
	r := newRig(t, func(cfg *web.Config) {
		cfg.Compare = func(ctx context.Context, _ func(projections.Difference) error) (projections.Comparison, error) {
			if busy {
				return projections.Comparison{}, projections.ErrComparing
			}
			close(begun)
			<-ctx.Done()
			ended <- ctx.Err()
			return projections.Comparison{}, ctx.Err()
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/api/v1/audit/compare", nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+r.admin.token)
		if resp, err := r.client.Do(req); err == nil {
			_ = resp.Body.Close()
			t.Error("an answer came")
		}
	}()
	<-begun
	leave()
	<-gone
	if err := <-ended; err == nil {
		t.Error("the comparison went on")
	}
	busy = true
	r.call(r.admin, "POST", "/audit/compare", nil).wants(t, 429, "too_many_requests")
	if n := len(facts[events.AuditCompared](r)); n != 0 {
		t.Errorf("%d facts of comparisons that came to nothing", n)
	}
}
