package egress_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"secretsbridge/internal/egress"
)

// listener counts the connections that reach it, of which there should be none.
type listener struct {
	net.Listener
	met atomic.Int64
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.met.Add(1)
	}
	return c, err
}

// serve answers by TLS on an address of this machine.
func serve(t *testing.T, at string, answer http.HandlerFunc) (*httptest.Server, *listener) {
	t.Helper()
	open, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	counted := &listener{Listener: open}
	server := httptest.NewUnstartedServer(answer)
	server.Listener.Close()
	server.Listener = counted
	server.Config.ErrorLog = discard
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, counted
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }

func trust(server *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return pool
}

func networks(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// call gets a URL and drops the answer.
func call(t *testing.T, c *http.Client, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := egress.Do(c, req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

const path = "/services/T0/B0/canary-path-7f?sig=canary-query-7f"

func TestWhatOnlyThisServerReachesIsNotCalled(t *testing.T) {
	_, met := serve(t, "127.0.0.1:0", ok)
	_, port, _ := net.SplitHostPort(met.Addr().String())
	names := resolve(t, func(name string, _ int) []netip.Addr { // as the C library reads other spellings, and worse
		if text, ok := strings.CutPrefix(name, "to-"); ok {
			return []netip.Addr{netip.MustParseAddr(strings.ReplaceAll(strings.TrimSuffix(text, ".example"), "-", ":"))}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	})
	hosts := []string{
		"127.0.0.1", "127.0.0.2", "127.255.255.254", "0x7f000001", "0x7f.0.0.1",
		"localhost", "LOCALHOST", "localhost.", "rebound.example", "127.0.0.1.nip.example",
		"[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::]", "0.0.0.0",
		"[::ffff:0.0.0.0]", "[::ffff:169.254.169.254]", "[::ffff:10.0.0.1]",
		"169.254.169.254", "169.254.170.2", "169.254.170.23", "[fe80::1]", "[fe80::1%25lo]", "[fd00:ec2::254]", "[fd00:ec2::23]", "[fd20:ce::254]",
		"100.100.100.200", "168.63.129.16", "192.0.0.192",
		"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "[fc00::1]", "[fd12:3456::1]",
		"[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001::1]",
		"198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "[2001:db8::1]", "[3fff::1]", "224.0.0.1", "[ff02::1]", "255.255.255.255", "240.0.0.1",
		"to-2002-7f00-1--0.example", "to---1.example", "to-fd00-ec2--254.example", "to---ffff-a9fe-a9fe.example",
	}
	if len(hosts) < 40 {
		t.Fatalf("only %d targets", len(hosts))
	}
	client := egress.Client(egress.Policy{Resolver: names})
	for _, host := range hosts {
		err := call(t, client, "https://"+host+":"+port+path)
		if !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%s: %v, want that it must not be called", host, err)
			continue
		}
		if text := err.Error(); strings.Contains(text, "canary") || strings.Contains(text, "services") {
			t.Errorf("%s: the error has the path: %s", host, text)
		}
	}
	// Go's own resolver knows no such names; the C library's, which a build may use, reads them.
	for _, host := range []string{"127.1", "2130706433", "0177.0.0.1", "017700000001", "0", "0x7f000001", "0x7f.1", "localhost"} {
		for _, c := range []*http.Client{client, egress.Client(egress.Policy{})} {
			if err := call(t, c, "https://"+host+":"+port+path); !errors.Is(err, egress.ErrForbidden) && !errors.Is(err, egress.ErrUnreachable) {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
	for _, odd := range []string{"22", "25", "6443", "8200", "65535"} {
		if err := call(t, client, "https://127.0.0.1:"+odd); !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("port %s: %v", odd, err)
		}
	}
	if n := met.met.Load(); n != 0 {
		t.Errorf("%d connections reached this machine", n)
	}
}

func TestMetadataIsNeverCalled(t *testing.T) {
	client := egress.Client(egress.Policy{Private: true, Allow: networks(
		"169.254.0.0/16", "169.254.169.254/32", "fd00::/8", "100.64.0.0/10", "100.100.100.200/32", "64:ff9b::/96", "2002::/16", "64:ff9b:1::/48",
		"168.0.0.0/8", "fe80::/10", "0.0.0.0/8", "::/8", "192.0.0.0/24", "224.0.0.0/4",
	)})
	for _, host := range []string{
		"169.254.169.254", "169.254.170.2", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "[fd00:ec2::23]", "[fd20:ce::254]", "[fd00:42::42]", "100.100.100.200",
		"[64:ff9b::a9fe:a9fe]", "[64:ff9b::6464:64c8]", "[64:ff9b:1::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "168.63.129.16", "192.0.0.192",
		"[fe80::1]", "0.0.0.0", "[::]", "224.0.0.1",
		"[64:ff9b::7f00:1]", "[2002:7f00:1::]", // what a carrier leads to is not allowed by allowing the carrier
	} {
		if err := call(t, client, "https://"+host+"/latest/meta-data/"); !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestWhatIsListedIsCalled(t *testing.T) {
	server, _ := serve(t, "127.0.0.1:0", ok)
	if err := call(t, egress.Client(egress.Policy{CA: trust(server), Allow: networks("127.0.0.0/8")}), server.URL+path); err != nil {
		t.Errorf("a network that is listed: %v", err)
	}
	if err := call(t, egress.Client(egress.Policy{CA: trust(server), Allow: networks("127.0.0.2/32")}), server.URL); !errors.Is(err, egress.ErrForbidden) {
		t.Errorf("another address is listed: %v", err)
	}
	if err := call(t, egress.Client(egress.Policy{CA: trust(server), Private: true}), server.URL); !errors.Is(err, egress.ErrForbidden) {
		t.Errorf("private networks hold loopback: %v", err)
	}
	six, _ := serve(t, "[::1]:0", ok)
	if err := call(t, egress.Client(egress.Policy{CA: trust(six), Allow: networks("::1/128")}), six.URL); err != nil {
		t.Errorf("loopback of IPv6 is listed: %v", err)
	}
}

func TestANameThatLeadsElsewhereTheSecondTimeIsRefused(t *testing.T) {
	allowed, _ := serve(t, "127.0.0.1:0", ok)
	_, port, _ := net.SplitHostPort(allowed.Listener.Addr().String())
	_, behind := serve(t, "127.0.0.2:"+port, ok)
	names := resolve(t, func(_ string, nth int) []netip.Addr {
		if nth == 0 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.2")}
	})
	client := egress.Client(egress.Policy{CA: trust(allowed), Allow: networks("127.0.0.1/32"), Resolver: names})
	url := "https://example.com:" + port // a name that the certificate of httptest has
	if err := call(t, client, url); err != nil {
		t.Fatalf("the first call: %v", err)
	}
	client.CloseIdleConnections()
	if err := call(t, client, url); !errors.Is(err, egress.ErrForbidden) {
		t.Errorf("the second call: %v", err)
	}
	if behind.met.Load() != 0 {
		t.Error("the other address was reached")
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	_, behind := serve(t, "127.0.0.1:0", ok)
	for _, to := range []string{"https://169.254.169.254/latest/", "http://127.0.0.1/", "https://" + behind.Addr().String()} {
		server, _ := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
		})
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("body"))
		res, err := egress.Do(egress.Client(egress.Policy{CA: trust(server), Allow: networks("127.0.0.0/8")}), req)
		if err != nil || res.StatusCode != http.StatusTemporaryRedirect {
			t.Fatalf("%v, %v", res, err)
		}
		res.Body.Close()
	}
	if behind.met.Load() != 0 {
		t.Error("where it led was reached")
	}
}

func TestOnlyPlainHTTPSIsCalled(t *testing.T) {
	client := egress.Client(egress.Policy{Allow: networks("127.0.0.0/8", "::1/128")})
	for _, url := range []string{
		"http://127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x",
		"https://user:canary-password@127.0.0.1/", "https://hooks.example@127.0.0.1/", "https:///nowhere", "https://127.0.0.1:0/", "https://127.0.0.1:70000/",
	} {
		if err := call(t, client, url); !errors.Is(err, egress.ErrForbidden) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", url, err)
		}
		if _, err := egress.Target("the URL", url); !errors.Is(err, egress.ErrForbidden) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s is taken: %v", url, err)
		}
	}
	for _, url := range []string{"https://a.example/" + strings.Repeat("x", 2048), "https://a.example/#canary", "https://a.example/%zz-canary", ":canary"} {
		if _, err := egress.Target("the URL", url); err == nil || strings.Contains(err.Error(), "canary") || !strings.HasPrefix(err.Error(), "the URL") {
			t.Errorf("%.40s is taken: %v", url, err)
		}
	}
	at, err := egress.Target("the URL", "https://a.example:8443"+path)
	if err != nil || at.Hostname() != "a.example" {
		t.Errorf("%v, %v", at, err)
	}
}

func TestNoProxyIsAsked(t *testing.T) {
	server, _ := serve(t, "127.0.0.1:0", ok)
	_, proxy := serve(t, "127.0.0.1:0", ok)
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://"+proxy.Addr().String())
	}
	names := resolve(t, func(string, int) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	err := call(t, egress.Client(egress.Policy{CA: trust(server), Allow: networks("127.0.0.0/8"), Resolver: names}), "https://example.com:"+port)
	if err != nil || proxy.met.Load() != 0 {
		t.Errorf("%v, and %d connections to the proxy", err, proxy.met.Load())
	}
}

func TestServersAreKnownByTheirCertificates(t *testing.T) {
	server, _ := serve(t, "127.0.0.1:0", ok)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	here := func(string, int) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} }
	allow := networks("127.0.0.0/8")
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	clear := &http.Server{Handler: http.HandlerFunc(ok), ErrorLog: discard}
	go func() { _ = clear.Serve(plain) }()
	t.Cleanup(func() { _ = clear.Close() })
	old := httptest.NewUnstartedServer(http.HandlerFunc(ok))
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.Config.ErrorLog = discard
	old.StartTLS()
	t.Cleanup(old.Close)

	tests := map[string]struct {
		policy egress.Policy
		url    string
		want   error
		says   string
	}{
		"signed by nobody we know": {egress.Policy{Allow: allow}, server.URL + path, egress.ErrUntrusted, "an authority"},
		"other authorities count":  {egress.Policy{Allow: allow, CA: x509.NewCertPool()}, server.URL + path, egress.ErrUntrusted, "an authority"},
		"for another name": {
			egress.Policy{Allow: allow, CA: trust(server), Resolver: resolve(t, here)}, "https://other.test:" + port + path, egress.ErrUntrusted, "another name",
		},
		"no TLS at all": {egress.Policy{Allow: allow}, "https://" + plain.Addr().String() + path, egress.ErrUntrusted, "does not speak TLS"},
		"an old TLS":    {egress.Policy{Allow: allow, CA: trust(old)}, old.URL + path, egress.ErrUnreachable, ""},
		"nobody there":  {egress.Policy{Allow: allow}, "https://" + closed(t) + path, egress.ErrUnreachable, "refused"},
		"no such name": {
			egress.Policy{Resolver: resolve(t, func(string, int) []netip.Addr { return nil })}, "https://nobody.test" + path, egress.ErrUnreachable, "not found",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := call(t, egress.Client(tt.policy), tt.url)
			var known *egress.Error
			if !errors.Is(err, tt.want) || !errors.As(err, &known) || known.Host == "" || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %v and %q", err, tt.want, tt.says)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error has the path: %v", err)
			}
		})
	}
}

