package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	netmail "net/mail"
	"os"
	"strings"
	"time"

	"secretsbridge/internal/endpoint"
	"secretsbridge/internal/secret"
	"secretsbridge/notices/mail"
)

// maxMailPassword bounds the file of a password, in bytes.
const maxMailPassword = 4 << 10

// smtpSettings say how mail is sent. Without a host there is none.
type smtpSettings struct {
	Host         string        `env:"SB_SMTP_HOST"`
	Port         int           `env:"SB_SMTP_PORT"` // 0: 465 for implicit, else 587
	Username     string        `env:"SB_SMTP_USERNAME"`
	Password     string        `env:"SB_SMTP_PASSWORD"`
	PasswordFile string        `env:"SB_SMTP_PASSWORD_FILE"`
	From         string        `env:"SB_SMTP_FROM"`
	Security     mail.Security `env:"SB_SMTP_TLS" envDefault:"starttls"`
	CAFile       string        `env:"SB_SMTP_CA_FILE"`
}

// validateSMTP says what to write where a part of the mail server is missing, wrong, or left over.
func (s settings) validateSMTP() error {
	m := s.SMTP
	if m.Host == "" {
		for _, name := range []string{"SB_SMTP_PORT", "SB_SMTP_USERNAME", "SB_SMTP_PASSWORD", "SB_SMTP_PASSWORD_FILE", "SB_SMTP_FROM", "SB_SMTP_TLS", "SB_SMTP_CA_FILE"} {
			if os.Getenv(name) != "" {
				return fmt.Errorf("%s is set and SB_SMTP_HOST is not: write the host of the mail server, or unset it", name)
			}
		}
		return nil
	}
	here := endpoint.Loopback(m.Host)
	switch {
	case strings.ContainsAny(m.Host, " /@") || strings.Count(m.Host, ":") == 1:
		return fmt.Errorf("SB_SMTP_HOST is %q: write a host alone, and its port as SB_SMTP_PORT", m.Host)
	case m.Port < 0 || m.Port > 65535:
		return fmt.Errorf("SB_SMTP_PORT is %d: choose 1 to 65535", m.Port)
	case m.Security != mail.StartTLS && m.Security != mail.Implicit && m.Security != mail.InClear:
		return fmt.Errorf("SB_SMTP_TLS is %q: write starttls, implicit or none", m.Security)
	case m.Security == mail.InClear && !here && s.Profile != development:
		return errors.New("SB_SMTP_TLS is none and SB_SMTP_HOST is not this machine: write starttls or implicit")
	case m.Security == mail.InClear && !here && m.Username != "":
		return errors.New("SB_SMTP_USERNAME is set and SB_SMTP_TLS is none: a password does not go over the network in clear; write starttls or implicit")
	case m.Security == mail.InClear && m.CAFile != "":
		return errors.New("SB_SMTP_CA_FILE is set and SB_SMTP_TLS is none: unset it, or write starttls or implicit")
	case m.Password != "" && m.PasswordFile != "":
		return errors.New("SB_SMTP_PASSWORD and SB_SMTP_PASSWORD_FILE are both set: write one of them")
	case m.Username != "" && m.Password == "" && m.PasswordFile == "":
		return errors.New("SB_SMTP_USERNAME is set and its password is not: write SB_SMTP_PASSWORD_FILE")
	case m.Username == "" && (m.Password != "" || m.PasswordFile != ""):
		return errors.New("a password for the mail server is set and SB_SMTP_USERNAME is not: write the name that signs in with it")
	}
	if m.Username != "" {
		password, err := m.password()
		password.Zero()
		if err != nil {
			return err
		}
	}
	_, err := s.mailSender()
	return err
}

// mailSender makes what sends mail; nil if there is no mail server. It calls nobody.
func (s settings) mailSender() (*mail.Sender, error) {
	m := s.SMTP
	if m.Host == "" {
		return nil, nil
	}
	from, err := netmail.ParseAddress(m.From)
	if err != nil {
		return nil, fmt.Errorf(`SB_SMTP_FROM is %q: write an address, such as bridge@example.org or "Secrets Bridge <bridge@example.org>"`, m.From)
	}
	var trust *tls.Config
	if m.Security != mail.InClear {
		if trust, err = endpoint.Trust(m.CAFile); err != nil {
			return nil, fmt.Errorf("SB_SMTP_CA_FILE: %w", err)
		}
	}
	sender, err := mail.New(mail.Config{
		Host: m.Host, Port: m.port(), Security: m.Security, Trust: trust, Username: m.Username, Password: m.password, From: *from, Now: time.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("SB_SMTP_FROM is %q: %w", m.From, err)
	}
	return sender, nil
}

// port is the one that is set, or that of the way in which the server is spoken to.
func (m smtpSettings) port() int {
	switch {
	case m.Port != 0:
		return m.Port
	case m.Security == mail.Implicit:
		return 465
	}
	return 587
}

// password reads a file each time, so that it can be rotated while the server runs.
func (m smtpSettings) password() (secret.Value, error) {
	if m.PasswordFile == "" {
		return secret.New([]byte(m.Password)), nil
	}
	text, err := os.ReadFile(m.PasswordFile)
	if err != nil {
		return secret.Value{}, fmt.Errorf("SB_SMTP_PASSWORD_FILE: %w", err)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || len(text) > maxMailPassword {
		return secret.Value{}, errors.New("SB_SMTP_PASSWORD_FILE holds no password")
	}
	return secret.New(text), nil
}
