package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/doctor"
	"secretsbridge/internal/endpoint"
	"secretsbridge/store"
)

// noticeLate is how long a notice may be due. Trying again takes hours where a receiver is away.
const noticeLate = time.Hour

// agentsTrust is what agents accept of the port that they link to.
func agentsTrust(caFile string) (*tls.Config, error) {
	trust, err := endpoint.Trust(caFile)
	if err == nil {
		trust.MinVersion = tls.VersionTLS13
	}
	return trust, err
}

func (x *examination) mailReached(ctx context.Context) doctor.Seen {
	sender, err := x.settings.mailSender()
	switch {
	case err != nil:
		return doctor.Unsure("see configuration.settings", "%v", err)
	case sender == nil:
		return doctor.None("SB_SMTP_HOST is not set: no mail is sent")
	}
	at := net.JoinHostPort(x.settings.SMTP.Host, fmt.Sprint(x.settings.SMTP.port()))
	if err := sender.Reach(ctx); err != nil {
		return doctor.Fail("let this host reach it, and look at SB_SMTP_TLS, SB_SMTP_CA_FILE and who signs in: "+see("how-to/notices.md"), "the mail server at %s: %v", at, err)
	}
	return doctor.Fine("the mail server at %s encrypts as it is set and lets the server in", at)
}

func (x *examination) signOnReached(ctx context.Context) doctor.Seen {
	if x.settings.OIDC.Issuer == "" {
		return doctor.None("SB_OIDC_ISSUER is not set")
	}
	provider, err := (&stack{settings: x.settings, log: quiet()}).signOn()
	if err != nil {
		return doctor.Fail(see("how-to/single-sign-on.md"), "%v", err)
	}
	if err := provider.Reach(ctx); err != nil {
		return doctor.Fail("let this host reach it, and look at SB_OIDC_ISSUER and SB_OIDC_CA_FILE: "+see("how-to/single-sign-on.md"), "%v", err)
	}
	return doctor.Fine("the identity provider answers, and offers what is needed; whether it takes the client's secret is found at a sign-in")
}

func (x *examination) syslogReached(ctx context.Context) doctor.Seen {
	a := x.settings.Audit
	if a.SyslogAddr == "" {
		return doctor.None("SB_AUDIT_SYSLOG_ADDR is not set")
	}
	trust, err := a.syslogTrust()
	if err != nil {
		return doctor.Unsure("see configuration.settings", "%v", err)
	}
	conn, err := (&tls.Dialer{Config: trust}).DialContext(ctx, "tcp", a.SyslogAddr)
	if err != nil {
		return doctor.Fail("let this host reach it, and look at SB_AUDIT_SYSLOG_CA_FILE: "+see("how-to/audit-export.md")+"; nothing is lost meanwhile", "the receiver of syslog at %s: %v", a.SyslogAddr, err)
	}
	defer conn.Close()
	return doctor.Shown(conn.(*tls.Conn).ConnectionState().PeerCertificates[0], time.Now(), "renew the certificate of the receiver")
}

// tracesReached looks whether something listens where spans are sent.
func (x *examination) tracesReached(ctx context.Context) doctor.Seen {
	text := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if text == "" {
		text = os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	at, err := url.Parse(text)
	if text == "" || os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return doctor.None("no collector of traces is named")
	}
	if err != nil || at.Host == "" || at.User != nil {
		return doctor.Fail(see("how-to/observe.md"), "OTEL_EXPORTER_OTLP_ENDPOINT is no address of a collector")
	}
	addr := at.Host
	if at.Port() == "" {
		addr = net.JoinHostPort(at.Hostname(), map[string]string{"http": "80", "https": "443"}[at.Scheme])
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return doctor.Warn("start the collector or correct its address: "+see("how-to/observe.md")+"; nothing else waits for it", "the collector of traces: %v", err)
	}
	_ = conn.Close()
	return doctor.Fine("something listens at %s for traces", addr)
}

// noticesSent says whether mail, webhooks and chats get what is due: each is called when there is
// something to tell, and not to try it out.
func (x *examination) noticesSent(ctx context.Context) doctor.Seen {
	return x.onPostgres(ctx, func(pool *pgxpool.Pool) doctor.Seen {
		waiting, late, err := store.Deliveries{Pool: pool}.Depth(ctx, time.Now())
		switch {
		case err != nil:
			return doctor.Unsure("see postgres.schema", "%v", err)
		case late > noticeLate:
			return doctor.Warn("sb integration deliveries NAME, or mail: "+see("how-to/notices.md"), "%d notices wait, the oldest is due for %s", waiting, late.Round(time.Minute))
		}
		return doctor.Fine("%d notices wait, and none is late", waiting)
	})
}

// reachable is an address to call: a port on all addresses is called on this machine.
func reachable(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if port == "0" || port == "" {
		return "", errors.New("the port is chosen at the start")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
