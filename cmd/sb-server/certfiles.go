package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certFiles are a certificate and its key in files, which are read again when they change: who
// renews the certificate restarts nothing. It is safe for concurrent use.
type certFiles struct {
	cert, key string // paths
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	seen    [2]stamp // of the files when they were last read, well or not
}

// stamp tells one content of a file from another, without reading it. Where a link is moved to
// another file, as Kubernetes does with mounted secrets, it is of that file.
type stamp struct {
	modified time.Time
	size     int64
	found    bool
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size(), true}
}

// openCertFiles reads both files. A certificate that has ended is refused: nobody could connect.
func openCertFiles(cert, key string, log *slog.Logger) (*certFiles, error) {
	c := &certFiles{cert: cert, key: key, log: log}
	c.seen = c.stamps()
	loaded, err := c.load()
	if err != nil {
		return nil, fmt.Errorf("SB_TLS_CERT_FILE and SB_TLS_KEY_FILE: %w", err)
	}
	c.current = loaded
	return c, nil
}

func (c *certFiles) stamps() [2]stamp { return [2]stamp{stampOf(c.cert), stampOf(c.key)} }

func (c *certFiles) load() (*tls.Certificate, error) {
	loaded, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, err
	}
	if time.Now().After(loaded.Leaf.NotAfter) {
		return nil, errors.New("the certificate ended " + loaded.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return &loaded, nil
}

// config is for a port that shows the certificate.
func (c *certFiles) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: c.get}
}

// get is asked at each handshake. Files that cannot be used leave the certificate that is there,
// and are told of once.
func (c *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.stamps()
	if now == c.seen {
		return c.current, nil
	}
	c.seen = now
	loaded, err := c.load()
	if err != nil {
		c.log.Error("the certificate was changed, and the new one cannot be used: the one before is shown", "cert", c.cert, "err", err)
		return c.current, nil
	}
	c.current = loaded
	c.log.Info("the certificate was changed, and the new one is shown", "cert", c.cert, "until", loaded.Leaf.NotAfter.UTC())
	return c.current, nil
}
