package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"secretsbridge/events"
)

// ErrSupportBusy says that a support bundle is being made, or was made just now.
var ErrSupportBusy = errors.New("a support bundle is being made, or was just now")

// supportPatience bounds making one: it looks at everything that the server stands on.
const supportPatience = 45 * time.Second

// takeSupportBundle answers with what the server says of itself. That somebody takes it with them is
// a fact before it is sent.
func (a *API) takeSupportBundle(c *call) (reply, error) {
	if _, err := c.query(); err != nil {
		return reply{}, err
	}
	return a.export(c, document{
		name: "support", extension: ".tar.gz", contentType: "application/gzip", head: func(*bytes.Buffer) {},
		page: func(_ context.Context, _ string, to *bytes.Buffer) (int, string, error) {
			ctx, cancel := context.WithTimeout(c.ctx(), supportPatience)
			defer cancel()
			file, err := a.Support(ctx)
			if errors.Is(err, ErrSupportBusy) {
				return 0, "", errTooMany.because("a support bundle is being made on this server, or was just now; wait for half a minute")
			}
			if err != nil {
				return 0, "", err
			}
			digest := sha256.Sum256(file)
			if _, err := a.record(c, c.actor, events.SupportBundleTaken{Bytes: len(file), SHA256: base64.StdEncoding.EncodeToString(digest[:])}); err != nil {
				return 0, "", err
			}
			to.Write(file)
			return 1, "", nil
		},
	})
}
