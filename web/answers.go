package web

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"secretsbridge/web/signed"
)

type signingKey struct{}

// signing keeps an answer to a signed call until it is whole, and signs it. Every answer
// is: also to a call whose own signature is wrong, and then the answer's says so. A live
// stream passes through unsigned; it only tells its reader to ask again.
type signing struct {
	http.ResponseWriter
	api     *API
	to      signed.Request
	checked bool // the call's own signature is good
	status  int  // 0 before there is one
	live    bool
	body    bytes.Buffer
	sent    func() // if there is one, is told when nothing is kept any more
}

// signingOf is the answer of a call that is signed, else nil.
func signingOf(ctx context.Context) *signing {
	w, _ := ctx.Value(signingKey{}).(*signing)
	return w
}

func (w *signing) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	if w.live = strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"); w.live {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *signing) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK) // unless there is one
	if w.live {
		return w.ResponseWriter.Write(p)
	}
	return w.body.Write(p)
}

// discard forgets what was answered so far: nothing of it was sent yet.
func (w *signing) discard() {
	clear(w.body.Bytes())
	w.body.Reset()
	w.status = 0
	w.Header().Del("Content-Disposition")
}

// Unwrap is for [http.ResponseController].
func (w *signing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// finish signs and sends what was kept.
func (w *signing) finish() {
	if w.sent != nil {
		defer w.sent()
	}
	if w.live {
		return
	}
	w.WriteHeader(http.StatusOK)
	body := w.body.Bytes()
	defer clear(body) // it may hold what is shown once
	err := signed.SignAnswer(signed.Answer{Status: w.status, Header: w.Header(), Body: body, To: w.to}, w.api.Signer, w.api.Now(), w.checked)
	if err != nil {
		w.api.Logger.Error("an answer cannot be signed", "err", err) // the client refuses it
	}
	w.ResponseWriter.WriteHeader(w.status)
	_, _ = w.ResponseWriter.Write(body)
}
