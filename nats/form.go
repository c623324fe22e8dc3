package nats

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/jwt/v2"
)

// accountForm counts the forms that accounts had over the versions of this program. Raise
// it with every change of what [Authority.coreAccount], [Authority.systemAccount],
// [Authority.agentAccount] or [Authority.deadAccount] sign: a server of a newer version
// replaces the accounts that a cluster holds then, and one of an older version leaves them.
const accountForm = 1

// formTag is before the number and the digest in an account's tag.
const formTag = "sb-form"

// form is a tag that says what an account was signed for: which form, by which keys, and
// for what. Two signatures over the same account differ in their time only, and there is
// no other way to see it.
func (a *Authority) form(what string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{a.operatorClaims.Subject, a.corePub, a.systemPub, a.agentsPub, what}, "\n")))
	return fmt.Sprintf("%s-%d-%s", formTag, accountForm, hex.EncodeToString(sum[:16]))
}

// stands reports whether an account as a server holds it needs no replacement: it is the
// wanted one, or one of a newer version of this program, but never one that lets a dead
// account's agent in.
func (a *Authority) stands(held, wanted string, dead bool) bool {
	claims, err := jwt.DecodeAccountClaims(held)
	if err != nil || claims.Issuer != a.operatorClaims.Subject || dead && claims.Limits.LeafNodeConn != 0 {
		return false
	}
	for _, tag := range claims.Tags {
		rest, ok := strings.CutPrefix(tag, formTag+"-")
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, "-")
		n, err := strconv.Atoi(number)
		return tag == wanted || err == nil && n > accountForm
	}
	return false
}
