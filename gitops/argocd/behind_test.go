package argocd_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/gitops"
	"secretsbridge/gitops/argocd"
	"secretsbridge/internal/egress"
)

// date is what a test's Argo CD says the time is.
const date = "Fri, 27 Nov 2026 20:00:05 GMT"

var dated = time.Date(2026, 11, 27, 20, 0, 5, 0, time.UTC)

// says answers with JSON.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Date", date)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const application = `{"metadata":{"name":"shop","namespace":"argocd"},"spec":{"project":"default","destination":{"namespace":"shop"}},
	"status":{"sync":{"status":"Synced","revision":"9f2c"},"health":{"status":"Healthy"}}}`

// then answers for the application as it should, and otherwise for its tree.
func then(tree http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/resource-tree") {
			tree(w, r)
			return
		}
		says(200, application)(w, r)
	}
}

// typed answers with a type of content.
func typed(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Date", date)
		_, _ = io.WriteString(w, body)
	}
}

// redirects leads elsewhere.
func redirects(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", date)
		http.Redirect(w, r, to, http.StatusFound)
	}
}

// cut says that more comes than does.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", date)
	w.Header().Set("Content-Length", "1000000")
	_, _ = io.WriteString(w, `{"nodes":[{"kind":"Pod"`)
}

// many writes a tree of so many nodes, each of which is kept.
func many(count int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Date", date)
		_, _ = io.WriteString(w, `{"nodes":[`)
		for i := range count {
			if i > 0 {
				_, _ = io.WriteString(w, ",")
			}
			fmt.Fprintf(w, `{"kind":"Secret","namespace":"shop","name":"s-%d","uid":"u-%d","resourceVersion":"1"}`, i, i)
		}
		_, _ = io.WriteString(w, `]}`)
	}
}

// bomb unpacks to a gigabyte of one node.
func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Date", date)
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
	_, _ = io.WriteString(z, `{"nodes":[{"name":"`)
	piece := strings.Repeat("a", 1<<20)
	for range 1 << 10 {
		if _, err := io.WriteString(z, piece); err != nil {
			return // it was hung up on
		}
	}
	_ = z.Close()
}

func TestAnArgoCDThatMisbehaves(t *testing.T) {
	nested := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	pod := `{"kind":"Pod","namespace":"shop","name":"%s","uid":"u","resourceVersion":"1"}`
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   events.RolloutProblem
	}{
		"the token counts no more":           {says(401, `{"error":"no session information","code":16}`), events.RolloutUnauthorized},
		"the token may not see it":           {says(403, `{"error":"permission denied","code":7}`), events.RolloutForbidden},
		"it is not there":                    {says(404, `{"error":"applications.argoproj.io \"shop\" not found","code":5}`), events.RolloutNotFound},
		"it asks for patience":               {says(429, `{}`), events.RolloutUnreachable},
		"it is broken":                       {says(500, `{"error":"oh","code":2}`), events.RolloutUnreachable},
		"nothing is behind the gateway":      {says(502, "<html>"), events.RolloutUnreachable},
		"it is being updated":                {says(503, ``), events.RolloutUnreachable},
		"it understands nothing":             {says(400, `{}`), events.RolloutMalformed},
		"nothing is said":                    {says(204, ``), events.RolloutMalformed},
		"a page for people":                  {typed("text/html; charset=utf-8", "<!doctype html><title>Argo CD</title>"), events.RolloutMalformed},
		"a page that is called JSON":         {typed("application/json", "<!doctype html>"), events.RolloutMalformed},
		"another charset":                    {typed("application/json; charset=utf-16", application), events.RolloutMalformed},
		"no type of content":                 {typed("", application), events.RolloutMalformed},
		"a redirect to the page of sign-in":  {redirects("/login"), events.RolloutMalformed},
		"a redirect to metadata":             {redirects("http://169.254.169.254/latest/meta-data/iam/security-credentials/"), events.RolloutMalformed},
		"another application":                {says(200, strings.Replace(application, `"shop"`, `"other"`, 1)), events.RolloutMalformed},
		"no application":                     {says(200, `{}`), events.RolloutMalformed},
		"a list":                             {says(200, `[]`), events.RolloutMalformed},
		"two documents":                      {says(200, application+application), events.RolloutMalformed},
		"deep nesting":                       {says(200, `{"metadata":`+nested+`}`), events.RolloutMalformed},
		"no date":                            {undated, events.RolloutMalformed},
		"the tree needs another token":       {then(says(401, `{}`)), events.RolloutUnauthorized},
		"the tree may not be seen":           {then(says(403, `{}`)), events.RolloutForbidden},
		"the cluster cannot be reached":      {then(says(500, `{"error":"error getting cached app resource tree","code":2}`)), events.RolloutUnreachable},
		"the tree is a page for people":      {then(typed("text/html", "<html>")), events.RolloutMalformed},
		"the tree is cut off":                {then(cut), events.RolloutMalformed},
		"the tree ends too early":            {then(says(200, `{"nodes":[{"kind":"Pod"}`)), events.RolloutMalformed},
		"the tree is deep":                   {then(says(200, `{"nodes":[{"info":`+nested+`}]}`)), events.RolloutMalformed},
		"what is beside the nodes is deep":   {then(says(200, `{"hosts":`+nested+`,"nodes":[]}`)), events.RolloutMalformed},
		"nodes that are no list":             {then(says(200, `{"nodes":{}}`)), events.RolloutMalformed},
		"nodes twice":                        {then(says(200, `{"nodes":[],"nodes":[]}`)), events.RolloutMalformed},
		"a node of another type":             {then(says(200, `{"nodes":["x"]}`)), events.RolloutMalformed},
		"a time that is none":                {then(says(200, `{"nodes":[{"kind":"Pod","createdAt":"yesterday"}]}`)), events.RolloutMalformed},
		"a name that Kubernetes has not":     {then(says(200, fmt.Sprintf(`{"nodes":[`+pod+`]}`, "<script>"))), events.RolloutMalformed},
		"a name that is too long":            {then(says(200, fmt.Sprintf(`{"nodes":[`+pod+`]}`, strings.Repeat("a", 254)))), events.RolloutMalformed},
		"a giant tree":                       {then(many(20_001)), events.RolloutTooLarge},
		"a tree that unpacks to a gigabyte":  {then(bomb), events.RolloutTooLarge},
		"a large tree without the secret":    {then(many(20_000)), events.RolloutNotMapped},
		"an application without any objects": {then(says(200, `{"nodes":null}`)), events.RolloutNotMapped},
		"a tree without nodes":               {then(says(200, `{}`)), events.RolloutNotMapped},
	} {
		t.Run(name, func(t *testing.T) {
			argo := newArgo(t)
			argo.other = c.answer
			r := newRig(t, argo.settings())
			got := r.observe(t, vault("shop", ""))
			if got.Problem != c.want {
				t.Errorf("problem %q, want %q; log: %s", got.Problem, c.want, r.logged)
			}
			if diff := cmp.Diff(events.Observation{At: got.At, Problem: got.Problem}, got); diff != "" {
				t.Errorf("an observation with a problem says more (-want +got):\n%s", diff)
			}
			if !got.At.IsZero() && !got.At.Equal(dated) {
				t.Errorf("it was seen at %v", got.At)
			}
		})
	}
}

// undated does not say what time it is.
func undated(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, application)
}

func TestWhoIsSlowIsNotWaitedFor(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a body drop by drop": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Date", date)
			_, _ = io.WriteString(w, `{"metadata":`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			argo := newArgo(t)
			argo.other = answer
			r := newRig(t, argo.settings())
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			seen := r.Observe(ctx, "argo", []gitops.Look{vault("shop", "")})
			if seen[0].Problem != events.RolloutUnreachable {
				t.Errorf("problem %q", seen[0].Problem)
			}
		})
	}
}

