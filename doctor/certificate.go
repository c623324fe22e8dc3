package doctor

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"
)

// How long before its end a certificate, or an authority that signs some, is told of.
const (
	certificateWarns = 14 * 24 * time.Hour
	authorityWarns   = 60 * 24 * time.Hour // all that trust it have to be told of the next
)

// Pair is a certificate and its key in files, and what it is for.
type Pair struct {
	Cert, Key string   // paths
	CA        string   // path of what those who call trust; "" where nobody says
	Names     []string // hosts by which they call
	Renew     string   // the next step
}

// Look reads both files as a server does: the key must be that of the certificate, which must be
// signed by the CA, for the names, and now.
func (p Pair) Look(now time.Time) Seen {
	pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		return Fail(p.Renew, "%v", err)
	}
	if s := life(pair.Leaf, certificateWarns, now, p.Renew); s.State == Failed {
		return s
	}
	roots := x509.NewCertPool()
	if p.CA != "" {
		text, err := os.ReadFile(p.CA)
		if err != nil {
			return Fail(p.Renew, "%v", err)
		}
		if !roots.AppendCertsFromPEM(text) {
			return Fail(p.Renew, "%s holds no certificate in PEM", p.CA)
		}
		between := x509.NewCertPool()
		for _, der := range pair.Certificate[1:] {
			if c, err := x509.ParseCertificate(der); err == nil {
				between.AddCert(c)
			}
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now}); err != nil {
			return Fail(p.Renew, "who trusts %s does not take the certificate in %s: %v", p.CA, p.Cert, err)
		}
	}
	for _, name := range p.Names {
		if err := pair.Leaf.VerifyHostname(name); err != nil {
			return Fail(p.Renew, "%v", err)
		}
	}
	s := life(pair.Leaf, certificateWarns, now, p.Renew)
	if len(p.Names) > 0 {
		s.Text += fmt.Sprintf(", for %v", p.Names)
	}
	return s
}

// Authorities reads a PEM file of certificates that others' are verified by. One that has ended is
// told of, and the file fails where none is left.
func Authorities(path string, now time.Time, renew string) Seen {
	text, err := os.ReadFile(path)
	if err != nil {
		return Fail(renew, "%v", err)
	}
	var found []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return Fail("take it out, and make a new key: who reads the CA has read it", "%s holds a %q beside certificates", path, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Fail(renew, "%s has a certificate that cannot be read", path)
		}
		found = append(found, c)
	}
	if len(found) == 0 {
		return Fail(renew, "%s holds no certificate in PEM", path)
	}
	worst := Seen{State: Failed}
	for i, c := range found {
		s := life(c, authorityWarns, now, renew)
		if s.State == OK && !c.IsCA && !bytes.Equal(c.RawIssuer, c.RawSubject) {
			s = Warn(renew, "%s is not the certificate of an authority: nothing that it signed is taken", path)
		}
		if i == 0 || order[s.State] < order[worst.State] { // one that is good is enough
			worst = s
		}
	}
	worst.Text = path + ": " + worst.Text
	return worst
}

// Shown is how long a certificate that a server showed is good.
func Shown(c *x509.Certificate, now time.Time, renew string) Seen {
	return life(c, certificateWarns, now, renew)
}

// life says when a certificate ends.
func life(c *x509.Certificate, warns time.Duration, now time.Time, renew string) Seen {
	// One that lives for days only is renewed after two thirds of that.
	warns = min(warns, c.NotAfter.Sub(c.NotBefore)/3)
	left := c.NotAfter.Sub(now)
	switch {
	case now.Before(c.NotBefore):
		return Fail(renew, "the certificate begins %s only", c.NotBefore.UTC().Format(time.RFC3339))
	case left <= 0:
		return Fail(renew, "the certificate ended %s", c.NotAfter.UTC().Format(time.RFC3339))
	case left < warns:
		return Warn(renew, "the certificate ends in %s, %s", days(left), c.NotAfter.UTC().Format(time.RFC3339))
	}
	return Fine("good for %s, until %s", days(left), c.NotAfter.UTC().Format(time.RFC3339))
}

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%.0f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// Worst is of some looks at things of one kind, by their names in the order given, what the worst one
// says, and what the others say after it.
func Worst(names []string, looks map[string]Seen) Seen {
	var worst Seen
	text := ""
	for i, name := range names {
		s := looks[name]
		if i == 0 || order[s.State] > order[worst.State] {
			worst = s
		}
		if text != "" {
			text += "; "
		}
		text += name + ": " + s.Text
	}
	worst.Text = text
	return worst
}
