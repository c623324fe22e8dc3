package api

import (
	"encoding/json"
	"time"
)

// Factors is what somebody can step up with.
type Factors struct {
	Items         []Factor   `json:"items"`
	RecoveryCodes int        `json:"recovery_codes"`          // that are left
	SteppedUpAt   *time.Time `json:"stepped_up_at,omitempty"` // in this session, the last time
}

// Factor is a passkey or an authenticator app.
type Factor struct {
	ID          string     `json:"id"`
	Kind        string     `json:"kind"` // passkey, totp
	Name        string     `json:"name"` // as its owner calls it; may be empty
	EnrolledAt  time.Time  `json:"enrolled_at"`
	UsedAt      *time.Time `json:"used_at,omitempty"`
	LockedUntil *time.Time `json:"locked_until,omitempty"` // too many codes were wrong
}

// NewTOTP asks for the secret of an authenticator app.
type NewTOTP struct {
	Name string `json:"name,omitempty"`
}

// TOTP is an authenticator app that waits for its first code. It is shown once.
type TOTP struct {
	ID     string    `json:"id"`
	Secret string    `json:"secret"` // base32
	URI    string    `json:"uri"`    // otpauth://totp/…, for a QR code
	Until  time.Time `json:"until"`
}

// TOTPCode is what an authenticator app shows.
type TOTPCode struct {
	Code string `json:"code"`
}

// PasskeyOptions is what a browser asks a passkey: the JSON form of Web Authentication, level 3,
// for PublicKeyCredential.parseCreationOptionsFromJSON or parseRequestOptionsFromJSON.
type PasskeyOptions struct {
	PublicKey json.RawMessage `json:"public_key"`
	Until     time.Time       `json:"until"`
}

// NewPasskey is the answer of a new passkey: what toJSON makes of a PublicKeyCredential.
type NewPasskey struct {
	Name    string          `json:"name,omitempty"`
	Passkey json.RawMessage `json:"passkey"`
}

// Enrolled is a factor that counts from now on.
type Enrolled struct {
	ID  string `json:"id"`
	Seq uint64 `json:"seq"`
}

// RecoveryCodes are fresh ones. They are shown once.
type RecoveryCodes struct {
	Codes []string `json:"codes"`
	Seq   uint64   `json:"seq"`
}

// StepUp proves a second factor, by one of its fields.
type StepUp struct {
	Passkey      json.RawMessage `json:"passkey,omitempty"` // what toJSON makes of a PublicKeyCredential
	TOTPCode     string          `json:"totp_code,omitempty"`
	RecoveryCode string          `json:"recovery_code,omitempty"`
}
