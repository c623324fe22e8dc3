package aws

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"secretsbridge/agent"
	"secretsbridge/internal/patience"
)

// The codes that callers here look at.
const (
	codeExists    = "ResourceExistsException"
	codeParameter = "InvalidParameterException"
	codeRequest   = "InvalidRequestException"
	codeLimit     = "LimitExceededException"
	codeToken     = "InvalidNextTokenException"
	codeValidate  = "ValidationException"
)

// codes maps what Secrets Manager may answer (API Reference: each operation's errors, and
// the common ones) to the port's errors.
var codes = map[string]fault{
	"ResourceNotFoundException": {kind: agent.ErrNotFound, text: "AWS has no such secret or value"},

	"AccessDeniedException": {kind: agent.ErrForbidden, text: "AWS denies access, by a policy or to the KMS key"},
	"AccessDenied":          {kind: agent.ErrForbidden, text: "AWS denies access, by a policy"},
	"OptInRequired":         {kind: agent.ErrForbidden, text: "the account has not opted in to the region"},
	"EncryptionFailure":     {kind: agent.ErrForbidden, text: "the KMS key of the secret cannot be used: is it enabled?"},
	"DecryptionFailure":     {kind: agent.ErrForbidden, text: "the KMS key of the secret cannot be used: is it enabled?"},
	codeRequest:             {kind: agent.ErrForbidden, text: "AWS does not allow it in the state that the secret is in"},

	"ExpiredTokenException":               {kind: agent.ErrSignIn, text: "the session has ended", renew: true},
	"ExpiredToken":                        {kind: agent.ErrSignIn, text: "the session has ended", renew: true},
	"RequestExpired":                      {kind: agent.ErrSignIn, text: "the signature has ended: is the clock of this host right?", renew: true},
	"UnrecognizedClientException":         {kind: agent.ErrSignIn, text: "AWS does not know the access key or the session", renew: true},
	"InvalidClientTokenId":                {kind: agent.ErrSignIn, text: "AWS does not know the access key or the session", renew: true},
	"InvalidSignatureException":           {kind: agent.ErrSignIn, text: "the signature is wrong: the secret key, or the clock of this host"},
	"SignatureDoesNotMatch":               {kind: agent.ErrSignIn, text: "the signature is wrong: the secret key, or the clock of this host"},
	"IncompleteSignature":                 {kind: agent.ErrSignIn, text: "the signature is not complete"},
	"IncompleteSignatureException":        {kind: agent.ErrSignIn, text: "the signature is not complete"},
	"MissingAuthenticationTokenException": {kind: agent.ErrSignIn, text: "the signature is missing"},
	"MissingAuthenticationToken":          {kind: agent.ErrSignIn, text: "the signature is missing"},
	"NotAuthorized":                       {kind: agent.ErrForbidden, text: "AWS denies access"},

	codeExists:    {kind: agent.ErrConflict, text: "there is a secret of that name"},
	codeParameter: {kind: agent.ErrNotBundle, text: "AWS does not take this request"},
	codeValidate:  {kind: agent.ErrNotBundle, text: "AWS does not take this request"},
	codeToken:     {kind: agent.ErrCursor, text: "AWS does not go on from there"},
	codeLimit:     {kind: agent.ErrUnavailable, text: "a quota of the account or of the secret is used up"},

	"ThrottlingException":       {kind: agent.ErrUnavailable, text: "AWS asks to slow down", again: true},
	"Throttling":                {kind: agent.ErrUnavailable, text: "AWS asks to slow down", again: true},
	"ThrottledException":        {kind: agent.ErrUnavailable, text: "AWS asks to slow down", again: true},
	"RequestThrottledException": {kind: agent.ErrUnavailable, text: "AWS asks to slow down", again: true},
	"TooManyRequestsException":  {kind: agent.ErrUnavailable, text: "AWS asks to slow down", again: true},
	"RequestLimitExceeded":      {kind: agent.ErrUnavailable, text: "AWS asks to slow down", again: true},

	"InternalServiceError":        {kind: agent.ErrUnavailable, text: "AWS has a fault of its own", again: true, unsure: true},
	"InternalFailure":             {kind: agent.ErrUnavailable, text: "AWS has a fault of its own", again: true, unsure: true},
	"ServiceUnavailable":          {kind: agent.ErrUnavailable, text: "AWS is not available", again: true, unsure: true},
	"ServiceUnavailableException": {kind: agent.ErrUnavailable, text: "AWS is not available", again: true, unsure: true},
	"RequestTimeout":              {kind: agent.ErrUnavailable, text: "AWS waited too long for the request", again: true, unsure: true},
	"RequestTimeoutException":     {kind: agent.ErrUnavailable, text: "AWS waited too long for the request", again: true, unsure: true},
}

