package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

const (
	// noncePlace is where index.html wants the nonce of an answer.
	noncePlace = "NONCE-OF-THIS-ANSWER"

	// appPolicy is the Content Security Policy of the application: everything comes from this
	// host, and no script is made of text. Styles that the components write at run time carry the
	// nonce (CSP level 3, section 6.7.2.3; Trusted Types, section 4.2).
	appPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-%s'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default"

	// immutable is what may be said of files that have their hash in their name.
	immutable = "public, max-age=31536000, immutable"
)

// spa is the web application, ready to be sent.
type spa struct {
	index []byte
	files map[string]asset // by path, such as /assets/index-C0ffee.js
}

// asset is one file of it.
type asset struct {
	contentType string
	raw, small  []byte // small is gzip, or nil where that saves nothing
}

// loadSPA reads the application, with index.html at the root of its folder.
func loadSPA(site fs.FS) (*spa, error) {
	s := &spa{files: map[string]asset{}}
	err := fs.WalkDir(site, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(site, name)
		if err != nil {
			return err
		}
		if name == "index.html" {
			s.index = raw
			return nil
		}
		s.files["/"+name] = asset{contentType: cmp.Or(mime.TypeByExtension(path.Ext(name)), "application/octet-stream"), raw: raw, small: zipped(raw)}
		return nil
	})
	return s, err
}

// zipped compresses a file, where that is worth it.
func zipped(raw []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(raw); err != nil || w.Close() != nil || out.Len() >= len(raw) {
		return nil
	}
	return out.Bytes()
}

// serves reports whether a path is the application's: a file of it, or a page, whose address the
// application reads itself.
func (s *spa) serves(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || strings.HasPrefix(r.URL.Path, "/api/") {
		return false
	}
	_, file := s.files[r.URL.Path]
	return file || path.Ext(path.Base(r.URL.Path)) == "" || strings.Contains(r.Header.Get("Accept"), "text/html")
}

// ServeHTTP answers with a file, or with the page that shows all others.
func (s *spa) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if file, ok := s.files[r.URL.Path]; ok {
		header.Set("Content-Type", file.contentType)
		if strings.HasPrefix(r.URL.Path, "/assets/") {
			header.Set("Cache-Control", immutable)
		}
		body := file.raw
		if file.small != nil {
			header.Set("Vary", "Accept-Encoding")
			if takesGzip(r) {
				header.Set("Content-Encoding", "gzip")
				body = file.small
			}
		}
		_, _ = w.Write(body) // a reader who has gone is nobody's fault
		return
	}
	var bytesOf [16]byte
	_, _ = rand.Read(bytesOf[:]) // cannot fail (crypto/rand)
	nonce := base64.StdEncoding.EncodeToString(bytesOf[:])
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", fmt.Sprintf(appPolicy, nonce))
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	_, _ = w.Write(bytes.ReplaceAll(s.index, []byte(noncePlace), []byte(nonce)))
}

func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if coding == "gzip" && strings.ReplaceAll(quality, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

// plainPage is what a person sees who opens the address of a server that was built without the
// application.
const plainPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Secrets Bridge</title>
<h1>Secrets Bridge</h1>
<p>The control plane runs here, built without its web application: <code>make build</code> builds both.</p>
<p>Use the command line: <code>sb --help</code>. The API is described in <a href="` + Prefix + `/openapi.yaml">openapi.yaml</a>.</p>
</html>
`

func plainHome(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(plainPage))
}
