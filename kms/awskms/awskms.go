// Package awskms wraps data keys with AWS KMS.
//
// Wrapping is Encrypt under a symmetric key, with the encryption context as it is and
// the key's ARN given to every call: KMS never chooses. Fingerprint keys are GenerateMac
// under a key of its own of spec HMAC_256, which KMS does not rotate. Credentials come
// from the SDK's standard chain.
package awskms

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"secretsbridge/internal/endpoint"
	"secretsbridge/kms"
	"secretsbridge/seal"
)

const (
	// defaultTimeout bounds one call, retries included, where the caller's context does
	// not end earlier.
	defaultTimeout = 10 * time.Second

	// attempts and maxBackoff let a call be tried for about two seconds of its timeout.
	attempts   = 3
	maxBackoff = time.Second
)

// Config says which keys. Region and credentials come from the SDK's standard chain:
// environment, shared files, web identity, container, instance.
type Config struct {
	// Key is the ARN of the symmetric key that wraps. An alias is refused: whoever may
	// move it could exchange the key without a word.
	Key string

	// OldKeys are ARNs of keys that only unwrap.
	OldKeys []string

	// MACKey is the ARN of the HMAC_256 key that fingerprints come from.
	MACKey string

	// Endpoint replaces AWS's, such as that of a VPC endpoint: https, or http to a
	// loopback host. "" means AWS's own for the region.
	Endpoint string

	// Timeout bounds one call; 0 means 10 seconds.
	Timeout time.Duration
}

// Keys is a [kms.KeyManager] over AWS KMS.
type Keys struct {
	client  *awskms.Client
	key     string
	old     []string
	mac     string
	timeout time.Duration
}

var _ kms.KeyManager = (*Keys)(nil)

// Open checks the configuration. It does not talk to KMS: [Keys.Check] does.
func Open(ctx context.Context, cfg Config) (*Keys, error) {
	k, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("configure aws-kms: %w", err)
	}
	return k, nil
}

func open(ctx context.Context, cfg Config) (*Keys, error) {
	k := &Keys{key: cfg.Key, old: cfg.OldKeys, mac: cfg.MACKey, timeout: cfg.Timeout}
	if k.timeout == 0 {
		k.timeout = defaultTimeout
	}
	home := ""
	for _, name := range append([]string{k.key, k.mac}, k.old...) {
		region, err := regionOf(name)
		if err != nil {
			return nil, err
		}
		if home != "" && region != home {
			return nil, fmt.Errorf("the keys are of the regions %s and %s: choose keys of one region", home, region)
		}
		home = region
	}
	if k.mac == k.key {
		return nil, errors.New("the key that wraps cannot make fingerprints: name another one, of spec HMAC_256")
	}
	settings, err := config.LoadDefaultConfig(ctx,
		config.WithDefaultRegion(home),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(k.timeout)),
		config.WithLogger(logging.Nop{}), // it would write about connections past our log
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff = attempts, maxBackoff
				o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(cutShort))
			})
		}))
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if settings.Region != home {
		return nil, fmt.Errorf("the region is %s and the keys are in %s: set AWS_REGION=%s", settings.Region, home, home)
	}
	k.client = awskms.NewFromConfig(settings, func(o *awskms.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
	})
	// Also one from the environment (AWS_ENDPOINT_URL), which the SDK takes as it is.
	if at := k.client.Options().BaseEndpoint; at != nil {
		if _, err := endpoint.Parse("the endpoint", *at); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// cutShort has a call repeated whose answer ended too soon: none of ours changes anything.
func cutShort(err error) aws.Ternary {
	var cut *smithy.DeserializationError
	if errors.As(err, &cut) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// regionOf is the region of a key's ARN.
func regionOf(name string) (string, error) {
	parsed, err := arn.Parse(name)
	if err != nil || parsed.Service != "kms" || parsed.Region == "" || len(parsed.Resource) < 5 || parsed.Resource[:4] != "key/" {
		return "", fmt.Errorf("%q is no ARN of a KMS key: write arn:aws:kms:REGION:ACCOUNT:key/ID, not an alias", name)
	}
	return parsed.Region, nil
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
	ours, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	out, err := k.client.Encrypt(ours, &awskms.EncryptInput{
		KeyId: aws.String(k.key), Plaintext: key.Expose(), EncryptionContext: maps.Clone(ec),
		EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
	})
	if err != nil {
		return kms.Wrapped{}, fault(ctx, err)
	}
	if aws.ToString(out.KeyId) != k.key {
		return kms.Wrapped{}, fmt.Errorf("%w: KMS wrapped under %q", kms.ErrWrongKey, aws.ToString(out.KeyId))
	}
	return kms.Wrapped{KeyID: k.key, Ciphertext: out.CiphertextBlob}, nil
}

// Unwrap implements [kms.KeyManager].
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
	if w.KeyID != k.key && !slices.Contains(k.old, w.KeyID) {
		return seal.DataKey{}, fmt.Errorf("key %q is not one of this configuration: %w", w.KeyID, kms.ErrUnknownKey)
	}
	if len(w.Ciphertext) == 0 || len(w.Ciphertext) > 6144 { // what Decrypt takes
		return seal.DataKey{}, kms.ErrWrongContext
	}
	ours, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	out, err := k.client.Decrypt(ours, &awskms.DecryptInput{
		KeyId: aws.String(w.KeyID), CiphertextBlob: w.Ciphertext, EncryptionContext: maps.Clone(ec),
		EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
	})
	if err != nil {
		return seal.DataKey{}, fault(ctx, err)
	}
	key, err := seal.ParseDataKey(out.Plaintext)
	if err != nil || aws.ToString(out.KeyId) != w.KeyID {
		clear(out.Plaintext)
		return seal.DataKey{}, fmt.Errorf("%w: what it holds is no data key of this key", kms.ErrWrongContext)
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
	ours, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	out, err := k.client.GenerateMac(ours, &awskms.GenerateMacInput{
		KeyId: aws.String(k.mac), Message: message, MacAlgorithm: types.MacAlgorithmSpecHmacSha256,
	})
	if err != nil {
		return seal.FingerprintKey{}, fault(ctx, err)
	}
	if aws.ToString(out.KeyId) != k.mac {
		clear(out.Mac)
		return seal.FingerprintKey{}, fmt.Errorf("%w: KMS made the MAC under %q", kms.ErrWrongKey, aws.ToString(out.KeyId))
	}
	key, err := seal.ParseFingerprintKey(out.Mac)
	if err != nil {
		return seal.FingerprintKey{}, fmt.Errorf("%w: %w", kms.ErrWrongKey, err)
	}
	return key, nil
}

// Check implements [kms.KeyManager]: a fingerprint key is made, and a data key goes there
// and back.
func (k *Keys) Check(ctx context.Context) error {
	fingerprint, err := k.fingerprintKey(ctx, "check")
	if err != nil {
		return fmt.Errorf("check aws-kms: MAC key %s: %w", k.mac, err)
	}
	fingerprint.Zero()
	if err := kms.Prove(ctx, k); err != nil {
		return fmt.Errorf("check aws-kms: key %s: %w", k.key, err)
	}
	return nil
}

// PrimaryKeyID implements [kms.KeyManager]. A rotation inside KMS keeps the ARN, and KMS
// keeps what is older for as long as the key lives: there is nothing to move then.
func (k *Keys) PrimaryKeyID(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("primary KMS key: %w", err)
	}
	return k.key, nil
}
