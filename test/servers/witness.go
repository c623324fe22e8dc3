package servers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// witnessBuildTime bounds building the witness: a minute with cold caches.
const witnessBuildTime = 10 * time.Minute

// WitnessServer is a running witness of transparency logs: the public reference implementation.
type WitnessServer struct {
	Address string `json:"address"` // http://127.0.0.1:PORT, its submission prefix
	Key     string `json:"key"`     // of verifiers, for a policy
	PID     int    `json:"pid"`

	process
}

// Witness starts a witness of its own for t, building it first if need be, and stops it when t
// ends. It knows the logs of these keys.
func Witness(t testing.TB, logs ...string) *WitnessServer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), witnessBuildTime)
	defer cancel()
	binary, err := build(ctx, "witness")
	if err != nil {
		t.Fatal(err)
	}
	server := &WitnessServer{}
	if server.process, err = start(ctx, "witness", binary, server); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	for _, log := range logs {
		if err := server.Know(ctx, log); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

// Know makes a log known by its key of verifiers.
func (s *WitnessServer) Know(ctx context.Context, key string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Address+"/test/logs", strings.NewReader(key))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("make a log known to the witness: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(res.Body)
		return fmt.Errorf("make a log known to the witness: %s: %s", res.Status, said)
	}
	return nil
}
