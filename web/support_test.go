package web_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"secretsbridge/events"
	"secretsbridge/web"
)

// TestATakenSupportBundleIsAFactWithTheDigestOfTheFile takes one as somebody who may, and as others.
func TestATakenSupportBundleIsAFactWithTheDigestOfTheFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const path = "/support/bundle"
	for _, who := range []person{r.developer, r.approver} {
		r.call(who, "GET", path, nil).wants(t, 403, "forbidden")
	}
	r.call(r.admin, "GET", path+"?all=yes", nil).wants(t, 400, "parameter_invalid")
	if taken := facts[events.SupportBundleTaken](r); len(taken) != 0 {
		t.Fatalf("facts of what nobody got: %+v", taken)
	}
	got := r.call(r.admin, "GET", path, nil).wants(t, 200, "")
	kind, as := got.Header.Get("Content-Type"), got.Header.Get("Content-Disposition")
	if kind != "application/gzip" || !strings.HasPrefix(as, `attachment; filename="support-2`) || !strings.HasSuffix(as, `.tar.gz"`) || string(got.body) != "\x1f\x8b a bundle" {
		t.Errorf("%s, %s: %q", kind, as, got.body)
	}
	digest := sha256.Sum256(got.body)
	want := events.SupportBundleTaken{Bytes: len(got.body), SHA256: base64.StdEncoding.EncodeToString(digest[:])}
	if taken := facts[events.SupportBundleTaken](r); len(taken) != 1 || taken[0].Actor != events.UserActor(r.admin.ID) || taken[0].Fact != want {
		t.Errorf("facts: %+v", taken)
	}
}

// TestASupportBundleThatIsNotMadeIsNoFact has the server be busy with another one, and fail.
func TestASupportBundleThatIsNotMadeIsNoFact(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fails := func(why error) {
		f := func(context.Context) ([]byte, error) { return nil, why }
		r.support.Store(&f)
	}
	fails(web.ErrSupportBusy)
	r.call(r.admin, "GET", "/support/bundle", nil).wants(t, 429, "too_many_requests")
	fails(errors.New("postgres://u:canary-5b1e7a@db"))
	if got := r.call(r.admin, "GET", "/support/bundle", nil).wants(t, 500, "internal"); strings.Contains(string(got.body), "canary") {
		t.Errorf("the answer has what failed: %s", got.body)
	}
	if taken := facts[events.SupportBundleTaken](r); len(taken) != 0 {
		t.Errorf("facts of what nobody got: %+v", taken)
	}
}