func TestAConnectionThatWasLostIsMadeAgain(t *testing.T) {
	argo := newArgo(t)
	argo.other = then(says(200, `{"nodes":null}`))
	r := newRig(t, argo.settings())
	if got := r.observe(t, vault("shop", "")); got.Problem != events.RolloutNotMapped {
		t.Fatalf("problem %q", got.Problem)
	}
	argo.CloseClientConnections()
	if got := r.observe(t, vault("shop", "")); got.Problem != events.RolloutNotMapped {
		t.Errorf("problem %q once the connection was lost: %s", got.Problem, r.logged)
	}
}

func TestWhoMayNotBeCalledOrIsNotTrusted(t *testing.T) {
	argo := newArgo(t)
	argo.other = says(200, application)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	pinned := argo.settings()
	for name, c := range map[string]struct {
		change func(*events.IntegrationSettings)
		want   events.RolloutProblem
	}{
		"signed by nobody we know": {func(s *events.IntegrationSettings) { s.CA = "" }, events.RolloutUntrusted},
		"a CA that is none":        {func(s *events.IntegrationSettings) { s.CA = "x" }, events.RolloutUntrusted},
		"plain http":               {func(s *events.IntegrationSettings) { s.Address = strings.Replace(s.Address, "https", "http", 1) }, events.RolloutUnreachable},
		"no address":               {func(s *events.IntegrationSettings) { s.Address = "" }, events.RolloutUnreachable},
		"metadata":                 {func(s *events.IntegrationSettings) { s.Address = "https://169.254.169.254" }, events.RolloutUnreachable},
		"nobody there":             {func(s *events.IntegrationSettings) { s.Address = "https://" + gone.Addr().String() }, events.RolloutUnreachable},
	} {
		settings := pinned
		c.change(&settings)
		r := newRig(t, settings)
		if got := r.observe(t, vault("shop", "")); got.Problem != c.want {
			t.Errorf("%s: problem %q, want %q; log: %s", name, got.Problem, c.want, r.logged)
		}
	}

	closed := argocd.New(argocd.Config{Endpoints: endpoints{settings: pinned}, Tokens: &tokens{}})
	if seen := closed.Observe(t.Context(), "argo", []gitops.Look{vault("shop", "")}); seen[0].Problem != events.RolloutUnreachable {
		t.Errorf("this host is called although nobody allowed it: %q", seen[0].Problem)
	}
	if asked := argo.taken(); len(asked) != 0 {
		t.Errorf("it was asked %q", asked)
	}
}

