package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"secretsbridge/identity/factors"
	"secretsbridge/store"
)

// relyingParty is the installation as passkeys know it. Unless it is set it follows the address
// of the API: its host, or localhost where that is an address, which is no relying party (Web
// Authentication, level 3, section 5.1.2).
func (s settings) relyingParty() (*factors.Party, error) {
	id, origins := s.RPID, s.RPOrigins
	host, port, err := net.SplitHostPort(s.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("SB_HTTP_ADDR is %q: write host:port", s.HTTPAddr)
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		host = "localhost"
	}
	if id == "" {
		id = host
	}
	if len(origins) == 0 {
		origins = []string{"https://" + id}
		if id == host && port != "443" {
			origins[0] += ":" + port
		}
	}
	party, err := factors.NewParty(id, origins)
	if err != nil {
		return nil, fmt.Errorf("SB_WEBAUTHN_RP_ID, SB_WEBAUTHN_ORIGINS: %w", err)
	}
	return party, nil
}

// spent is what NATS remembers as used, from when it is reached.
type spent struct{ *stack }

// Take implements [factors.Spent].
func (s spent) Take(ctx context.Context, what string, remember time.Duration) (bool, error) {
	return s.marks.Take(ctx, what, remember)
}

// Advance implements [factors.Spent].
func (s spent) Advance(ctx context.Context, what string, from, to int64, remember time.Duration) (bool, error) {
	return s.marks.Advance(ctx, what, from, to, remember)
}

// factors keeps the second factors of people.
func (st *stack) factors() *factors.Keeper {
	return factors.New(factors.Config{
		Log: st.facts, Store: store.Factors{Pool: st.pool, Rows: st.rows}, Spent: spent{st}, Keys: st.keyManager(), Party: st.settings.Party, Logger: st.log, Now: time.Now,
	})
}
