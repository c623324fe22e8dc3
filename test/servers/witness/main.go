// Command witness runs the public reference implementation of a witness of transparency logs
// (github.com/transparency-dev/witness, c2sp.org/tlog-witness) for tests.
//
// It has a key of its own, made at its start, and keeps what it saw in memory. It knows no log until one is told: POST /test/logs takes a verifier key, as a text. It prints one
// line of JSON on standard output when it serves ([ready]), and stops on SIGTERM, on SIGINT, or
// when its standard input ends, which is how it notices that whoever started it has died.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/witness/config"
	"github.com/transparency-dev/witness/omniwitness"
	"github.com/transparency-dev/witness/persistence/inmemory"
	"golang.org/x/mod/sumdb/note"
)

// ready is the line that says the server answers.
type ready struct {
	Address string `json:"address"` // http://HOST:PORT
	Key     string `json:"key"`     // of verifiers, for a policy
	PID     int    `json:"pid"`
}

// name begins the witness's, which its port makes its own.
const name = "witness.example/reference"

// maxKey bounds a verifier key, in bytes.
const maxKey = 1024

func main() {
	if err := run(); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "loopback address to serve on; port 0 takes a free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, orphaned := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		orphaned()
	}()
	seen := inmemory.New()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	secret, public, err := note.GenerateKey(rand.Reader, fmt.Sprint(name, "-", listener.Addr().(*net.TCPAddr).Port))
	if err != nil {
		return err
	}
	if public, err = fnote.VKeyToCosignatureV1(public); err != nil {
		return err
	}
	signer, err := fnote.NewSignerForCosignatureV1(secret)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /test/logs", func(w http.ResponseWriter, r *http.Request) {
		key, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxKey))
		if err == nil {
			err = know(r.Context(), seen, string(key))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	if err := json.NewEncoder(os.Stdout).Encode(ready{Address: "http://" + listener.Addr().String(), Key: public, PID: os.Getpid()}); err != nil {
		return fmt.Errorf("say that the server is ready: %w", err)
	}
	return omniwitness.Main(ctx, omniwitness.OperatorConfig{
		WitnessKeys: []note.Signer{signer}, WitnessVerifier: signer.Verifier(), ServeMux: mux, Logs: seen,
	}, seen, listener, http.DefaultClient)
}

// know makes a log known.
func know(ctx context.Context, logs omniwitness.LogConfig, key string) error {
	v, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	return logs.AddLogs(ctx, []config.Log{{VKey: key, Verifier: v, Origin: v.Name(), URL: "none"}})
}
