package transit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"secretsbridge/kms"
)

// about is what Transit tells of a key.
type about struct {
	Type            string         `json:"type"`
	Derived         bool           `json:"derived"`
	Exportable      bool           `json:"exportable"`
	PlaintextBackup bool           `json:"allow_plaintext_backup"`
	DeletionAllowed bool           `json:"deletion_allowed"`
	Encrypts        bool           `json:"supports_encryption"`
	Decrypts        bool           `json:"supports_decryption"`
	Latest          int            `json:"latest_version"`
	MinEncryption   int            `json:"min_encryption_version"`
	Versions        map[string]any `json:"keys"`
}

// Check implements [kms.KeyManager]: both keys are there and are what they must be, the
// token cannot make one, a fingerprint key is made, and a data key goes there and back.
func (k *Keys) Check(ctx context.Context) error {
	if err := k.check(ctx); err != nil {
		return fmt.Errorf("check vault-transit: %w", err)
	}
	return nil
}

func (k *Keys) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for name, want := range map[string]string{k.key: "aes256-gcm96", k.mac: "hmac"} {
		a, err := k.about(ctx, name)
		if err != nil {
			return err
		}
		if err := a.fits(want); err != nil {
			return fmt.Errorf("key %s/keys/%s: %w", k.mount, name, err)
		}
	}
	if err := k.mayNotCreate(ctx); err != nil {
		return err
	}
	fingerprint, err := k.fingerprintKey(ctx, "check")
	if err != nil {
		return fmt.Errorf("key %s/keys/%s: %w", k.mount, k.mac, err)
	}
	fingerprint.Zero()
	return kms.Prove(ctx, k)
}

// PrimaryKeyID implements [kms.KeyManager].
func (k *Keys) PrimaryKeyID(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("primary transit key: %w", err)
	}
	a, err := k.about(ctx, k.key)
	if err != nil {
		return "", fmt.Errorf("primary transit key: %w", err)
	}
	return k.id(k.key, a.Latest), nil
}

// PrimarySince is when the version of the key was made that wraps now.
func (k *Keys) PrimarySince(ctx context.Context) (time.Time, error) {
	a, err := k.about(ctx, k.key)
	if err != nil {
		return time.Time{}, fmt.Errorf("age of the transit key: %w", err)
	}
	made, ok := a.Versions[strconv.Itoa(a.Latest)].(float64) // seconds, as JSON has them
	if !ok {
		return time.Time{}, errors.New("age of the transit key: vault does not tell it")
	}
	return time.Unix(int64(made), 0), nil
}

func (k *Keys) about(ctx context.Context, name string) (about, error) {
	var a about
	err := k.read(ctx, k.mount+"/keys/"+name, &a)
	if errors.Is(err, kms.ErrUnknownKey) {
		return about{}, fmt.Errorf("vault has no key %s/keys/%s; it is not made by itself: check the name, or make it as docs/kms.md says: %w",
			k.mount, name, kms.ErrUnknownKey)
	}
	if err != nil {
		return about{}, fmt.Errorf("read %s/keys/%s: %w", k.mount, name, err)
	}
	if a.Latest < 1 {
		return about{}, fmt.Errorf("read %s/keys/%s: %w: vault names no version", k.mount, name, kms.ErrWrongKey)
	}
	return a, nil
}

// fits says what is wrong with a key, and what to do.
func (a about) fits(want string) error {
	wrong := func(what string) error { return fmt.Errorf("%w: %s", kms.ErrWrongKey, what) }
	switch {
	case a.Type != want:
		return wrong(fmt.Sprintf("its type is %s, make one of type %s", a.Type, want))
	case a.Derived:
		return wrong("it is derived, make one without derived and convergent_encryption")
	case want != "hmac" && (!a.Encrypts || !a.Decrypts):
		return wrong("it does not encrypt and decrypt")
	case a.Exportable || a.PlaintextBackup:
		return wrong("it can be taken out of vault (exportable, allow_plaintext_backup), make another one")
	case a.DeletionAllowed:
		return wrong("it can be deleted, and with it every sealed value: set deletion_allowed=false")
	case want == "hmac" && a.MinEncryption > macVersion:
		return wrong(fmt.Sprintf("min_encryption_version shuts version %d out, which fingerprints need: set it to 0", macVersion))
	}
	return nil
}

// mayNotCreate refuses a token that could make keys by encrypting: a key that was
// misspelt or deleted would come into being without a word.
func (k *Keys) mayNotCreate(ctx context.Context) error {
	path := k.mount + "/encrypt/" + k.key
	var answer struct {
		Capabilities []string `json:"capabilities"`
	}
	if err := k.call(ctx, "sys/capabilities-self", map[string]any{"paths": []string{path}}, &answer); err != nil {
		return fmt.Errorf("ask for the token's capabilities (policy \"default\" lets it): %w", err)
	}
	if slices.Contains(answer.Capabilities, "create") || slices.Contains(answer.Capabilities, "root") {
		return fmt.Errorf("the token may create keys at %s: give it a policy with update only, as docs/kms.md shows: %w", path, kms.ErrRefused)
	}
	return nil
}
