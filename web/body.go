package web

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// read takes the body: JSON, of bounded length, but for the few routes that take a form.
func (c *call) read(route Route) error {
	limit, want := route.maxBody(), "application/json"
	if route.form() {
		want = "application/x-www-form-urlencoded"
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errBodyTooLarge.because("the body has more than " + strconv.FormatInt(limit>>10, 10) + " KiB")
	case err != nil:
		return errBodyMalformed.because("the body did not arrive whole")
	}
	if media, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); len(body) > 0 && (err != nil || media != want) {
		return errContentType.because("send the body as " + want)
	}
	c.body, c.taken = body, true
	return nil
}

// decode reads the body into v, a pointer to a struct: one JSON object and nothing that
// v does not know. No body is an empty object.
func (c *call) decode(v any) error {
	if len(c.body) == 0 {
		return nil
	}
	return decode(c.body, v)
}

func decode(body []byte, v any) error {
	if !utf8.Valid(body) {
		return errBodyMalformed.because("the body is no UTF-8 text")
	}
	if err := checkFields(body, reflect.TypeOf(v).Elem()); err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return errBodyMalformed.because(explainJSON(err))
	}
	return nil
}

// checkFields goes over the fields of an object before package json does, which would
// take a field twice, and one of another case. It goes into lists of objects, too.
func checkFields(body []byte, kind reflect.Type) error {
	known := fieldsOf(kind)
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, err := dec.Token(); err != nil {
		return errBodyMalformed.because(explainJSON(err))
	} else if open != json.Delim('{') {
		return errBodyMalformed.because("the body is no JSON object")
	}
	var seen []string
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return errBodyMalformed.because(explainJSON(err))
		}
		field, _ := name.(string) // package json has no other keys
		if !slices.Contains(known, field) {
			return errBodyMalformed.because("the body has a field that this call does not know; compare it with openapi.yaml")
		}
		if slices.Contains(seen, field) {
			return errBodyMalformed.because("the body has the field " + field + " twice")
		}
		seen = append(seen, field)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return errBodyMalformed.because(explainJSON(err))
		}
		if err := checkList(value, kind.Field(slices.Index(known, field)).Type); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return errBodyMalformed.because(explainJSON(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errBodyMalformed.because("something follows the JSON object")
	}
	return nil
}

// checkList goes over the objects of a list, an object in the object, and the names of a map.
// What is none of these is left to package json.
func checkList(body []byte, kind reflect.Type) error {
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if kind.Kind() == reflect.Struct && !kind.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && len(body) > 0 && body[0] == '{' {
		return checkFields(body, kind)
	}
	if kind.Kind() == reflect.Map {
		return checkNames(body)
	}
	if kind.Kind() != reflect.Slice || kind.Elem().Kind() != reflect.Struct {
		return nil
	}
	var items []json.RawMessage
	if json.Unmarshal(body, &items) != nil {
		return nil
	}
	for _, item := range items {
		if err := checkFields(item, kind.Elem()); err != nil {
			return err
		}
	}
	return nil
}

// checkNames refuses a map that has a name twice.
func checkNames(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		name, _ := token.(string)
		if err != nil || seen[name] {
			return errBodyMalformed.because("a map in the body has a name twice")
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return errBodyMalformed.because(explainJSON(err))
		}
	}
	return nil
}

// fieldsOf are the names of a struct's fields in JSON.
func fieldsOf(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

// explainJSON says what is wrong and where, without what was sent.
func explainJSON(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return "the body is no JSON: it goes wrong at byte " + strconv.FormatInt(syntax.Offset, 10)
	case errors.As(err, &kind):
		return "the field " + kind.Field + " must be " + inWords(kind.Type)
	}
	return "the body is no JSON: it ends too early"
}

func inWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return inWords(t.Elem())
	case reflect.Map:
		return "an object of texts"
	case reflect.String:
		return "a text"
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Struct:
		return "an object, or a time such as 2026-11-24T10:00:00Z"
	case reflect.Slice:
		switch t.Elem().Kind() {
		case reflect.Struct:
			return "a list of objects"
		case reflect.Uint8:
			return "bytes in base64"
		}
		return "a list of texts"
	}
	return "something else"
}
