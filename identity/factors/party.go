package factors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"secretsbridge/events"
)

// ChallengeLife is how long a passkey may take to answer.
const ChallengeLife = 2 * time.Minute

// Party is this installation as passkeys know it: a relying party (Web Authentication, level 3,
// section 4).
type Party struct{ web *webauthn.WebAuthn }

// NewParty makes one. id is a domain name, such as "bridge.example.org"; each origin is https
// with that domain or one below it, and a port unless it is 443. http is for localhost alone.
func NewParty(id string, origins []string) (*Party, error) {
	if err := protocol.ValidateRPID(id); err != nil {
		return nil, fmt.Errorf("relying party %q: %w", id, err)
	}
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return nil, fmt.Errorf("origin %q is no scheme, host and port, such as https://bridge.example.org", origin)
		}
		if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost") {
			return nil, fmt.Errorf("origin %q is not https", origin)
		}
		if host := u.Hostname(); host != id && !strings.HasSuffix(host, "."+id) {
			return nil, fmt.Errorf("origin %q is not of %s", origin, id)
		}
	}
	timeout := webauthn.TimeoutConfig{Timeout: ChallengeLife, TimeoutUVD: ChallengeLife}
	made, err := webauthn.New(&webauthn.Config{
		RPID: id, RPDisplayName: issuer, RPOrigins: origins,
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationRequired,
		},
		// The end of a challenge is the store's affair: it knows our clock.
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
	})
	if err != nil {
		return nil, fmt.Errorf("relying party %q: %w", id, err)
	}
	return &Party{made}, nil
}

// ID is the domain name that passkeys are made for.
func (p *Party) ID() string { return p.web.Config.RPID }

// Origins are where the pages come from that may use passkeys.
func (p *Party) Origins() []string { return p.web.Config.RPOrigins }

// Holder is who a passkey is for. E-mail and name are for the dialog of the browser.
type Holder struct {
	User        events.UserID
	Email, Name string
	passkeys    []webauthn.Credential
}

func (h Holder) WebAuthnID() []byte                         { return []byte(h.User) }
func (h Holder) WebAuthnName() string                       { return h.Email }
func (h Holder) WebAuthnDisplayName() string                { return h.Name }
func (h Holder) WebAuthnCredentials() []webauthn.Credential { return h.passkeys }

// invite returns the options for a new passkey, for navigator.credentials.create, and what has
// to be remembered of them.
func (p *Party) invite(h Holder) (options, ceremony []byte, err error) {
	creation, asked, err := p.web.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.passkeys).CredentialDescriptors()))
	if err != nil {
		return nil, nil, fmt.Errorf("ask for a new passkey: %w", err)
	}
	return both(creation.Response, asked)
}

// admit checks a new passkey's answer. Every fault in it is [ErrProof].
func (p *Party) admit(h Holder, ceremony, answer []byte) (webauthn.Credential, error) {
	var asked webauthn.SessionData
	if err := json.Unmarshal(ceremony, &asked); err != nil {
		return webauthn.Credential{}, fmt.Errorf("read a challenge: %w", err)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return webauthn.Credential{}, ErrProof // not its detail: it tells what was sent
	}
	made, err := p.web.CreateCredential(h, asked, parsed)
	if err != nil {
		return webauthn.Credential{}, ErrProof
	}
	// What is kept is what an assertion needs. Attestations say which device somebody has, and
	// nobody asked.
	made.Attestation = webauthn.CredentialAttestation{}
	return *made, nil
}

// ask returns the options for an assertion, for navigator.credentials.get.
func (p *Party) ask(h Holder) (options, ceremony []byte, err error) {
	assertion, asked, err := p.web.BeginLogin(h)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for a passkey: %w", err)
	}
	return both(assertion.Response, asked)
}

// answered is what an assertion says once it is believed.
type answered struct {
	credential []byte
	count      uint32
	cloned     bool
}

// believe checks an assertion. Every fault in it is [ErrAssertion].
func (p *Party) believe(h Holder, ceremony, answer []byte) (answered, error) {
	var asked webauthn.SessionData
	if err := json.Unmarshal(ceremony, &asked); err != nil {
		return answered{}, fmt.Errorf("read a challenge: %w", err)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return answered{}, ErrAssertion
	}
	// The library takes a list of those that were asked for, and all of them must be there
	// still: one that was removed meanwhile ends the challenge.
	used, err := p.web.ValidateLogin(h, asked, parsed)
	if err != nil {
		return answered{}, ErrAssertion
	}
	return answered{used.ID, used.Authenticator.SignCount, used.Authenticator.CloneWarning}, nil
}

// rawID reads which passkey an answer claims to be of.
func rawID(answer []byte) ([]byte, bool) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil || len(parsed.RawID) == 0 {
		return nil, false
	}
	return parsed.RawID, true
}

func both(options, ceremony any) ([]byte, []byte, error) {
	a, err := json.Marshal(options)
	b, other := json.Marshal(ceremony)
	return a, b, errors.Join(err, other)
}

// encodePasskey and decodePasskey are what is sealed of a passkey.
func encodePasskey(c webauthn.Credential) ([]byte, error) { return json.Marshal(c) }

// decodePasskey also checks that it is the one that the row names.
func decodePasskey(plain []byte, f Factor) (webauthn.Credential, error) {
	var c webauthn.Credential
	if err := json.Unmarshal(plain, &c); err != nil || !bytes.Equal(c.ID, f.Credential) {
		return webauthn.Credential{}, fmt.Errorf("%w: %s", errBox, f.ID)
	}
	c.Authenticator.SignCount, c.Authenticator.CloneWarning = f.SignCount, false
	return c, nil
}
