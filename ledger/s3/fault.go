package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"secretsbridge/ledger"
)

// advice says what to do about codes of S3 (Amazon S3 API Reference, "Error responses").
var advice = map[string]string{
	"NoSuchBucket":                 "there is no such bucket: make it, or set SB_AUDIT_TILES to another one",
	"AccessDenied":                 "allow s3:GetObject, s3:PutObject and s3:DeleteObject under the prefix, and s3:ListBucket of the bucket",
	"PermanentRedirect":            "the bucket is in another region: set AWS_REGION",
	"AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_REGION",
	"InvalidAccessKeyId":           "the store does not know the access key: give the server other AWS credentials",
	"SignatureDoesNotMatch":        "the secret key is not that of the access key: give the server other AWS credentials",
	"ExpiredToken":                 "the AWS credentials have expired: renew them",
	"InvalidToken":                 "the AWS session token is not valid: renew the credentials",
	"RequestTimeTooSkewed":         "the clock of this host is wrong: set it",
	"NotImplemented":               "the store cannot do this: use one with conditional writes and SHA-256 checksums",
	"SlowDown":                     "the store is busy; the export is tried again",
}

// fault says what a call came to. The SDK's own error is not passed on where the store answered: it
// leads to the whole request.
func (s *Store) fault(ctx context.Context, doing string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s in the bucket %s: %w", doing, s.Bucket, ended)
	}
	var answer *awshttp.ResponseError
	status, request := 0, ""
	if errors.As(err, &answer) {
		status, request = answer.HTTPStatusCode(), answer.ServiceRequestID()
	}
	var said smithy.APIError
	if !errors.As(err, &said) {
		if status != 0 {
			return fmt.Errorf("%s in the bucket %s: the store answered %d without words", doing, s.Bucket, status)
		}
		return fmt.Errorf("%s in the bucket %s: no answer: %s", doing, s.Bucket, err.Error())
	}
	code := said.ErrorCode()
	switch {
	case code == "NoSuchKey":
		return fmt.Errorf("%s in the bucket %s: %w", doing, s.Bucket, fs.ErrNotExist)
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("%s in the bucket %s: %w", doing, s.Bucket, ledger.ErrOtherObject)
	}
	text := fmt.Sprintf("%s in the bucket %s: the store answered %d %s (request %s)", doing, s.Bucket, status, code, request)
	if todo, known := advice[code]; known {
		text += ": " + todo
	}
	return errors.New(text)
}
