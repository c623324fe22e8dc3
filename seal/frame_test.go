package seal_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"testing"

	"pgregory.net/rapid"

	"secretsbridge/seal"
)

// talk is one call of an agent and its answer.
type talk struct {
	call           seal.Call
	agent, control seal.SigningKey
	request, reply []byte
}

func newTalk(t testing.TB, question, answer string) talk {
	t.Helper()
	agent, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	control, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	k := talk{call: seal.Call{Service: "start", Account: "AONE"}, agent: agent, control: control}
	k.request = k.call.SignRequest(agent, []byte(question))
	k.reply = k.call.SignReply(control, k.request, []byte(answer))
	return k
}

func (k talk) trusted() seal.VerifyKeys { return seal.VerifyKeys{k.control.Public()} }

func TestFramesOpenForTheOtherSide(t *testing.T) {
	k := newTalk(t, "", "")
	rapid.Check(t, func(t *rapid.T) {
		call := seal.Call{Service: rapid.String().Draw(t, "service"), Account: rapid.String().Draw(t, "account")}
		body := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body")
		frame := call.SignRequest(k.agent, body)
		got, err := call.OpenRequest(k.agent.Public(), frame)
		if err != nil || !bytes.Equal(got.Body, body) || len(frame) != len(body)+seal.RequestOverhead {
			t.Fatalf("open request = %x, %v, want %x", got.Body, err, body)
		}
		reply := call.SignReply(k.control, frame, body)
		answer, err := call.OpenReply(k.trusted(), frame, reply)
		if err != nil || !bytes.Equal(answer, body) || len(reply) != len(body)+seal.ReplyOverhead {
			t.Fatalf("open reply = %x, %v, want %x", answer, err, body)
		}
	})
}

func TestEveryFlippedBitOfAFrameIsRefused(t *testing.T) {
	k := newTalk(t, `{"request":"r_1"}`, `{"result":{}}`)
	for i := range len(k.request) * 8 {
		k.request[i/8] ^= 1 << (i % 8)
		got, err := k.call.OpenRequest(k.agent.Public(), k.request)
		refused(t, "request with a flipped bit", got.Body, err, refusals...)
		// An answer to the changed request is none to the true one.
		_, err = k.call.OpenReply(k.trusted(), k.request, k.reply)
		refused(t, "answer to another request", nil, err, seal.ErrSignature)
		k.request[i/8] ^= 1 << (i % 8)
	}
	for i := range len(k.reply) * 8 {
		k.reply[i/8] ^= 1 << (i % 8)
		got, err := k.call.OpenReply(k.trusted(), k.request, k.reply)
		refused(t, "reply with a flipped bit", got, err, refusals...)
		k.reply[i/8] ^= 1 << (i % 8)
	}
	for n := range k.request {
		got, err := k.call.OpenRequest(k.agent.Public(), k.request[:n])
		refused(t, "cut request", got.Body, err, refusals...)
	}
	for n := range k.reply {
		got, err := k.call.OpenReply(k.trusted(), k.request, k.reply[:n])
		refused(t, "cut reply", got, err, refusals...)
	}
	if _, err := k.call.OpenReply(k.trusted(), k.request, append(bytes.Clone(k.reply), 0)); !errors.Is(err, seal.ErrSignature) {
		t.Errorf("extended reply: %v", err)
	}
}

func TestAFrameIsAboutOneCall(t *testing.T) {
	k := newTalk(t, "q", "a")
	for name, other := range map[string]seal.Call{
		"another service":   {Service: "fail", Account: "AONE"},
		"another account":   {Service: "start", Account: "ATWO"},
		"a shifted border":  {Service: "startA", Account: "ONE"},
		"nothing":           {},
		"service, no agent": {Service: "start"},
	} {
		got, err := other.OpenRequest(k.agent.Public(), k.request)
		refused(t, name, got.Body, err, seal.ErrSignature)
		answer, err := other.OpenReply(k.trusted(), k.request, k.reply)
		refused(t, name, answer, err, seal.ErrSignature)
	}
	// The same question once more is another request, which the old answer is none to.
	again := k.call.SignRequest(k.agent, []byte("q"))
	answer, err := k.call.OpenReply(k.trusted(), again, k.reply)
	refused(t, "a recorded answer", answer, err, seal.ErrSignature)
	first, _ := k.call.OpenRequest(k.agent.Public(), k.request)
	second, _ := k.call.OpenRequest(k.agent.Public(), again)
	if first.ID() == second.ID() || len(first.ID()) != 64 {
		t.Errorf("two requests have the ids %s and %s", first.ID(), second.ID())
	}
}