func TestWhatIsMissingBesideArgoCD(t *testing.T) {
	argo := newArgo(t)
	for name, c := range map[string]struct {
		endpoint, token error
		want            events.RolloutProblem
	}{
		"the integration is off":    {endpoint: fmt.Errorf("find argo: %w", argocd.ErrDisabled), want: events.RolloutDisabled},
		"the database is away":      {endpoint: io.ErrUnexpectedEOF, want: events.RolloutUnreachable},
		"the key manager is away":   {token: io.ErrUnexpectedEOF, want: events.RolloutUnreachable},
		"everything is there (403)": {want: events.RolloutForbidden},
	} {
		r := argocd.New(argocd.Config{Endpoints: endpoints{argo.settings(), c.endpoint}, Tokens: &tokens{err: c.token}, Allow: loopback})
		argo.other = says(403, `{}`)
		seen := r.Observe(t.Context(), "argo", []gitops.Look{vault("shop", ""), vault("shop", "db")})
		for _, o := range seen {
			if o.Problem != c.want {
				t.Errorf("%s: problem %q, want %q", name, o.Problem, c.want)
			}
		}
		if _, _, problem := r.Applications(t.Context(), "argo", 10); problem != c.want {
			t.Errorf("%s: a list has the problem %q, want %q", name, problem, c.want)
		}
		if _, _, problem := r.Uses(t.Context(), "argo", 10); problem != c.want {
			t.Errorf("%s: suggestions have the problem %q, want %q", name, problem, c.want)
		}
	}
	if none := argocd.New(argocd.Config{}).Observe(t.Context(), "argo", nil); none != nil {
		t.Errorf("no look sees %v", none)
	}
	bad := vault("../../session", "")
	if got := newRig(t, argo.settings()).observe(t, bad); got.Problem != events.RolloutNotFound {
		t.Errorf("a name that leads elsewhere: %q", got.Problem)
	}
}

func TestSuggestionsPassOverWhatCannotBeSaid(t *testing.T) {
	item := func(name string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"argocd"},"status":{"resources":[{"group":"external-secrets.io","version":"v1","kind":"ExternalSecret","namespace":%q,"name":"db"}]}}`, name, name)
	}
	says500 := recording(t, "recorded/cluster-unreachable")
	i := slices.IndexFunc(says500, func(e exchange) bool { return e.Status == 500 })
	for name, c := range map[string]struct {
		items []string
		shop  http.HandlerFunc
		uses  int
		more  bool
		want  events.RolloutProblem
	}{
		"one cluster is out of reach":  {items: []string{item("far"), item("shop")}, uses: 1, more: true},
		"so is the only one":           {items: []string{item("far")}, want: events.RolloutUnreachable},
		"the token counts no more":     {items: []string{item("shop")}, shop: says(401, `{}`), want: events.RolloutUnauthorized},
		"another cannot be understood": {items: []string{item("shop")}, shop: says(200, `{"manifest":"["}`), want: events.RolloutMalformed},
	} {
		argo := newArgo(t)
		argo.other = func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/api/v1/applications":
				says(200, `{"items":[`+strings.Join(c.items, ",")+`]}`)(w, r)
			case strings.HasPrefix(r.URL.Path, "/api/v1/applications/far/"):
				says(500, string(says500[i].Body))(w, r)
			case c.shop != nil:
				c.shop(w, r)
			default:
				says(200, `{"manifest":"{\"metadata\":{\"name\":\"db\"},\"spec\":{\"data\":[{\"remoteRef\":{\"key\":\"secret/prod/db\"}}]}}"}`)(w, r)
			}
		}
		uses, more, problem := newRig(t, argo.settings()).Uses(t.Context(), "argo", 10)
		if len(uses) != c.uses || more != c.more || problem != c.want {
			t.Errorf("%s: %v, more %v, problem %q", name, uses, more, problem)
		}
	}
}

func TestTheTransportCanOnlyGET(t *testing.T) {
	argo := newArgo(t) // fails the test at anything but a GET
	transport, err := newRig(t, argo.settings()).Transport(argo.settings())
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "get"} {
		req, err := http.NewRequestWithContext(t.Context(), method, argo.URL+"/api/v1/applications/shop/sync", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		res, err := transport.RoundTrip(req)
		if !errors.Is(err, egress.ErrMethod) {
			t.Errorf("%s: %v", method, err)
		}
		if err == nil {
			_ = res.Body.Close()
		}
	}
	if asked := argo.taken(); len(asked) != 0 {
		t.Errorf("it was asked %q", asked)
	}
}
