package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"secretsbridge/internal/endpoint"
	"secretsbridge/siem"
	"secretsbridge/siem/folder"
	"secretsbridge/siem/outlet"
	"secretsbridge/siem/syslog"
	"secretsbridge/store"
	"secretsbridge/transparency"
	"secretsbridge/worker"
)

// The loops of sinks. Their names are those of their positions, so they stay.
const (
	syslogLoop worker.LoopName = "audit-syslog"
	folderLoop worker.LoopName = "audit-folder"
)

const (
	// syslogSettle is how often a receiver is asked to confirm, which costs a connection, and so
	// how much comes twice after a crash. folderSettle is likewise for a disk.
	syslogSettle = 5 * time.Second
	folderSettle = time.Second
)

// auditSettings say where facts go as they come. Without an address and a folder they stay.
type auditSettings struct {
	SyslogAddr   string      `env:"SB_AUDIT_SYSLOG_ADDR"`
	SyslogFormat siem.Format `env:"SB_AUDIT_SYSLOG_FORMAT" envDefault:"cef"`
	SyslogCA     string      `env:"SB_AUDIT_SYSLOG_CA_FILE"`
	SyslogCert   string      `env:"SB_AUDIT_SYSLOG_CERT_FILE"`
	SyslogKey    string      `env:"SB_AUDIT_SYSLOG_KEY_FILE"`
	SyslogMost   int         `env:"SB_AUDIT_SYSLOG_MAX_BYTES" envDefault:"8192"`

	ExportDir    string      `env:"SB_AUDIT_EXPORT_DIR"`
	ExportFormat siem.Format `env:"SB_AUDIT_EXPORT_FORMAT" envDefault:"cloudevents"`
}

// validateAudit says what to write where a sink is set up by half, wrong, or cannot be used.
func (s settings) validateAudit() error {
	a := s.Audit
	if a.SyslogAddr == "" {
		for _, name := range []string{"SB_AUDIT_SYSLOG_FORMAT", "SB_AUDIT_SYSLOG_CA_FILE", "SB_AUDIT_SYSLOG_CERT_FILE", "SB_AUDIT_SYSLOG_KEY_FILE", "SB_AUDIT_SYSLOG_MAX_BYTES"} {
			if os.Getenv(name) != "" {
				return fmt.Errorf("%s is set and SB_AUDIT_SYSLOG_ADDR is not: write the receiver's host:port, or unset it", name)
			}
		}
	} else if err := a.validateSyslog(); err != nil {
		return err
	}
	if a.ExportDir == "" {
		if os.Getenv("SB_AUDIT_EXPORT_FORMAT") != "" {
			return errors.New("SB_AUDIT_EXPORT_FORMAT is set and SB_AUDIT_EXPORT_DIR is not: write a folder, or unset it")
		}
		return nil
	}
	if !a.ExportFormat.Valid() {
		return fmt.Errorf("SB_AUDIT_EXPORT_FORMAT is %q: write cloudevents, ocsf or cef", a.ExportFormat)
	}
	if !filepath.IsAbs(a.ExportDir) {
		return fmt.Errorf("SB_AUDIT_EXPORT_DIR is %q: write a whole path", a.ExportDir)
	}
	if err := folder.Check(a.ExportDir); err != nil {
		return fmt.Errorf("SB_AUDIT_EXPORT_DIR: %w", err)
	}
	return nil
}

func (a auditSettings) validateSyslog() error {
	host, port, err := net.SplitHostPort(a.SyslogAddr)
	if n, wrong := strconv.ParseUint(port, 10, 16); err != nil || host == "" || wrong != nil || n == 0 {
		return fmt.Errorf("SB_AUDIT_SYSLOG_ADDR is %q: write host:port, such as siem.example.org:6514", a.SyslogAddr)
	}
	if !a.SyslogFormat.Valid() {
		return fmt.Errorf("SB_AUDIT_SYSLOG_FORMAT is %q: write cef, ocsf or cloudevents", a.SyslogFormat)
	}
	if a.SyslogMost < syslog.MinMessage || a.SyslogMost > syslog.MaxMessage {
		return fmt.Errorf("SB_AUDIT_SYSLOG_MAX_BYTES is %d: choose %d to %d", a.SyslogMost, syslog.MinMessage, syslog.MaxMessage)
	}
	if (a.SyslogCert == "") != (a.SyslogKey == "") {
		return errors.New("of SB_AUDIT_SYSLOG_CERT_FILE and SB_AUDIT_SYSLOG_KEY_FILE one is set: write both, or none")
	}
	trust, err := a.syslogTrust()
	if err == nil && trust.GetClientCertificate != nil {
		_, err = trust.GetClientCertificate(nil)
	}
	return err
}

// syslogTrust is how the receiver is known, and how it knows us. Our certificate is read for each
// connection, so that it can be renewed while the server runs.
func (a auditSettings) syslogTrust() (*tls.Config, error) {
	trust, err := endpoint.Trust(a.SyslogCA)
	if err != nil {
		return nil, fmt.Errorf("SB_AUDIT_SYSLOG_CA_FILE: %w", err)
	}
	if a.SyslogCert != "" {
		trust.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(a.SyslogCert, a.SyslogKey)
			if err != nil {
				return nil, fmt.Errorf("SB_AUDIT_SYSLOG_CERT_FILE, SB_AUDIT_SYSLOG_KEY_FILE: %w", err)
			}
			return &pair, nil
		}
	}
	return trust, nil
}

// openSinks are the loops by which facts leave as they come. The settings were tried at start.
func (st *stack) openSinks() (all []worker.Loop) {
	a := st.settings.Audit
	add := func(name worker.LoopName, each time.Duration, sink outlet.Sink) {
		all = append(all, outlet.Loop(outlet.Config{Name: name, Feed: st.store, Positions: store.Loops{Pool: st.pool}, Sink: sink, Each: each}))
	}
	if a.SyslogAddr != "" {
		trust, err := a.syslogTrust()
		if err != nil {
			st.log.Error("facts cannot be sent to the syslog receiver", "err", err)
		} else {
			host, _ := os.Hostname() // "-" stands for none
			add(syslogLoop, syslogSettle, syslog.New(syslog.Config{
				Addr: a.SyslogAddr, Format: a.SyslogFormat, Most: a.SyslogMost, Host: syslog.Host(host), Trust: trust,
			}))
		}
	}
	if a.ExportDir != "" {
		add(folderLoop, folderSettle, &folder.Folder{Dir: a.ExportDir, Format: a.ExportFormat, Origin: st.firstCommit})
	}
	return all
}

// firstCommit is the hash of the log's first commit, which no other log has.
func (st *stack) firstCommit(ctx context.Context) (string, error) {
	first, err := st.store.At(ctx, 1)
	if err != nil {
		return "", err
	}
	leaf := transparency.LeafHash(first.Raw)
	return base64.StdEncoding.EncodeToString(leaf[:]), nil
}
