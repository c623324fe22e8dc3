package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// browse is a browser, for scripts: it goes wherever it is sent.
func browse() {
	pem, err := os.ReadFile(os.Getenv("SB_CA_FILE"))
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Get(os.Args[1])
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}

// TestOnlyABrowserThatWasSentIsHeard is what other pages, and other people of the machine, send
// to a port that they guess.
func TestOnlyABrowserThatWasSentIsHeard(t *testing.T) {
	const host = "127.0.0.1:43117"
	code := strings.Repeat("A", 43)
	brought := make(chan returned, 1)
	handler := waiting(host, brought)
	visit := func(method, host, target string) int {
		req := httptest.NewRequest(method, target, nil)
		req.Host = host
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, req)
		if strings.Contains(answer.Body.String(), code) {
			t.Errorf("%s %s: the page repeats the code", method, target)
		}
		return answer.Code
	}
	for _, tt := range []struct{ method, host, target string }{
		{"POST", host, "/done?code=" + code},
		{"GET", "evil.example:43117", "/done?code=" + code},
		{"GET", "localhost:43117", "/done?code=" + code},
		{"GET", host, "/?code=" + code},
		{"GET", host, "/done"},
		{"GET", host, "/done?code=" + code + "x"},
		{"GET", host, "/done?code=" + strings.Repeat("=", 43)},
		{"GET", host, "/done?code=" + code + "&error=x"},
		{"GET", host, "/done?error="},
		{"GET", host, "/done?error=%1b%5b2J"},
		{"GET", host, "/done?error=" + strings.Repeat("x", 61)},
		{"GET", host, "/favicon.ico"},
	} {
		if got := visit(tt.method, tt.host, tt.target); got != 404 || len(brought) != 0 {
			t.Errorf("%s %s%s: %d", tt.method, tt.host, tt.target, got)
		}
	}
	if got := visit("GET", host, "/done?code="+code); got != 200 {
		t.Errorf("%d", got)
	}
	if got := visit("GET", host, "/done?code="+strings.Repeat("B", 43)); got != 409 {
		t.Errorf("a second visitor: %d", got)
	}
	if got := <-brought; string(got.code.Expose()) != code || got.refusal != "" {
		t.Error("another code came")
	}
}
