package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"secretsbridge/kms"
	"secretsbridge/seal"
	"secretsbridge/store"
)

// kmsProbe is a wrapped data key that is good for nothing but to be unwrapped at each
// start: a configuration that cannot open what is stored is found then, and not at a
// reveal (decision 0012). Fingerprint tells whether fingerprint keys are still the same.
type kmsProbe struct {
	Format      string `json:"format"`
	KeyID       string `json:"key_id"`
	Ciphertext  []byte `json:"ciphertext"`
	Fingerprint string `json:"fingerprint"`
}

const probeFile = "kms-probe.json"

const probeFormat = "secretsbridge kms probe v1"

func probeContext() kms.EncryptionContext {
	return kms.EncryptionContext{"purpose": "secretsbridge-probe-v1"}
}

// proveProbe opens the probe of an earlier start, or makes the first one.
func proveProbe(ctx context.Context, km kms.KeyManager, ring keyring) error {
	err := openProbe(ctx, km, ring)
	if !errors.Is(err, errNoProbe) {
		return err
	}
	if err := writeProbe(ctx, km, ring); err != nil {
		return err
	}
	return openProbe(ctx, km, ring) // another server may have made it
}

// errNoProbe says that no start made a probe yet.
var errNoProbe = errors.New("there is no probe")

// openProbe opens the probe of an earlier start: [errNoProbe] where there was none.
func openProbe(ctx context.Context, km kms.KeyManager, ring keyring) error {
	raw, _, err := ring.Read(ctx, probeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return errNoProbe
	}
	if err != nil {
		return fmt.Errorf("read the probe: %w", err)
	}
	path := ring.Where(probeFile)
	var p kmsProbe
	if err := json.Unmarshal(raw, &p); err != nil || p.Format != probeFormat {
		return fmt.Errorf("%s is damaged: bring it back from a backup", path)
	}
	key, err := km.Unwrap(ctx, kms.Wrapped{KeyID: p.KeyID, Ciphertext: p.Ciphertext}, probeContext())
	switch {
	case errors.Is(err, kms.ErrUnavailable):
		return err
	case err != nil:
		return fmt.Errorf("what is stored was sealed under key %q, which this configuration does not open (%w): bring that key back, "+
			"or name it among the old keys; if every value that is sealed now may be lost, remove %s", p.KeyID, err, path)
	}
	key.Zero()
	now, err := probeFingerprint(ctx, km)
	if err != nil {
		return err
	}
	if now != p.Fingerprint {
		return fmt.Errorf("%w: the MAC key is another one than before, so no new fingerprint would match an older one: "+
			"configure the former MAC key; if fingerprints may begin anew, remove %s", kms.ErrWrongKey, path)
	}
	return nil
}

// writeProbe wraps a fresh probe under the primary key. After everything was moved to
// that key, the older one is not needed for the next start either.
func writeProbe(ctx context.Context, km kms.KeyManager, ring keyring) error {
	key := seal.NewDataKey()
	defer key.Zero()
	w, err := km.Wrap(ctx, key, probeContext())
	if err != nil {
		return fmt.Errorf("make the probe: %w", err)
	}
	p := kmsProbe{Format: probeFormat, KeyID: w.KeyID, Ciphertext: w.Ciphertext}
	if p.Fingerprint, err = probeFingerprint(ctx, km); err != nil {
		return fmt.Errorf("make the probe: %w", err)
	}
	before, revision, err := ring.Read(ctx, probeFile)
	clear(before)
	if errors.Is(err, fs.ErrNotExist) {
		revision, err = 0, nil
	}
	if err == nil {
		_, err = putKey(ctx, ring, probeFile, revision, p)
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, store.ErrConflict) {
		return nil // another server made one just now
	}
	return err
}

func probeFingerprint(ctx context.Context, km kms.KeyManager) (string, error) {
	key, err := km.FingerprintKey(ctx, "kms-probe")
	if err != nil {
		return "", err
	}
	defer key.Zero()
	return seal.Fingerprint(key, "kms-probe", "kms-probe", "kms-probe", nil), nil
}
