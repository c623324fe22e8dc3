// Package s3 has the export of a log in a bucket of Amazon S3, or of a store that speaks its
// protocol, through AWS's SDK with the SDK's standard chain of credentials.
//
// The store must be consistent and keep to If-None-Match on PutObject, as S3 does (Amazon S3 User
// Guide, "Add preconditions to S3 operations with conditional requests"); the latter is tried.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"secretsbridge/internal/endpoint"
	"secretsbridge/ledger"
)

const (
	// timeout bounds one call with its repetitions. A bundle has 240 MB at most, mostly below 1 MB.
	timeout = 10 * time.Minute

	// silence is how long a store may take to begin its answer.
	silence = 30 * time.Second

	// attempts is how often a call is tried, with the SDK's own pauses. The export's loop begins
	// again after that.
	attempts = 4
)

// Scheme begins the setting of a bucket.
const Scheme = "s3://"

// Place is a prefix in a bucket.
type Place struct{ Bucket, Prefix string }

// Amazon S3 User Guide: "General purpose bucket naming rules", and of "Naming Amazon S3 objects"
// the safe characters.
var (
	buckets  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixes = regexp.MustCompile(`^[A-Za-z0-9!_*'()-][A-Za-z0-9!_.*'()-]*(/[A-Za-z0-9!_*'()-][A-Za-z0-9!_.*'()-]*)*$`)
)

// Parse reads s3://BUCKET/PREFIX. A slash at the end may be left out, and the prefix.
func Parse(text string) (Place, error) {
	rest, ok := strings.CutPrefix(text, Scheme)
	bucket, prefix, _ := strings.Cut(rest, "/")
	prefix = strings.TrimSuffix(prefix, "/")
	if !ok || !buckets.MatchString(bucket) || prefix != "" && !prefixes.MatchString(prefix) || len(prefix) > 512 {
		return Place{}, fmt.Errorf("%q is no place in a bucket: write s3://BUCKET/PREFIX, without credentials; a prefix has letters, digits, - _ . ! * ' ( ) and single slashes, 512 characters at most", text)
	}
	return Place{bucket, prefix}, nil
}

func (p Place) String() string { return Scheme + p.Bucket + "/" + p.Prefix }

// Store is a [ledger.Objects] in a bucket. It is safe for concurrent use.
type Store struct {
	Place
	client *s3.Client
	tried  atomic.Bool // that the store keeps to If-None-Match
}

var _ ledger.Objects = (*Store)(nil)

// Open reads the SDK's configuration. It asks the store nothing.
func Open(ctx context.Context, at Place) (*Store, error) {
	settings, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = silence })),
		config.WithLogger(logging.Nop{}), // it would write about connections past our log
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = attempts
				// "Retry the upload", the User Guide says of two conditional writes at once.
				o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{"ConditionalRequestConflict": {}}})
			})
		}))
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	s := &Store{Place: at}
	s.client = s3.NewFromConfig(settings, func(o *s3.Options) {
		if o.BaseEndpoint != nil {
			// Another store (AWS_ENDPOINT_URL_S3) has no names of hosts for buckets, as a rule.
			o.UsePathStyle = true
			if o.Region == "" {
				o.Region = "us-east-1" // such a store's default, too; the signature names it
			}
		}
	})
	if base := s.client.Options().BaseEndpoint; base != nil {
		if _, err := endpoint.Parse("the endpoint of the object store (AWS_ENDPOINT_URL_S3)", *base); err != nil {
			return nil, err
		}
	}
	if s.client.Options().Region == "" {
		return nil, fmt.Errorf("the region of the bucket %s is not set: set AWS_REGION", at.Bucket)
	}
	return s, nil
}

func (s *Store) key(name string) string {
	if s.Prefix == "" {
		return name
	}
	return s.Prefix + "/" + name
}

// Top implements [ledger.Objects].
func (s *Store) Top(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	under := s.key("")
	out, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &s.Bucket, Prefix: aws.String(under), Delimiter: aws.String("/"), MaxKeys: aws.Int32(1000),
	})
	if err != nil {
		return nil, s.fault(ctx, "list "+s.String(), err)
	}
	var names []string
	for _, object := range out.Contents {
		if name := strings.TrimPrefix(aws.ToString(object.Key), under); name != "" { // "" is what consoles make for a folder
			names = append(names, name)
		}
	}
	for _, group := range out.CommonPrefixes {
		names = append(names, strings.TrimPrefix(aws.ToString(group.Prefix), under))
	}
	return names, nil
}

// Open implements [ledger.Objects].
func (s *Store) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: aws.String(s.key(name))})
	if err != nil {
		defer cancel()
		return nil, s.fault(ctx, "read "+s.key(name), err)
	}
	return &body{out.Body, cancel}, nil
}

// body is an answer that ends with its context.
type body struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// Make implements [ledger.Objects]. After a lost answer the SDK asks again, and finds its own object.
func (s *Store) Make(ctx context.Context, name string, data io.ReadSeeker) error {
	err := s.put(ctx, name, data, true)
	if err == nil && !s.tried.Load() {
		if err = s.put(ctx, name, data, true); err == nil {
			return fmt.Errorf("%s writes over what is there in spite of If-None-Match, so nothing keeps an old copy from being rewritten: use a store with conditional writes", s)
		}
	}
	if !errors.Is(err, ledger.ErrOtherObject) {
		return err
	}
	s.tried.Store(true)
	there, opened := s.Open(ctx, name)
	if opened != nil {
		return opened
	}
	defer there.Close()
	if _, err := data.Seek(0, io.SeekStart); err != nil {
		return err
	}
	switch same, read := ledger.Same(there, data); {
	case read != nil:
		return fmt.Errorf("read %s: %w", s.key(name), read)
	case same:
		return nil
	}
	return err
}

// Replace implements [ledger.Objects].
func (s *Store) Replace(ctx context.Context, name string, data []byte) error {
	return s.put(ctx, name, bytes.NewReader(data), false)
}

// put sends an object with its SHA-256, which the store compares.
func (s *Store) put(ctx context.Context, name string, data io.ReadSeeker, fresh bool) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := data.Seek(0, io.SeekStart); err != nil {
		return err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, data); err != nil {
		return err
	}
	if _, err := data.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := &s3.PutObjectInput{
		Bucket: &s.Bucket, Key: aws.String(s.key(name)), Body: data, ContentType: aws.String("application/octet-stream"),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(hash.Sum(nil))),
	}
	if fresh {
		in.IfNoneMatch = aws.String("*")
	}
	if _, err := s.client.PutObject(ctx, in); err != nil {
		return s.fault(ctx, "write "+s.key(name), err)
	}
	return nil
}

// Remove implements [ledger.Objects].
func (s *Store) Remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: aws.String(s.key(name))}); err != nil {
		return s.fault(ctx, "remove "+s.key(name), err)
	}
	return nil
}
