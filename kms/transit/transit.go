// Package transit wraps data keys with the Transit secrets engine of HashiCorp Vault.
//
// Wrapping is Transit's encrypt under an aes256-gcm96 key, with the encryption context
// as associated data. Fingerprint keys are Transit's hmac under a key of its own of type
// hmac, whose version is pinned: rotating the wrapping key, and later disabling its old
// versions, changes no fingerprint. The backend creates no key and refuses a token that
// could: Transit's encrypt makes a missing key silently where it may.
package transit

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"secretsbridge/kms"
	"secretsbridge/seal"
)

const (
	// macVersion is the version of the hmac key that fingerprint keys are made under,
	// for the life of the installation.
	macVersion = 1

	// wrapSize is a wrapped key without Transit's prefix: nonce, data key, tag.
	wrapSize = 12 + seal.KeySize + 16

	// defaultTimeout bounds one call, sign-in and retries included, where the caller's
	// context does not end earlier.
	defaultTimeout = 10 * time.Second
)

// Config says which Vault, as whom, and which keys of it.
type Config struct {
	// Address is https://HOST[:PORT]. Plain http is taken for a loopback host only.
	Address string

	// CAFile is a PEM file with the authorities that sign Vault's certificate; "" means
	// the system's.
	CAFile string

	// Namespace is Vault Enterprise's; "" means the root namespace.
	Namespace string

	// Mount is where Transit is mounted; "" means "transit".
	Mount string

	// Key is the name of the wrapping key, of type aes256-gcm96.
	Key string

	// OldKeys are names of keys that only unwrap, of the same mount.
	OldKeys []string

	// MACKey is the name of the key of type hmac; "" means Key and "-mac".
	MACKey string

	Auth Auth

	// Timeout bounds one call; 0 means 10 seconds.
	Timeout time.Duration

	// Log gets sign-ins and renewals, without tokens; nil logs nothing.
	Log *slog.Logger
}

// Keys is a [kms.KeyManager] over one Transit key. It renews its token in the
// background until Close.
type Keys struct {
	mount, key, mac string
	old             []string
	timeout         time.Duration
	session         *session
}

var _ kms.KeyManager = (*Keys)(nil)

// keyName is what Transit takes as the name of a key, and a mount without slashes.
var keyName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

// Open checks the configuration. It does not talk to Vault: [Keys.Check] does.
func Open(cfg Config) (*Keys, error) {
	k, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure vault-transit: %w", err)
	}
	return k, nil
}

func open(cfg Config) (*Keys, error) {
	k := &Keys{mount: strings.Trim(cfg.Mount, "/"), key: cfg.Key, mac: cfg.MACKey, old: cfg.OldKeys, timeout: cfg.Timeout}
	if k.mount == "" {
		k.mount = "transit"
	}
	if k.mac == "" {
		k.mac = k.key + "-mac"
	}
	if k.timeout == 0 {
		k.timeout = defaultTimeout
	}
	for segment := range strings.SplitSeq(k.mount, "/") {
		if !keyName.MatchString(segment) {
			return nil, fmt.Errorf("%q is no path of a mount", cfg.Mount)
		}
	}
	for _, name := range append([]string{k.key, k.mac}, k.old...) {
		if !keyName.MatchString(name) {
			return nil, fmt.Errorf("%q is no name of a key: use letters, digits, and _ . - inside", name)
		}
	}
	if k.mac == k.key {
		return nil, errors.New("the key that wraps cannot make fingerprints: name another one, of type hmac")
	}
	if err := cfg.Auth.validate(); err != nil {
		return nil, err
	}
	client, err := newClient(cfg, k.timeout, repeatAll)
	if err != nil {
		return nil, err
	}
	door, err := newClient(cfg, k.timeout, repeatUnheard)
	if err != nil {
		return nil, err
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	k.session = &session{client: client, door: door, auth: cfg.Auth, log: log, timeout: k.timeout, signing: make(chan struct{}, 1)}
	return k, nil
}

// Close ends the renewal of the token.
func (k *Keys) Close() error {
	k.session.close()
	return nil
}

// Wrap implements [kms.KeyManager].
func (k *Keys) Wrap(ctx context.Context, key seal.DataKey, ec kms.EncryptionContext) (kms.Wrapped, error) {
	w, err := k.wrap(ctx, key, ec)
	if err != nil {
		return kms.Wrapped{}, fmt.Errorf("wrap data key: %w", err)
	}
	return w, nil
}

func (k *Keys) wrap(ctx context.Context, key seal.DataKey, ec kms.EncryptionContext) (kms.Wrapped, error) {
	if err := kms.Usable(ctx, ec); err != nil {
		return kms.Wrapped{}, err
	}
	if len(key.Expose()) != seal.KeySize {
		return kms.Wrapped{}, fmt.Errorf("no key given: %w", kms.ErrRefused)
	}
	ask := struct {
		Plaintext []byte `json:"plaintext"`
		Context   []byte `json:"associated_data"`
	}{key.Expose(), ec.Bytes()}
	var answer struct {
		Ciphertext string `json:"ciphertext"`
	}
	if err := k.call(ctx, k.mount+"/encrypt/"+k.key, ask, &answer); err != nil {
		return kms.Wrapped{}, err
	}
	version, raw, ok := parseVersioned(answer.Ciphertext)
	if !ok || len(raw) != wrapSize {
		return kms.Wrapped{}, fmt.Errorf("%w: vault's answer is no ciphertext of an aes256-gcm96 key", kms.ErrWrongKey)
	}
	return kms.Wrapped{KeyID: k.id(k.key, version), Ciphertext: raw}, nil
}

// Unwrap implements [kms.KeyManager]. The version that Transit decrypts with comes from
// the key's id alone: the stored ciphertext is without Transit's prefix.
func (k *Keys) Unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	key, err := k.unwrap(ctx, w, ec)
	if err != nil {
		return seal.DataKey{}, fmt.Errorf("unwrap data key: %w", err)
	}
	return key, nil
}

