package truth

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// before serves before an address until t ends, and returns where. It passes everything on:
// requests, whose host stays because it may be signed, after ask saw them, and answers after
// answer did, which finds the request's body by [asked]. Either may be nil.
func before(t *testing.T, address string, ask func(r *http.Request, body []byte), answer func(*http.Response) error) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ModifyResponse: answer,
	}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if ask != nil {
			ask(r, body)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), askedKey{}, body)))
	}))
	t.Cleanup(door.Close)
	return door.URL
}

type askedKey struct{}

// asked is the body of the request that an answer is to.
func asked(res *http.Response) []byte { return res.Request.Context().Value(askedKey{}).([]byte) }
