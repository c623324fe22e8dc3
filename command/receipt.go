package command

import "secretsbridge/events"

// told puts what an agent signed under the outcome that follows from it.
func told(meta Meta, facts []events.Fact) []events.Fact {
	if meta.Receipt == nil {
		return facts
	}
	for i, fact := range facts {
		switch f := fact.(type) {
		case events.RequestExecuted:
			f.Receipt = meta.Receipt
			facts[i] = f
		case events.RequestFailed:
			f.Receipt = meta.Receipt
			facts[i] = f
		case events.OutcomeUnknown:
			f.Receipt = meta.Receipt
			facts[i] = f
		case events.JobFinished:
			f.Receipt = meta.Receipt
			facts[i] = f
		case events.JobFailed:
			f.Receipt = meta.Receipt
			facts[i] = f
		}
	}
	return facts
}
