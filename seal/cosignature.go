package seal

import "bytes"

// cosignatureStart is how a message begins that a witness signs (c2sp.org/tlog-cosignature, Ed25519).
var cosignatureStart = []byte("cosignature/v1\n")

// SignCosignature signs what a witness says of a checkpoint of a log (c2sp.org/tlog-cosignature)
// as it is: that format has no room for a domain, and begins as nothing else does that this key
// signs (see [SigningKey.SignBase]). It panics on the zero SigningKey, and on another message.
func (k SigningKey) SignCosignature(message []byte) []byte {
	if !bytes.HasPrefix(message, cosignatureStart) {
		panic("seal: no cosignature message")
	}
	return k.sign(message)
}