func (k *Keys) unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	if err := kms.Usable(ctx, ec); err != nil {
		return seal.DataKey{}, err
	}
	name, version, err := k.parseID(w.KeyID)
	if err != nil {
		return seal.DataKey{}, err
	}
	if len(w.Ciphertext) != wrapSize {
		return seal.DataKey{}, kms.ErrWrongContext
	}
	ask := struct {
		Ciphertext string `json:"ciphertext"`
		Context    []byte `json:"associated_data"`
	}{"vault:v" + strconv.Itoa(version) + ":" + base64.StdEncoding.EncodeToString(w.Ciphertext), ec.Bytes()}
	var answer struct {
		Plaintext []byte `json:"plaintext"`
	}
	if err := k.call(ctx, k.mount+"/decrypt/"+name, ask, &answer); err != nil {
		return seal.DataKey{}, err
	}
	key, err := seal.ParseDataKey(answer.Plaintext)
	if err != nil {
		clear(answer.Plaintext)
		return seal.DataKey{}, fmt.Errorf("%w: what it holds is no data key", kms.ErrWrongContext)
	}
	return key, nil
}

// FingerprintKey implements [kms.KeyManager].
func (k *Keys) FingerprintKey(ctx context.Context, label string) (seal.FingerprintKey, error) {
	key, err := k.fingerprintKey(ctx, label)
	if err != nil {
		return seal.FingerprintKey{}, fmt.Errorf("derive fingerprint key: %w", err)
	}
	return key, nil
}

func (k *Keys) fingerprintKey(ctx context.Context, label string) (seal.FingerprintKey, error) {
	if err := ctx.Err(); err != nil {
		return seal.FingerprintKey{}, err
	}
	message, err := kms.FingerprintMessage(label)
	if err != nil {
		return seal.FingerprintKey{}, err
	}
	ask := struct {
		Input     []byte `json:"input"`
		Algorithm string `json:"algorithm"`
		Version   int    `json:"key_version"`
	}{message, "sha2-256", macVersion}
	var answer struct {
		HMAC string `json:"hmac"`
	}
	if err := k.call(ctx, k.mount+"/hmac/"+k.mac, ask, &answer); err != nil {
		return seal.FingerprintKey{}, err
	}
	version, raw, ok := parseVersioned(answer.HMAC)
	if !ok || version != macVersion {
		return seal.FingerprintKey{}, fmt.Errorf("%w: vault's answer is no hmac of version %d", kms.ErrWrongKey, macVersion)
	}
	key, err := seal.ParseFingerprintKey(raw)
	if err != nil {
		return seal.FingerprintKey{}, fmt.Errorf("%w: %w", kms.ErrWrongKey, err)
	}
	return key, nil
}

// call writes to a path and reads the data of the answer. Its own timeout is no end of
// the caller's context and is told as [kms.ErrUnavailable].
func (k *Keys) call(ctx context.Context, path string, ask, answer any) error {
	body, err := encode(ask)
	if err != nil {
		return err
	}
	defer clear(body)
	return k.ask(ctx, answer, func(ctx context.Context, client *api.Client) (*api.Response, error) {
		return client.Logical().WriteRawWithContext(ctx, path, body)
	})
}

func (k *Keys) read(ctx context.Context, path string, answer any) error {
	return k.ask(ctx, answer, func(ctx context.Context, client *api.Client) (*api.Response, error) {
		return client.Logical().ReadRawWithContext(ctx, path)
	})
}

func (k *Keys) ask(ctx context.Context, answer any, call callFunc) error {
	ours, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	body, err := k.session.do(ours, call)
	defer clear(body)
	if err != nil {
		if ended := ctx.Err(); ended != nil {
			return fmt.Errorf("%w: %w", kms.ErrUnavailable, ended)
		}
		return err
	}
	return decode(body, answer)
}

func (k *Keys) id(name string, version int) string {
	return k.mount + "/keys/" + name + ":v" + strconv.Itoa(version)
}

// parseID takes an id apart, if it is one that this configuration may unwrap.
func (k *Keys) parseID(id string) (name string, version int, err error) {
	for _, name := range append([]string{k.key}, k.old...) {
		text, ours := strings.CutPrefix(id, k.mount+"/keys/"+name+":v")
		if !ours {
			continue
		}
		if n, err := strconv.Atoi(text); err == nil && n > 0 && id == k.id(name, n) {
			return name, n, nil
		}
	}
	return "", 0, fmt.Errorf("key %q is not one of this configuration: %w", id, kms.ErrUnknownKey)
}

// parseVersioned reads "vault:vN:BASE64".
func parseVersioned(text string) (version int, raw []byte, ok bool) {
	rest, ours := strings.CutPrefix(text, "vault:v")
	number, encoded, cut := strings.Cut(rest, ":")
	version, err := strconv.Atoi(number)
	if !ours || !cut || err != nil || version < 1 {
		return 0, nil, false
	}
	raw, err = base64.StdEncoding.DecodeString(encoded)
	return version, raw, err == nil
}
