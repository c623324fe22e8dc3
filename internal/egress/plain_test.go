package egress_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"secretsbridge/internal/egress"
)

func TestPlainCallsGoToListedLoopbackAddressesAlone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(server.Close)
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for name, c := range map[string]struct {
		policy egress.Policy
		url    string
		goes   bool
	}{
		"listed":            {egress.Policy{PlainLoopback: true, Allow: loopback}, server.URL, true},
		"not listed":        {egress.Policy{PlainLoopback: true}, server.URL, false},
		"not asked for":     {egress.Policy{Allow: loopback}, server.URL, false},
		"by a name":         {egress.Policy{PlainLoopback: true, Allow: loopback}, "http://localhost" + port, false},
		"with a password":   {egress.Policy{PlainLoopback: true, Allow: loopback}, "http://a:b@127.0.0.1" + port, false},
		"another address":   {egress.Policy{PlainLoopback: true, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, "http://10.0.0.1" + port, false},
		"of another scheme": {egress.Policy{PlainLoopback: true, Allow: loopback}, "ftp://127.0.0.1" + port, false},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := egress.Do(egress.Client(c.policy), req)
		if c.goes && (err != nil || res.StatusCode != http.StatusTeapot) {
			t.Errorf("%s: %v", name, err)
		}
		if !c.goes && !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%s: %v, want ErrForbidden", name, err)
		}
		if res != nil {
			res.Body.Close()
		}
	}
	for text, takes := range map[string]bool{
		"http://127.0.0.1:7000/add": true, "http://[::1]:7000": true, "https://w.example/": true,
		"http://localhost:7000": false, "http://w.example/": false, "http://10.0.0.1/": false, "http://127.0.0.1/#x": false, "127.0.0.1:7000": false,
	} {
		if _, err := egress.PlainTarget("the URL", text); (err == nil) != takes {
			t.Errorf("%s: %v", text, err)
		}
	}
}
