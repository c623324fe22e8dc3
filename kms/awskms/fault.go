package awskms

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"secretsbridge/kms"
)

// kinds maps the error codes of Encrypt, Decrypt and GenerateMac (AWS KMS API Reference)
// to the port's errors. IncorrectKey says that the ciphertext is of another key than the
// id that was stored beside it: the two were swapped.
var kinds = map[string]error{
	"InvalidCiphertextException": kms.ErrWrongContext,
	"IncorrectKeyException":      kms.ErrWrongContext,

	"NotFoundException":   kms.ErrUnknownKey,
	"InvalidArnException": kms.ErrUnknownKey,

	"InvalidKeyUsageException": kms.ErrWrongKey,

	"DisabledException":                   kms.ErrRefused,
	"KMSInvalidStateException":            kms.ErrRefused,
	"AccessDeniedException":               kms.ErrRefused,
	"InvalidGrantTokenException":          kms.ErrRefused,
	"UnrecognizedClientException":         kms.ErrRefused,
	"InvalidSignatureException":           kms.ErrRefused,
	"IncompleteSignatureException":        kms.ErrRefused,
	"MissingAuthenticationTokenException": kms.ErrRefused,
	"ExpiredTokenException":               kms.ErrRefused,
	"OptInRequired":                       kms.ErrRefused,

	"ThrottlingException":         kms.ErrUnavailable,
	"ThrottledException":          kms.ErrUnavailable,
	"TooManyRequestsException":    kms.ErrUnavailable,
	"RequestLimitExceeded":        kms.ErrUnavailable,
	"LimitExceededException":      kms.ErrUnavailable,
	"KMSInternalException":        kms.ErrUnavailable,
	"DependencyTimeoutException":  kms.ErrUnavailable,
	"KeyUnavailableException":     kms.ErrUnavailable,
	"InternalFailure":             kms.ErrUnavailable,
	"ServiceUnavailable":          kms.ErrUnavailable,
	"ServiceUnavailableException": kms.ErrUnavailable,
	"RequestTimeout":              kms.ErrUnavailable,
}

// fault gives an error of the SDK its place among the port's errors. The SDK's own error
// is not passed on, because it leads to the whole request; its words are, where KMS
// speaks of keys and rights: they name ARNs and hold no content.
func fault(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%w: %w", kms.ErrUnavailable, ended)
	}
	var answer *awshttp.ResponseError
	status, request := 0, ""
	if errors.As(err, &answer) {
		status, request = answer.HTTPStatusCode(), answer.ServiceRequestID()
	}
	var said smithy.APIError
	if !errors.As(err, &said) {
		if status == 0 {
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("%w: KMS did not answer in time", kms.ErrUnavailable)
			}
			return fmt.Errorf("%w: no answer from KMS: %s", kms.ErrUnavailable, err.Error())
		}
		return fmt.Errorf("%w: KMS answered %d without words", kms.ErrUnavailable, status)
	}
	kind, known := kinds[said.ErrorCode()]
	switch {
	case known && errors.Is(kind, kms.ErrWrongContext):
		return kind
	case !known && (status >= 500 || status == http.StatusTooManyRequests || status == 0 || status < 400):
		kind = kms.ErrUnavailable
	case !known:
		kind = kms.ErrRefused
	}
	text := said.ErrorCode()
	if errors.Is(kind, kms.ErrRefused) || errors.Is(kind, kms.ErrUnknownKey) {
		text += ", " + said.ErrorMessage()
	}
	return fmt.Errorf("%w: KMS answered %d %s (request %s)", kind, status, text, request)
}