// callFault gives an error of a call its place among the port's errors. The SDK's own
// error is not passed on: it leads to the request, the answer, and what AWS said.
func callFault(ctx context.Context, err error) *fault {
	if ended := ctx.Err(); ended != nil {
		return &fault{kind: agent.ErrUnavailable, text: "no answer from AWS", cause: ended, unsure: true}
	}
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() == 0 { // the SDK puts an empty answer where there is none
		return networkFault(err)
	}
	status := answer.HTTPStatusCode()
	f := statusFault(status)
	var said smithy.APIError
	if errors.As(err, &said) {
		if known, ok := codes[said.ErrorCode()]; ok {
			f = &known
			f.code = said.ErrorCode()
			f.text = fmt.Sprintf("%s: it answered %d %s", f.text, status, f.code)
		}
	}
	f.after = patience.RetryAfter(answer.Response.Header)
	return f
}

// statusFault judges an answer whose code says nothing, such as that of a proxy.
func statusFault(status int) *fault {
	f := &fault{kind: agent.ErrUnavailable, text: fmt.Sprintf("AWS answered %d with no code that it documents", status)}
	switch {
	case status < 300:
		f.text, f.again, f.unsure = "the answer is not that of Secrets Manager, or ended too soon", true, true
	case status < 400:
		f.text = "the endpoint redirects, which is not followed"
	case status == http.StatusForbidden:
		f.kind = agent.ErrForbidden
	case status == http.StatusTooManyRequests:
		f.again = true
	case status >= 500:
		f.again, f.unsure = true, true
	}
	return f
}

// networkFault says why there is no answer, in words of this host's own.
func networkFault(err error) *fault {
	f := &fault{kind: agent.ErrUnavailable, text: "no answer from AWS: the connection broke, or it speaks no HTTP", again: true, unsure: true}
	var untrusted *tls.CertificateVerificationError
	var network *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &untrusted):
		f.text, f.again, f.unsure = "the certificate of the endpoint is not trusted", false, false
	case errors.As(err, &network):
		f.text = "no answer from AWS: " + network.Error()
		f.unsure = network.Op != "dial"
	case errors.As(err, &timeout) && timeout.Timeout():
		f.text = "no answer from AWS in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.text = "no answer from AWS: the connection ended"
	}
	return f
}

// signInFault says why there are no credentials. Nothing was asked of Secrets Manager.
func signInFault(ctx context.Context, err error) *fault {
	if ended := ctx.Err(); ended != nil {
		return &fault{kind: agent.ErrUnavailable, text: "no credentials yet", cause: ended}
	}
	var answer interface{ HTTPStatusCode() int } // of AWS STS, or of a host's own service
	var said smithy.APIError
	var network net.Error
	status, code := 0, ""
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	if errors.As(err, &said) {
		code = said.ErrorCode()
	}
	switch {
	case status >= 500, status == http.StatusTooManyRequests, codes[code].again, code == "IDPCommunicationError":
		return &fault{kind: agent.ErrUnavailable, text: "the service that gives credentials is busy or failing", again: true}
	case status >= 400:
		return &fault{kind: agent.ErrSignIn, text: fmt.Sprintf("AWS STS, or the service of this host, gives no session: it answered %d%s", status, stsCode(code))}
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &fault{kind: agent.ErrUnavailable, text: "no answer from where credentials come from: AWS STS, the container's or the instance's service", again: true}
	}
	if path := os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"); path != "" {
		file, err := os.Open(path)
		if err != nil {
			return &fault{kind: agent.ErrSignIn, text: "the web identity token: " + err.Error()}
		}
		_ = file.Close()
	}
	return &fault{kind: agent.ErrSignIn, text: "AWS's chain of environment, profile, web identity, container and instance gives no credentials"}
}

// stsCode is a code of AWS STS to show, if it is one that it documents.
func stsCode(code string) string {
	switch code {
	case "AccessDenied", "ExpiredToken", "ExpiredTokenException", "IDPRejectedClaim", "InvalidClientTokenId", "InvalidIdentityToken",
		"MalformedPolicyDocument", "PackedPolicyTooLarge", "RegionDisabledException", "SignatureDoesNotMatch", "ValidationError":
		return " " + code
	}
	return ""
}
