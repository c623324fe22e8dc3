package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"testing"
)

// TestConnectionsGoOnOverANewCertificate renews the certificate while one client has a connection of
// HTTP/1.1 that it keeps and another listens to a stream: both go on, and who comes is shown the new one.
func TestConnectionsGoOnOverANewCertificate(t *testing.T) {
	dir := t.TempDir()
	ca, err := openCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	pair(t, ca, dir)
	files, err := openCertFiles(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	tell := make(chan string)
	mux := http.NewServeMux()
	mux.HandleFunc("/once", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case line := <-tell:
				fmt.Fprintf(w, "data: %s\n\n", line)
			}
		}
	})
	server := &http.Server{Handler: mux, TLSConfig: files.config(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	defer server.Close()

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.pem)
	client := func() *http.Client {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}} // HTTP/1.1
		t.Cleanup(c.CloseIdleConnections)
		return c
	}
	get := func(c *http.Client, path string) (resp *http.Response, reused bool) {
		t.Helper()
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+listener.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err = c.Do(req); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp, reused
	}
	once := func(c *http.Client) (serial string, reused bool) {
		t.Helper()
		resp, reused := get(c, "/once")
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "here" || resp.Proto != "HTTP/1.1" {
			t.Fatalf("%s by %s, %v", body, resp.Proto, err)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.String(), reused
	}
	kept := client()
	first, _ := once(kept)
	stream, _ := get(client(), "/stream")
	lines := bufio.NewReader(stream.Body)
	heard := func(want string) {
		t.Helper()
		tell <- want
		line, err := lines.ReadString('\n')
		if blank, more := lines.ReadString('\n'); err != nil || more != nil || line != "data: "+want+"\n" || blank != "\n" {
			t.Fatalf("the stream says %q, %v, %v", line, err, more)
		}
	}
	heard("before")

	pair(t, ca, dir)
	if second, _ := once(client()); second == first {
		t.Error("who comes is shown the certificate of before")
	}
	if serial, reused := once(kept); !reused || serial != first {
		t.Errorf("a connection that was kept is made again: reused %t, certificate %s and before %s", reused, serial, first)
	}
	heard("after")
}
