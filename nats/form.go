package nats

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/jwt/v2"
)

// accountForm counts the forms that accounts had over the versions of this program. Raise
// it with every change of what [Authority.coreAccount], [Authority.systemAccount],
// [Authority.agentAccount] or [Authority.deadAccount] sign: a server of a newer version
// replaces the accounts that a cluster holds then, and one of an older version leaves them.
//
// Accounts of an authority that was rotated are of form [rotatedForm] and carry the serial of its
// signing keys behind the digest: a server that has not heard of a rotation yet leaves what another
// one signed after it.
const accountForm = 2

// rotatedForm is above all forms of versions that know of no signing keys, so that these leave it.
const rotatedForm = 1000 + accountForm

// formTag is before the number and the digest in an account's tag.
const formTag = "sb-form"

// form is a tag that says what an account was signed for: which form, by which keys, and
// for what. Two signatures over the same account differ in their time only, and there is
// no other way to see it.
func (a *Authority) form(what string) string {
	now := a.now.Load()
	if now.doc.Serial == 0 {
		return fmt.Sprintf("%s-%d-%s", formTag, accountForm, digest(a.operatorID, a.corePub, a.systemPub, a.agentsPub, what))
	}
	sum := digest(slices.Concat([]string{a.operatorID, now.operatorPub, a.corePub, a.systemPub}, now.coreKeys, now.systemKeys, now.agentKeys, []string{what})...)
	return fmt.Sprintf("%s-%d-%s-%d", formTag, rotatedForm, sum, now.doc.Serial)
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:16])
}

// stands reports whether an account as a server holds it needs no replacement: it is the
// wanted one, or one of a newer version of this program or of newer signing keys, but never one
// that lets a dead account's agent in.
func (a *Authority) stands(held, wanted string, dead bool) bool {
	now := a.now.Load()
	claims, err := jwt.DecodeAccountClaims(held)
	if err != nil || !slices.Contains(now.issuers, claims.Issuer) || dead && claims.Limits.LeafNodeConn != 0 {
		return false
	}
	for _, tag := range claims.Tags {
		rest, ok := strings.CutPrefix(tag, formTag+"-")
		if !ok {
			continue
		}
		if tag == wanted {
			return true
		}
		number, rest, _ := strings.Cut(rest, "-")
		form, err := strconv.Atoi(number)
		if err != nil {
			return false
		}
		mine := accountForm
		if now.doc.Serial > 0 {
			mine = rotatedForm
		}
		if form != mine {
			return form > mine
		}
		_, serial, _ := strings.Cut(rest, "-")
		n, err := strconv.Atoi(serial)
		return err == nil && n > now.doc.Serial
	}
	return false
}
