package truth

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// settings are those of the SDK, which tries each call once.
func settings(t *testing.T) aws.Config {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRetryMaxAttempts(1))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// outcomes are for calls that must be done, and for those that must be refused.
func outcomes(t *testing.T) (must, fails func(error)) {
	must = func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	fails = func(err error) {
		t.Helper()
		if err == nil {
			t.Error("it was done")
		}
	}
	return must, fails
}