func TestAnAnswerThatIsTooLongIsNoAnswer(t *testing.T) {
	size := 0
	server, _ := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", size))
	})
	client := egress.Client(egress.Policy{CA: trust(server), Allow: networks("127.0.0.0/8"), MaxBody: 1000})
	for _, tt := range []struct {
		size int
		want error
	}{{0, nil}, {1000, nil}, {1001, egress.ErrTooLarge}, {1 << 20, egress.ErrTooLarge}} {
		size = tt.size
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		res, err := egress.Do(client, req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if !errors.Is(err, tt.want) || len(body) != min(size, 1000) {
			t.Errorf("%d bytes: %d read, %v", tt.size, len(body), err)
		}
	}
}

func TestWhoNeverAnswersIsNotWaitedFor(t *testing.T) {
	done := make(chan struct{})
	server, _ := serve(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done():
		}
	})
	defer close(done)
	client := egress.Client(egress.Policy{CA: trust(server), Allow: networks("127.0.0.0/8"), Timeout: 50e6})
	if err := call(t, client, server.URL+path); !errors.Is(err, egress.ErrTimeout) || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
	if _, err := egress.Do(client, req); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "canary") {
		t.Errorf("whoever called is gone: %v", err)
	}
}

func TestReadOnlyLetsNothingButGetPass(t *testing.T) {
	server, met := serve(t, "127.0.0.1:0", ok)
	client := egress.Client(egress.Policy{CA: trust(server), Allow: networks("127.0.0.0/8")})
	client.Transport = egress.ReadOnly(client.Transport)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "get", "SYNC"} {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := egress.Do(client, req); !errors.Is(err, egress.ErrMethod) {
			t.Errorf("%s: %v", method, err)
		}
	}
	if met.met.Load() != 0 {
		t.Error("something passed")
	}
	if err := call(t, client, server.URL); err != nil {
		t.Errorf("GET: %v", err)
	}
}
