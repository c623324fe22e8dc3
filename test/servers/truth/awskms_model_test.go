package truth

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"secretsbridge/kms"
	"secretsbridge/kms/awskms"
	"secretsbridge/seal"
	"secretsbridge/test/servers/awsjson"
	fake "secretsbridge/test/servers/awskms"
)

// TestAWSKMSIsAsItsModelSays drives every operation of the fake, by the product's own
// adapter and by the SDK, and holds each exchange against AWS's model.
func TestAWSKMSIsAsItsModelSays(t *testing.T) {
	awsjson.SignIn(t)
	server := fake.Start(t)
	w := newWitness(t, "kms/2014-11-01", "TrentService")
	endpoint := before(t, server.Address, nil, w.look)
	driveAdapter(t, server, endpoint)
	driveSDK(t, server, endpoint)

	w.wants(fake.Operations(),
		"Encrypt AccessDeniedException", "Encrypt DisabledException", "Encrypt InvalidKeyUsageException", "Encrypt KMSInvalidStateException",
		"Encrypt NotFoundException", "Encrypt ValidationException", "Decrypt IncorrectKeyException", "Decrypt InvalidCiphertextException",
		"Decrypt ThrottlingException", "VerifyMac KMSInvalidMacException",
	)
}

func driveAdapter(t *testing.T, server *fake.Server, endpoint string) {
	km, err := awskms.Open(t.Context(), awskms.Config{
		Key: server.CreateKey(fake.Symmetric), MACKey: server.CreateKey(fake.HMAC), Endpoint: endpoint,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := km.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	ec := kms.ContextOf(seal.Binding{Direction: seal.Read, Request: "r_1", Envelope: "r_1.0"})
	wrapped, err := km.Wrap(t.Context(), seal.NewDataKey(), ec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := km.Unwrap(t.Context(), wrapped, ec); err != nil {
		t.Fatal(err)
	}
	ec["request"] = "r_2"
	if _, err := km.Unwrap(t.Context(), wrapped, ec); err == nil {
		t.Error("another context opened it")
	}
}

func driveSDK(t *testing.T, server *fake.Server, endpoint string) {
	ctx := t.Context()
	c := sdk.NewFromConfig(settings(t), func(o *sdk.Options) { o.BaseEndpoint = aws.String(endpoint) })
	must, fails := outcomes(t)
	made, err := c.CreateKey(ctx, &sdk.CreateKeyInput{})
	must(err)
	mac, err := c.CreateKey(ctx, &sdk.CreateKeyInput{KeySpec: types.KeySpecHmac256, KeyUsage: types.KeyUsageTypeGenerateVerifyMac})
	must(err)
	key, other := made.KeyMetadata.Arn, aws.String(server.CreateKey(fake.Symmetric))
	for _, k := range []*string{key, mac.KeyMetadata.Arn} {
		_, err = c.DescribeKey(ctx, &sdk.DescribeKeyInput{KeyId: k})
		must(err)
	}
	server.SeedAlias(fake.Alias{Name: "alias/test", KeyID: *made.KeyMetadata.KeyId, Created: 1.7e9, Updated: 1.7e9})
	_, err = c.ListAliases(ctx, &sdk.ListAliasesInput{})
	must(err)

	encrypt := func(key *string, size int) ([]byte, error) {
		out, err := c.Encrypt(ctx, &sdk.EncryptInput{KeyId: key, Plaintext: make([]byte, size), EncryptionContext: map[string]string{"a": "b"}})
		if err != nil {
			return nil, err
		}
		return out.CiphertextBlob, nil
	}
	blob, err := encrypt(aws.String("alias/test"), 4096)
	must(err)
	_, err = encrypt(key, 4097)
	fails(err)
	_, err = encrypt(mac.KeyMetadata.Arn, 1)
	fails(err)
	_, err = encrypt(aws.String("arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000000"), 1)
	fails(err)
	server.Deny("Encrypt", *key, true)
	_, err = encrypt(key, 1)
	fails(err)
	server.Deny("Encrypt", *key, false)

	_, err = c.RotateKeyOnDemand(ctx, &sdk.RotateKeyOnDemandInput{KeyId: key})
	must(err)
	decrypt := func(key *string, context string) error {
		_, err := c.Decrypt(ctx, &sdk.DecryptInput{KeyId: key, CiphertextBlob: blob, EncryptionContext: map[string]string{"a": context}})
		return err
	}
	must(decrypt(key, "b"))
	must(decrypt(nil, "b"))
	fails(decrypt(other, "b"))
	fails(decrypt(key, "B"))
	server.Door.Set("throttled")
	fails(decrypt(key, "b"))
	server.Door.Set("")
	_, err = c.ReEncrypt(ctx, &sdk.ReEncryptInput{
		CiphertextBlob: blob, SourceKeyId: key, SourceEncryptionContext: map[string]string{"a": "b"}, DestinationKeyId: other,
	})
	must(err)

	sum, err := c.GenerateMac(ctx, &sdk.GenerateMacInput{KeyId: mac.KeyMetadata.Arn, Message: []byte("m"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256})
	must(err)
	for _, message := range []string{"m", "n"} {
		_, err = c.VerifyMac(ctx, &sdk.VerifyMacInput{
			KeyId: mac.KeyMetadata.Arn, Mac: sum.Mac, Message: []byte(message), MacAlgorithm: types.MacAlgorithmSpecHmacSha256,
		})
		if (err == nil) != (message == "m") {
			t.Errorf("verify %s: %v", message, err)
		}
	}

	_, err = c.DisableKey(ctx, &sdk.DisableKeyInput{KeyId: key})
	must(err)
	_, err = encrypt(key, 1)
	fails(err)
	_, err = c.EnableKey(ctx, &sdk.EnableKeyInput{KeyId: key})
	must(err)
	_, err = encrypt(key, 1)
	must(err)
	_, err = c.ScheduleKeyDeletion(ctx, &sdk.ScheduleKeyDeletionInput{KeyId: key, PendingWindowInDays: aws.Int32(7)})
	must(err)
	_, err = encrypt(key, 1)
	fails(err)
	_, err = c.DescribeKey(ctx, &sdk.DescribeKeyInput{KeyId: key})
	must(err)
}