func TestAFrameIsFromOneSigner(t *testing.T) {
	k, stranger := newTalk(t, "q", "a"), newTalk(t, "q", "a")
	got, err := k.call.OpenRequest(stranger.agent.Public(), k.request)
	refused(t, "another agent's key", got.Body, err, seal.ErrSignature)
	got, err = k.call.OpenRequest(seal.VerifyKey{}, k.request)
	refused(t, "no key", got.Body, err, seal.ErrSignature)

	var unknown *seal.UnknownSignerError
	answer, err := k.call.OpenReply(stranger.trusted(), k.request, k.reply)
	refused(t, "an unknown signer", answer, err, seal.ErrSignature)
	if !errors.As(err, &unknown) || unknown.ID != k.control.Public().ID() {
		t.Errorf("an unknown signer is told as %v", err)
	}
	forged := k.call.SignReply(stranger.control, k.request, []byte("a"))
	copy(forged[2:34], k.reply[2:34])
	answer, err = k.call.OpenReply(k.trusted(), k.request, forged)
	refused(t, "forged in the signer's name", answer, err, seal.ErrSignature)
	if errors.As(err, &unknown) && unknown.ID != k.control.Public().ID() {
		t.Errorf("a forgery in a known name: %v", err)
	}
	both := append(stranger.trusted(), k.trusted()...)
	if _, err := k.call.OpenReply(both, k.request, k.reply); err != nil {
		t.Errorf("during a change of signer: %v", err)
	}
	// What an agent signs is never an answer, and an answer never a request.
	asReply := k.call.SignReply(k.agent, k.request, []byte("a"))
	got, err = k.call.OpenRequest(k.agent.Public(), asReply)
	refused(t, "a reply as request", got.Body, err, seal.ErrMalformed)
	body, err := seal.PeekReply(k.reply)
	if err != nil || string(body) != "a" {
		t.Errorf("peek = %q, %v", body, err)
	}
	if _, err := seal.PeekReply(k.request); !errors.Is(err, seal.ErrMalformed) {
		t.Errorf("peek into a request: %v", err)
	}
}

func TestUnknownVersionsOfFramesAreRefused(t *testing.T) {
	k := newTalk(t, "q", "a")
	k.request[1], k.reply[1] = 2, 0
	got, err := k.call.OpenRequest(k.agent.Public(), k.request)
	refused(t, "request of version 2", got.Body, err, seal.ErrSuite)
	answer, err := k.call.OpenReply(k.trusted(), k.request, k.reply)
	refused(t, "reply of version 0", answer, err, seal.ErrSuite)
}

// The test below knows the format from docs/security/envelopes.md alone.
func TestFramesMadeByTheDocumentOpen(t *testing.T) {
	k := newTalk(t, "question", "answer")
	agent, control := ed25519.NewKeyFromSeed(k.agent.Expose()), ed25519.NewKeyFromSeed(k.control.Expose())
	digest := func(header, body []byte) []byte {
		sum := sha256.Sum256(field(field(nil, header), body))
		return sum[:]
	}
	header := append([]byte{'Q', 1}, bytes.Repeat([]byte{7}, 32)...)
	signed := field(field(field(field(nil, "secretsbridge request frame v1"), "start"), "AONE"), digest(header, []byte("question")))
	request := bytes.Join([][]byte{header, ed25519.Sign(agent, signed), []byte("question")}, nil)
	got, err := k.call.OpenRequest(k.agent.Public(), request)
	if err != nil || string(got.Body) != "question" || got.Nonce != [32]byte(header[2:]) {
		t.Errorf("open request = %q, %v", got.Body, err)
	}

	signer := sha256.Sum256(field(field(nil, "secretsbridge signer key v1"), []byte(control.Public().(ed25519.PublicKey))))
	asked := sha256.Sum256(request)
	header = append([]byte{'A', 1}, signer[:]...)
	signed = field(field(field(field(field(nil, "secretsbridge reply frame v1"), "start"), "AONE"), asked[:]), digest(header, []byte("answer")))
	reply := bytes.Join([][]byte{header, ed25519.Sign(control, signed), []byte("answer")}, nil)
	answer, err := k.call.OpenReply(k.trusted(), request, reply)
	if err != nil || string(answer) != "answer" {
		t.Errorf("open reply = %q, %v", answer, err)
	}
	if made := k.call.SignReply(k.control, request, []byte("answer")); !bytes.Equal(made, reply) {
		t.Errorf("the package makes %x, the document %x", made, reply)
	}
}

