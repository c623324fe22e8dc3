// Package contract reads the OpenAPI text of the API and holds calls against it. It is
// for tests: nothing that runs in production imports it.
package contract

//go:generate go test -run TestErrorsPage . -update

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
)

// Operation is one line of the text.
type Operation struct {
	Method              string // upper case
	Path                string // below the prefix, such as "/requests/{id}"
	OperationID         string
	Permission          string // x-permission; "public" and "session" are none
	Public              bool   // no session is needed
	NeedsIdempotencyKey bool
	Codes               []string // x-codes: of the problems it can answer with
}

// Problem is one code of the table x-problems.
type Problem struct {
	About  string // the group it stands in
	Code   string
	Status int
	Detail string // the usual sentence
	Help   string // what to do about it; may be empty
}

// Contract is the text, ready to compare with. It is safe for concurrent use.
type Contract struct {
	model      *v3.Document
	validator  validator.Validator
	prefix     string
	operations []Operation
	problems   []Problem
}

// Load reads the text. Errors say what is wrong with it: not OpenAPI 3.1, a code that
// the table does not have, a reference to nothing.
func Load(yaml []byte) (*Contract, error) {
	document, err := libopenapi.NewDocument(yaml)
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	built, err := document.BuildV3Model()
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	c := &Contract{model: &built.Model}
	checker, errs := validator.NewValidator(document, options()...)
	if len(errs) > 0 {
		return nil, fmt.Errorf("read the contract: %w", errors.Join(errs...))
	}
	c.validator = checker
	if ok, found := checker.ValidateDocument(); !ok {
		return nil, fmt.Errorf("the contract is no OpenAPI 3.1: %w", join(found))
	}
	if len(c.model.Servers) != 1 {
		return nil, fmt.Errorf("the contract has %d servers, not one", len(c.model.Servers))
	}
	c.prefix = c.model.Servers[0].URL
	if err := c.readProblems(); err != nil {
		return nil, err
	}
	return c, c.readOperations()
}

// options make the validator strict: a field in an answer that the text does not name
// is an error, although callers must bear it. Facts, labels and objects of the governance have
// names of their own, and headers other than ours, and cookies, are HTTP's.
func options() []config.Option {
	return []config.Option{
		config.WithFormatAssertions(), config.WithStrictMode(),
		config.WithStrictIgnorePaths("$.headers.*", "$.cookies.*", "$.request.headers.*", "$.response.headers.*", "$.body.data.**", "$.body.public_key.**", "$.body.passkey.**", "$.body.items[*].data.**",
			"$.body.labels", "$.body.items[*].labels", "$.body.rules[*].labels",
			"$.body.objects[*].spec.**", "$.body.set[*].spec.**", "$.body.names"),
	}
}

// Operations are all that the text describes, in its order.
func (c *Contract) Operations() []Operation { return slices.Clone(c.operations) }

// Problems is the table of codes, in the order of the text.
func (c *Contract) Problems() []Problem { return slices.Clone(c.problems) }

// Input is what an operation takes beside its path.
type Input struct {
	Method, Path string
	Query        []*v3.Parameter
	Body         *base.Schema // nil if it takes none
}

// Inputs are those of all operations, in the order of the text.
func (c *Contract) Inputs() (all []Input) {
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			in := Input{Method: strings.ToUpper(method), Path: path}
			for _, p := range op.Parameters {
				if p.In == "query" {
					in.Query = append(in.Query, p)
				}
			}
			if op.RequestBody != nil {
				if content, ok := op.RequestBody.Content.Get("application/json"); ok {
					in.Body = content.Schema.Schema()
				}
			}
			all = append(all, in)
		}
	}
	return all
}

// Schema is one of the named schemas; nil if there is none.
func (c *Contract) Schema(name string) *base.Schema {
	proxy, ok := c.model.Components.Schemas.Get(name)
	if !ok {
		return nil
	}
	return proxy.Schema()
}

func (c *Contract) readProblems() error {
	node, ok := c.model.Extensions.Get("x-problems")
	if !ok {
		return errors.New("the contract has no x-problems")
	}
	var groups []struct {
		About string    `yaml:"about"`
		Codes []Problem `yaml:"codes"`
	}
	if err := node.Decode(&groups); err != nil {
		return fmt.Errorf("read x-problems: %w", err)
	}
	for _, group := range groups {
		for _, p := range group.Codes {
			p.About = group.About
			if _, twice := c.problem(p.Code); twice || p.Code == "" || p.Detail == "" || http.StatusText(p.Status) == "" {
				return fmt.Errorf("x-problems: the entry %q is there twice or not whole", p.Code)
			}
			c.problems = append(c.problems, p)
		}
	}
	return nil
}

func (c *Contract) problem(code string) (Problem, bool) {
	for _, p := range c.problems {
		if p.Code == code {
			return p, true
		}
	}
	return Problem{}, false
}

func (c *Contract) readOperations() error {
	var anywhere []string // codes of everything that is not public
	if node, ok := c.model.Extensions.Get("x-step-up-codes"); !ok {
		return errors.New("the contract has no x-step-up-codes")
	} else if err := node.Decode(&anywhere); err != nil {
		return fmt.Errorf("read x-step-up-codes: %w", err)
	}
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method, described := range item.GetOperations().FromOldest() {
			op := Operation{Method: strings.ToUpper(method), Path: path, OperationID: described.OperationId}
			if err := errors.Join(decode(described, "x-permission", &op.Permission), decode(described, "x-codes", &op.Codes)); err != nil {
				return fmt.Errorf("%s %s: %w", op.Method, op.Path, err)
			}
			op.Public = described.Security != nil && len(described.Security) == 0
			if op.Public != (op.Permission == "public") {
				return fmt.Errorf("%s %s: its security and its permission %q differ", op.Method, op.Path, op.Permission)
			}
			for _, p := range described.Parameters {
				op.NeedsIdempotencyKey = op.NeedsIdempotencyKey || p.Name == "Idempotency-Key" && p.Required != nil && *p.Required
			}
			if !op.Public {
				op.Codes = append(op.Codes, anywhere...)
			}
			for _, code := range op.Codes {
				if _, known := c.problem(code); !known {
					return fmt.Errorf("%s %s: x-problems has no code %q", op.Method, op.Path, code)
				}
			}
			c.operations = append(c.operations, op)
		}
	}
	return nil
}

func decode(op *v3.Operation, key string, into any) error {
	node, ok := op.Extensions.Get(key)
	if !ok {
		return fmt.Errorf("%s is missing", key)
	}
	return node.Decode(into)
}
