package contract

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/pb33f/libopenapi-validator/schema_validation"

	"secretsbridge/events"
)

// streamed are the schemas of what messages hold, by their event.
var streamed = map[string]string{"request": "Request", "job": "Job", "ready": "Changed", "reset": "Changed", "change": "Changed", "beat": "Changed"}

// linesType is of one JSON object a line: facts.
const linesType = "application/x-ndjson"

// records are the attributes that lines in formats of others have, by the one that tells which
// format it is. What else those hold is not of this contract (package siem holds them to it).
var records = map[string][]string{
	"specversion": {"id", "type", "subject", "time", "actor", "correlation", "command", "sequence", "leafhash"},
	"class_uid":   {"activity_id", "category_uid", "type_uid", "severity_id", "time", "message", "status_id", "metadata", "actor", "unmapped"},
}

// checkRecord looks at a line in a format of others, and reports whether it is one.
func checkRecord(line string) (bool, error) {
	var record map[string]json.RawMessage
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		return false, nil // told with the schema
	}
	for kind, has := range records {
		if record[kind] == nil {
			continue
		}
		for _, name := range has {
			if record[name] == nil {
				return true, fmt.Errorf("a line with %s has no %s", kind, name)
			}
		}
		return true, nil
	}
	return false, nil
}

// lined are the schemas of lines that are no facts, by their operation.
var lined = map[string]string{"compareAudit": "AuditComparison"}

// checkLines looks at every line: of the log's bytes it must be a commit, elsewhere a fact.
func (c *Contract) checkLines(op Operation, body []byte) error {
	for line := range strings.Lines(string(body)) {
		if op.OperationID == "listLogCommits" {
			if _, err := events.Decode([]byte(line)); err != nil || !strings.HasSuffix(line, "\n") {
				return fmt.Errorf("a line is no commit: %w", err)
			}
			continue
		}
		if is, err := checkRecord(line); err != nil || is && strings.HasSuffix(line, "\n") {
			if err != nil {
				return err
			}
			continue
		}
		checker := schema_validation.NewSchemaValidator(options()...)
		if ok, faults := checker.ValidateSchemaStringWithVersion(c.Schema(cmp.Or(lined[op.OperationID], "Event")), line, 3.1); !ok || !strings.HasSuffix(line, "\n") {
			return fmt.Errorf("a line is no %s: %w", cmp.Or(lined[op.OperationID], "Event"), join(faults))
		}
	}
	return nil
}

// checkStream looks at every whole message of a stream, as far as it was read. The schema of a stream is text; what its messages hold stands in words.
func (c *Contract) checkStream(body []byte) error {
	messages := strings.Split(string(body), "\n\n")
	for _, message := range messages[:len(messages)-1] {
		fields := map[string]string{}
		for line := range strings.SplitSeq(message, "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && name != "" {
				fields[name] = strings.TrimPrefix(value, " ")
			}
		}
		if len(fields) == 0 {
			continue // a comment
		}
		schema := streamed[fields["event"]]
		if _, err := strconv.ParseUint(fields["id"], 10, 64); err != nil || schema == "" {
			return fmt.Errorf("a message of the stream has the id %q and the event %q", fields["id"], fields["event"])
		}
		checker := schema_validation.NewSchemaValidator(options()...)
		if ok, faults := checker.ValidateSchemaStringWithVersion(c.Schema(schema), fields["data"], 3.1); !ok {
			return fmt.Errorf("a message of the stream is no %s: %w", schema, join(faults))
		}
	}
	return nil
}