// goldenFrames is testdata/frames/v1.json: what was ever said must open.
type goldenFrames struct {
	Service string   `json:"service"`
	Account string   `json:"account"`
	Agent   string   `json:"agent"`
	Signer  string   `json:"signer"`
	Request hexBytes `json:"request"`
	Reply   hexBytes `json:"reply"`
}

const goldenFramesFile = "testdata/frames/v1.json"

func TestGoldenFrames(t *testing.T) {
	if _, err := os.Stat(goldenFramesFile); *writeMissing && errors.Is(err, fs.ErrNotExist) {
		k := newTalk(t, `{"request":"r_1","job":"j_1"}`, `{"result":{"attempt":1}}`)
		raw, err := json.MarshalIndent(goldenFrames{
			Service: k.call.Service, Account: k.call.Account, Agent: k.agent.Public().String(), Signer: k.control.Public().String(),
			Request: k.request, Reply: k.reply,
		}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenFramesFile, append(raw, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g, call, agent, control := readGoldenFrames(t)
	request, err := call.OpenRequest(agent, g.Request)
	if err != nil || string(request.Body) != `{"request":"r_1","job":"j_1"}` {
		t.Errorf("request = %q, %v", request.Body, err)
	}
	reply, err := call.OpenReply(seal.VerifyKeys{control}, g.Request, g.Reply)
	if err != nil || string(reply) != `{"result":{"attempt":1}}` {
		t.Errorf("reply = %q, %v", reply, err)
	}
}

func readGoldenFrames(t testing.TB) (g goldenFrames, call seal.Call, agent, control seal.VerifyKey) {
	t.Helper()
	raw, err := os.ReadFile(goldenFramesFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	if agent, err = seal.ParseVerifyKey(g.Agent); err != nil {
		t.Fatal(err)
	}
	if control, err = seal.ParseVerifyKey(g.Signer); err != nil {
		t.Fatal(err)
	}
	return g, seal.Call{Service: g.Service, Account: g.Account}, agent, control
}

func FuzzOpenRequest(f *testing.F) {
	g, call, agent, _ := readGoldenFrames(f)
	seedFrames(f, g.Request, g.Reply)
	f.Fuzz(func(t *testing.T, frame []byte) {
		kept := bytes.Clone(frame)
		got, err := call.OpenRequest(agent, frame)
		onlyFrame(t, g.Request, frame, kept, got.Body, err)
	})
}

func FuzzOpenReply(f *testing.F) {
	g, call, _, control := readGoldenFrames(f)
	seedFrames(f, g.Reply, g.Request)
	f.Fuzz(func(t *testing.T, frame []byte) {
		kept := bytes.Clone(frame)
		got, err := call.OpenReply(seal.VerifyKeys{control}, g.Request, frame)
		onlyFrame(t, g.Reply, frame, kept, got, err)
		if body, err := seal.PeekReply(frame); err == nil && len(body)+seal.ReplyOverhead != len(frame) {
			t.Errorf("peeked at %d bytes of a frame of %d", len(body), len(frame))
		}
	})
}

func seedFrames(f *testing.F, frames ...[]byte) {
	for _, frame := range frames {
		f.Add(frame)
		f.Add(frame[:len(frame)/2])
		f.Add(append(bytes.Clone(frame), 0))
		for _, at := range []int{0, 1, 2, 33, 34, 97, 98, len(frame) - 1} {
			changed := bytes.Clone(frame)
			changed[at] ^= 0x80
			f.Add(changed)
		}
	}
	f.Add([]byte(nil))
}

// onlyFrame checks that nothing opens but the frame that was signed.
func onlyFrame(t *testing.T, golden, frame, before, body []byte, err error) {
	t.Helper()
	if err == nil && !bytes.Equal(frame, golden) {
		t.Errorf("opened %x, which nobody signed", frame)
	}
	if err != nil {
		refused(t, "fuzzed frame", body, err, refusals...)
	}
	if !bytes.Equal(frame, before) {
		t.Error("opening changed its input")
	}
}
