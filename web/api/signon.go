package api

// RedeemCode trades a code that a sign-in by the identity provider gave to a command line for a
// session of a key, which signs the call.
type RedeemCode struct {
	Sealed []byte `json:"sealed"` // base64 of a SealedCode in JSON, sealed to an intake key
}

// SealedCode is what is sealed to redeem a code: a proposal of package seal in the direction
// sign-in.
type SealedCode struct {
	Code     string `json:"code"`
	Verifier string `json:"verifier"` // of PKCE, whose challenge began the sign-in
	Key      string `json:"key"`      // public Ed25519 key of the session, "ed25519:…"
}

// SignedOff says where a browser ends its session at the identity provider as well. Empty:
// nowhere.
type SignedOff struct {
	EndSession string `json:"end_session_url,omitempty"`
}
